# SPDX-License-Identifier: Apache-2.0
"""Every fault gives exactly its root cause at its place; what depends on it is BLOCKED by it; nothing else changes."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest
from cluster import SHAPES, clean_run, fault_run, mock, new_run, verdicts, with_faults

from hakuna.judgement.rules import BOOK
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause, RunVerdict, Verdict
from hakuna.simulator.catalogue import CATALOGUE, COMBINED, VARIANTS, Scope
from hakuna.simulator.scenario import places_of, scenario, with_settings
from hakuna.stages.judge import Judge
from hakuna.stages.run import Mode, Plan
from hakuna.suites import load_rules

load_rules()

#: Codes from here on are for sites, but for the teardown, whose own codes these are.
SITE = 900
KINDS = {**CATALOGUE, **VARIANTS}
FAULTS = sorted(KINDS)


def own(results):
    return {c: r for c, r in results.items() if c.startswith("TDN") or int(c[3:]) < SITE}


@functools.cache
def expected_clean(settings):
    """The verdicts without the fault, with the settings that the fault needs to be seen."""
    return clean_run(Path(tempfile.mkdtemp()), dict(settings))


@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_fault_everything_is_green(shape, tmp_path):
    clean = verdicts(tmp_path, inventory=SHAPES[shape]())
    assert clean.verdict is RunVerdict.READY, [str(f) for f in clean.findings]
    assert {r.verdict for r in clean.results.values()} <= {Verdict.PASS, Verdict.SKIP}
    assert set(own(clean.results)) == {r.code for r in BOOK if r.stage is Stage.TEARDOWN or int(r.code[3:]) < SITE}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_its_one_root_cause(fault, tmp_path):
    kind = KINDS[fault]
    found = fault_run(tmp_path, kind)
    inventory = scenario(kind, mock())
    # A variant is its settings; only the simulated release that it needs is no part of the fault.
    settings = {k: v for k, v in kind.settings.items() if fault in CATALOGUE or k == "simulation.lmdeploy_version"}
    clean = expected_clean(tuple(settings.items()))
    verdict = Verdict(kind.verdict)
    places = set(places_of(kind, inventory))
    assert found.results[kind.rule].verdict is verdict, found.results[kind.rule]
    assert {f.where for f in found.results[kind.rule].findings if f.verdict is verdict} == places
    causes = {Cause(kind.rule, place) for place in places} if verdict is Verdict.FAIL else set()
    assert {r.finding.cause for r in found.root_causes} == causes
    assert {f.rule for f in found.unjudged} <= {kind.rule, *kind.also}
    assert (found.verdict is RunVerdict.READY) == verdict.green
    for code, result in found.results.items():
        if code == kind.rule or result.verdict is clean.results[code].verdict:
            assert not must_wait(code, kind.rule, verdict), f"{code} was judged although {kind.rule} failed"
        elif clean.results[code].verdict is Verdict.SKIP and result.verdict is Verdict.PASS:
            continue  # it asks for what was not used before, or looks at what is read only then (SRV710)
        elif code in kind.also:
            assert not result.verdict.green, result
        else:
            assert result.verdict in (Verdict.BLOCKED, Verdict.SKIP), (code, result)
            assert all(set(f.causes) <= causes and f.causes for f in result.findings), (code, result)


def must_wait(code, failed, verdict):
    stage = BOOK[code].stage
    if verdict is not Verdict.FAIL or code == failed or not BOOK[failed].gates:
        return False
    return not stage.read_only and stage is not Stage.TEARDOWN and stage.order > BOOK[failed].stage.order


def test_every_rule_is_tripped_by_a_fault():
    rules = {r.code for r in BOOK if r.stage is Stage.TEARDOWN or int(r.code[3:]) < SITE}
    assert {k.rule for k in KINDS.values()} == rules


def test_every_fault_says_what_it_stands_for():
    assert all(k.summary and k.source for k in KINDS.values())
    assert all(c.why and c.source for c in COMBINED)
    assert len(KINDS) >= 60
    assert {k.scope for k in KINDS.values()} == set(Scope)  # cluster, node, device, pairs and directions, the file


def test_nothing_is_green_that_could_not_be_seen(tmp_path):
    found = verdicts(tmp_path, "dead-host@node-a", "dead-host@node-b")
    green = {c for c, r in found.results.items() if r.verdict.green}
    assert {c for c in green if not c.startswith("INV")} == {"HST102", "HST103", "HST104"}
    assert {str(r.finding.cause) for r in found.root_causes} == {"HST101 on node-a", "HST101 on node-b"}


@pytest.mark.parametrize("combination", COMBINED, ids=lambda c: c.name)
def test_independent_faults_are_as_many_causes(combination, tmp_path):
    found = verdicts(tmp_path, *combination.faults, inventory=with_settings(mock(), combination.settings))
    assert {str(r.finding.cause) for r in found.root_causes} == set(combination.causes)
    assert not found.unjudged
    # What is blocked is so by these causes and no others, and the cause that explains most is told first.
    told = {str(c) for f in found.findings for c in f.causes}
    assert told <= set(combination.causes)
    explained = [len(r.blocked) for r in found.root_causes]
    assert explained == sorted(explained, reverse=True)


#: By hand, and not in the catalogue: whoever takes the catalogue for the world would not see these.
BY_HAND = [
    (
        ("tls-differs@node-b/3", "tls-differs@node-a/5", "link-down@node-b/6"),
        {"NET204 on node-b/3", "NET204 on node-a/5", "NET207 on node-b/6"},
        {},
    ),
    (
        ("tls-differs@node-b/3", "tls-differs@node-a/5", "device-unreachable@node-a/0"),
        {"NET204 on node-b/3", "NET204 on node-a/5", "NET220 on node-a/0"},
        {},
    ),
    (
        ("tls-differs@node-a/0", "tls-differs@node-a/7", "npu-missing@node-b/1"),
        {"NET204 on node-a/0", "NET204 on node-a/7", "HST114 on node-b/1"},
        {},
    ),
    (
        ("stale-hccn-conf@node-a/0", "duplicate-rank-id"),
        {"NET205 on node-a/0", "NET230 on node-b/7"},
        {"rank_table.generate": False},
    ),
    (
        ("stale-hccn-conf@node-b/7", "duplicate-rank-id"),
        {"NET205 on node-b/7", "NET230 on node-b/7"},
        {"rank_table.generate": False},
    ),
    (
        ("dead-host@node-b", "tls-differs@node-b/3", "host-cann-differs@node-b", "port-taken@node-a"),
        {"HST101 on node-b", "HST107 on node-a"},
        {},
    ),
]


@pytest.mark.parametrize(
    ("faults", "causes", "settings"), BY_HAND, ids=lambda x: "+".join(x) if isinstance(x, tuple) else ""
)
def test_combinations_by_hand_give_the_right_causes(faults, causes, settings, tmp_path):
    found = verdicts(tmp_path, *faults, inventory=with_settings(mock(), settings))
    assert {str(r.finding.cause) for r in found.root_causes} == causes


def test_a_whole_node_that_is_cut_off_is_one_cause(tmp_path):
    found = verdicts(tmp_path, "device-unreachable@node-b", inventory=SHAPES["4 x 8"](), plan=Plan(mode=Mode.PREFLIGHT))
    assert {str(r.finding.cause) for r in found.root_causes} == {"NET220 on node-b"}


def test_faults_come_from_the_inventory_too():
    assert with_faults("server-dies").simulation.faults == ("server-dies",)


def test_a_container_of_somebody_else_with_our_name_is_never_removed(tmp_path):
    run = new_run(tmp_path, with_faults("name-taken@node-b"))
    found = Judge(run).everything()
    assert {str(r.finding.cause) for r in found.root_causes} == {"CTR301 on node-b"}
    removed = [
        outcome
        for path in (tmp_path / "run" / "evidence").glob("teardown*/node-b.jsonl")
        for outcome in path.read_text(encoding="utf-8").splitlines()
        if "container.remove" in outcome
    ]
    assert removed == []
    run.transport.close()


def test_without_the_lease_nothing_is_started(tmp_path):
    run = new_run(tmp_path, with_faults("lease-lost@node-b"))
    found = Judge(run).everything()
    assert {str(r.finding.cause) for r in found.root_causes} == {"CTR300 on node-b"}
    assert run.store.answers("container.run") == {}
    assert found.results["TDN905"].verdict in (Verdict.PASS, Verdict.BLOCKED)
    run.transport.close()
