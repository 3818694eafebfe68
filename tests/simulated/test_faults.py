# SPDX-License-Identifier: Apache-2.0
"""Every fault gives exactly its root cause at its place; what depends on it is BLOCKED by it; nothing else changes."""

from __future__ import annotations

import pytest
from cluster import mock, verdicts, with_faults

from hakuna.judgement.rules import BOOK
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause, RunVerdict, Verdict
from hakuna.simulator.faults import CATALOGUE, parse_fault
from hakuna.stages.run import Mode, Plan
from hakuna.suites import load_rules
from hakuna.where import Where

load_rules()

#: Codes from here on are for sites, but for the teardown, whose own codes these are.
SITE = 900

#: Where a fault shows that is no fault of one place.
PLACES = {
    "duplicate-rank-id": {"node-b/7"},
    "rank-gap": {"node-b/7"},
    "wrong-server-id": {"node-a", "node-b"},
    "eager-missing": {"node-a"},
    "server-dies": {"node-a"},
    "server-never-ready": {"node-a"},
    "garbage-generation": {"node-a"},
}

#: Faults that give no red of their own: the rule warns, or says that it could not judge.
SOFTER = {
    "ports-not-reserved": Verdict.WARN,
    "low-nofile": Verdict.WARN,
    "link-flaps": Verdict.WARN,
    "lldp-silent": Verdict.WARN,
    "certificate-expiring": Verdict.WARN,
    "unparsed-tls": Verdict.UNPARSED,
    "hung-tool": Verdict.ERROR,
}


def causes_of(name):
    """What the catalogue says must be found: the rule, at the fault's own place."""
    places = PLACES.get(name) or {str(parse_fault(name, mock()).where)}
    return {Cause(CATALOGUE[name].rule, Where.parse(p)) for p in places}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return verdicts(tmp_path_factory.mktemp("clean"))


def test_without_a_fault_everything_is_green(clean):
    assert clean.verdict is RunVerdict.READY, [str(f) for f in clean.findings]
    assert {r.verdict for r in clean.results.values()} <= {Verdict.PASS, Verdict.SKIP}
    assert set(clean.results) == {r.code for r in BOOK if r.stage is Stage.TEARDOWN or int(r.code[3:]) < SITE}


@pytest.mark.parametrize("fault", sorted(set(CATALOGUE) - set(SOFTER)))
def test_a_fault_is_its_one_root_cause(fault, clean, tmp_path):
    causes = causes_of(fault)
    rule = CATALOGUE[fault].rule
    found = verdicts(tmp_path, fault)
    assert found.verdict is RunVerdict.NOT_READY
    assert {r.finding.cause for r in found.root_causes} == causes
    for code, result in found.results.items():
        if code == rule or result.verdict is clean.results[code].verdict:
            assert not _must_wait(code, rule), f"{code} was judged although {rule} failed"
            continue
        assert result.verdict in (Verdict.BLOCKED, Verdict.SKIP), (code, result)
        assert all(set(f.causes) <= causes and f.causes for f in result.findings), (code, result)


def _must_wait(code, failed):
    stage = BOOK[code].stage
    if code == failed or not BOOK[failed].gates:
        return False
    return not stage.read_only and stage is not Stage.TEARDOWN and stage.order > BOOK[failed].stage.order


@pytest.mark.parametrize("fault", SOFTER)
def test_a_softer_fault_changes_only_its_rule(fault, clean, tmp_path):
    rule, verdict = CATALOGUE[fault].rule, SOFTER[fault]
    found = verdicts(tmp_path, fault, plan=Plan(mode=Mode.PREFLIGHT))
    assert found.results[rule].verdict is verdict
    changed = {c for c, r in found.results.items() if r.verdict is not clean.results[c].verdict}
    assert changed - {rule} <= ({"NET213"} if rule == "NET204" else set())
    assert (found.verdict is RunVerdict.READY) == verdict.green


def test_nothing_is_green_that_could_not_be_seen(tmp_path):
    found = verdicts(tmp_path, "dead-host@node-a", "dead-host@node-b")
    green = {c for c, r in found.results.items() if r.verdict.green}
    assert {c for c in green if not c.startswith("INV")} == {"HST102", "HST103", "HST104"}
    assert {str(r.finding.cause) for r in found.root_causes} == {"HST101 on node-a", "HST101 on node-b"}


def test_two_faults_are_two_causes(tmp_path):
    found = verdicts(tmp_path, "tls-differs@node-b/3", "stale-hccn-conf@node-a/1")
    assert {str(r.finding.cause) for r in found.root_causes} == {"NET204 on node-b/3", "NET205 on node-a/1"}


def test_every_fault_of_the_catalogue_names_a_rule_that_exists():
    assert {k.rule for k in CATALOGUE.values()} <= {r.code for r in BOOK}
    assert len(BOOK) >= 45


def test_faults_come_from_the_inventory_too():
    assert with_faults("server-dies").simulation.faults == ("server-dies",)
