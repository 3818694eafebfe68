# SPDX-License-Identifier: Apache-2.0
"""Every fault gives exactly its root cause at its place; what depends on it is BLOCKED by it; nothing else changes."""

from __future__ import annotations

import exactness
import pytest
from cluster import SHAPES, fault_run, mock, new_run, verdicts, with_faults

from hakuna.judgement.rules import BOOK
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import RunVerdict, Verdict
from hakuna.simulator.catalogue import CATALOGUE, COMBINED, VARIANTS, Scope
from hakuna.simulator.scenario import with_settings
from hakuna.stages.judge import Judge
from hakuna.stages.run import Mode, Plan
from hakuna.suites import load_rules

load_rules()

KINDS = {**CATALOGUE, **VARIANTS}
#: For each stage and verdict the first fault: ``make proof-ci`` holds every fault and combination to the same.
FAULTS = sorted({(Stage.of_code(k.rule), k.verdict): name for name, k in reversed(KINDS.items())}.values())


def own(results):
    return {c: r for c, r in results.items() if exactness.own(c)}


@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_fault_everything_is_green(shape, tmp_path):
    clean = verdicts(tmp_path, inventory=SHAPES[shape]())
    assert clean.verdict is RunVerdict.READY, [str(f) for f in clean.findings]
    assert {r.verdict for r in clean.results.values()} <= {Verdict.PASS, Verdict.SKIP}
    assert set(own(clean.results)) == {r.code for r in BOOK if exactness.own(r.code)}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_its_one_root_cause(fault, tmp_path):
    kind = KINDS[fault]
    assert exactness.wrong(kind, fault_run(tmp_path, kind)) == []


def test_every_rule_is_tripped_by_a_fault():
    rules = {r.code for r in BOOK if exactness.own(r.code)}
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


@pytest.mark.parametrize("combination", COMBINED[::4], ids=lambda c: c.name)
def test_independent_faults_are_as_many_causes(combination, tmp_path):
    found = verdicts(tmp_path, *combination.faults, inventory=with_settings(mock(), combination.settings))
    assert exactness.wrong_causes(combination, found) == []


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


@pytest.mark.parametrize(
    ("faults", "causes"),
    [
        (("device-unreachable@node-b/3",), {"NET220 on node-b/3"}),
        (("link-down@node-c/0",), {"NET207 on node-c/0"}),
        (
            ("device-unreachable@node-b/3", "tls-differs@node-d/6", "tls-differs@node-a/1"),
            {"NET220 on node-b/3", "NET204 on node-d/6", "NET204 on node-a/1"},
        ),
    ],
    ids=["dead", "down", "dead and two switches"],
)
def test_a_declared_direct_connection_hides_no_fault(faults, causes, tmp_path):
    """What is not wired is not missed (all is green without a fault: SHAPES), and what is dead is found all the same."""
    found = verdicts(tmp_path, *faults, inventory=SHAPES["4 x 8, fibres by rail"]())
    assert {str(r.finding.cause) for r in found.root_causes} == causes


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
