# SPDX-License-Identifier: Apache-2.0
"""Every fault gives exactly its root cause at its place; what depends on it is BLOCKED by it; nothing else changes."""

from __future__ import annotations

import pytest
from cluster import verdicts, with_faults

from hakuna.judgement.rules import BOOK
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause, RunVerdict, Verdict
from hakuna.stages.run import Mode, Plan
from hakuna.suites import load_rules
from hakuna.where import Where

load_rules()

#: fault -> the rule that must fail, and where.
EXPECTED = {
    "dead-host@node-b": ("HST101", "node-b"),
    "host-key-changed@node-b": ("HST102", "node-b"),
    "driver-differs@node-b": ("HST109", "node-b"),
    "firmware-differs@node-b": ("HST110", "node-b"),
    "clock-skew@node-b": ("HST118", "node-b"),
    "port-taken@node-b": ("HST107", "node-b"),
    "model-missing@node-b": ("HST122", "node-b"),
    "model-differs@node-b": ("HST122", "node-b"),
    "image-differs@node-b": ("HST121", "node-b"),
    "npu-unhealthy@node-b/3": ("HST115", "node-b/3"),
    "foreign-process@node-b/3": ("HST108", "node-b/3"),
    "device-node-missing@node-b/3": ("HST117", "node-b/3"),
    "hostname-loopback@node-b": ("HST124", "node-b"),
    "interface-missing@node-b": ("HST123", "node-b"),
    "tool-missing@node-b": ("HST113", "node-b"),
    "tcp-blocked@node-a>node-b": ("HST126", "node-a -> node-b"),
    "low-disk@node-b": ("HST119", "node-b"),
    "leftover-container@node-b": ("HST106", "node-b"),
    "device-unreachable@node-b/3": ("NET220", "node-b/3"),
    "one-way-loss@node-a/0>node-b/3": ("NET220", "node-a/0 -> node-b/3"),
    "partial-loss@node-b/3": ("NET221", "node-b/3"),
    "link-down@node-b/3": ("NET207", "node-b/3"),
    "tls-differs@node-b/3": ("NET204", "node-b/3"),
    "duplicate-device-ip@node-b/3": ("NET202", "node-b/3"),
    "stale-hccn-conf@node-b/3": ("NET205", "node-b/3"),
    "wrong-netmask@node-b/3": ("NET206", "node-b/3"),
    "no-device-ip@node-b/3": ("NET201", "node-b/3"),
    "shm-small@node-b": ("CTR306", "node-b"),
    "device-not-in-container@node-b/3": ("CTR303", "node-b/3"),
    "duplicate-rank-id": ("RNK402", "node-b/7"),
    "rank-gap": ("RNK403", "node-b/7"),
    "wrong-server-id": ("RNK405", "node-b"),
    "table-differs@node-b": ("RNK407", "node-b"),
    "worker-missing@node-b": ("RAY503", "node-b"),
    "npu-resource-zero@node-b": ("RAY504", "node-b"),
    "variable-missing@node-b": ("RAY505", "node-b"),
    "server-dies": ("SRV701", "node-a"),
    "server-never-ready": ("SRV701", "node-a"),
    "eager-missing": ("SRV703", "node-a"),
    "garbage-generation": ("GEN805", "node-a"),
}

#: Faults that give no red of their own: the rule warns, or says that it could not judge.
SOFTER = {
    "low-nofile@node-b": ("HST128", Verdict.WARN),
    "certificate-expiring@node-b/3": ("NET213", Verdict.WARN),
    "unparsed-tls@node-b/3": ("NET204", Verdict.UNPARSED),
    "hung-tool@node-b/3": ("NET204", Verdict.ERROR),
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return verdicts(tmp_path_factory.mktemp("clean"))


def test_without_a_fault_everything_is_green(clean):
    assert clean.verdict is RunVerdict.READY, [str(f) for f in clean.findings]
    assert {r.verdict for r in clean.results.values()} <= {Verdict.PASS, Verdict.SKIP}
    assert set(clean.results) == {r.code for r in BOOK if r.code[3] != "9" or r.stage is Stage.TEARDOWN}


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_is_its_one_root_cause(fault, clean, tmp_path):
    rule, place = EXPECTED[fault]
    found = verdicts(tmp_path, fault)
    cause = Cause(rule, Where.parse(place))
    assert found.verdict is RunVerdict.NOT_READY
    assert {r.finding.cause for r in found.root_causes} == {cause}
    gated = BOOK[rule].gates
    for code, result in found.results.items():
        if code == rule or result.verdict is clean.results[code].verdict:
            assert not (gated and _must_wait(code, rule)), f"{code} was judged although {rule} failed"
            continue
        assert result.verdict in (Verdict.BLOCKED, Verdict.SKIP), (code, result)
        assert all(f.causes == (cause,) for f in result.findings if f.verdict is not Verdict.WARN), (code, result)


def _must_wait(code, failed):
    stage = BOOK[code].stage
    return not stage.read_only and stage is not Stage.TEARDOWN and stage.order > BOOK[failed].stage.order


@pytest.mark.parametrize("fault", SOFTER)
def test_a_softer_fault_changes_only_its_rule(fault, clean, tmp_path):
    rule, verdict = SOFTER[fault]
    plan = Plan(mode=Mode.PREFLIGHT)
    found = verdicts(tmp_path, fault, plan=plan)
    assert found.results[rule].verdict is verdict
    changed = {c for c, r in found.results.items() if r.verdict is not clean.results[c].verdict}
    assert changed - {rule} <= ({"NET213"} if rule == "NET204" else set())
    assert (found.verdict is RunVerdict.READY) == verdict.green


def test_two_faults_are_two_causes(tmp_path):
    found = verdicts(tmp_path, "tls-differs@node-b/3", "stale-hccn-conf@node-a/1")
    assert {str(r.finding.cause) for r in found.root_causes} == {"NET204 on node-b/3", "NET205 on node-a/1"}


def test_every_fault_of_the_catalogue_is_expected_here():
    from hakuna.simulator.faults import CATALOGUE

    tried = {name.partition("@")[0] for name in (*EXPECTED, *SOFTER)}
    assert set(CATALOGUE) - tried <= {"gateway-missing"}


def test_faults_come_from_the_inventory_too():
    assert with_faults("server-dies").simulation.faults == ("server-dies",)
