# SPDX-License-Identifier: Apache-2.0
"""The proof's own tools: mutants are made, planted, noticed and taken out again. ``make proof`` runs them over everything."""

from __future__ import annotations

import exactness
import matrix
import mutator
import pytest
import share
from cases import all_cases
from cluster import fault_inventory, judged
from judges import OF_CHECKS, OF_MESHES, OF_TABLES, of_modules
from mesh_cases import mesh_cases

from hakuna.judgement.rules import BOOK
from hakuna.judgement.verdict import Verdict
from hakuna.simulator.catalogue import CATALOGUE, COMBINED
from hakuna.suites import load_rules

load_rules()


@pytest.fixture(scope="module")
def clocks(tmp_path_factory):
    """The cell of the matrix in which a clock is 30 s ahead."""
    run, summary = judged(tmp_path_factory.mktemp("clocks"), fault_inventory(CATALOGUE["clock-skew"]))
    return matrix.Scenario("clock-skew", run, summary.results)


def test_a_check_has_a_mutant_of_every_kind():
    made = [m.operator for m in mutator.mutants(BOOK["HST118"].function)]
    assert made[0] == "return pass"
    assert {"swap Gt", "drop a node", "drop a device", "ignore one side", "ignore the other side"} <= set(made)


def test_judging_again_gives_the_same(clocks):
    assert {c: matrix.signature(clocks.again(c)) for c in clocks.results} == {
        c: matrix.signature(r) for c, r in clocks.results.items()
    }


@pytest.mark.parametrize("operator", ["return pass", "swap Gt", "drop a node"])
def test_a_mutant_is_noticed_and_taken_out_again(clocks, operator):
    mutant = next(m for m in mutator.mutants(BOOK["HST118"].function) if m.operator == operator)
    target = share.Target("x", share._planting(mutant), [share._cell(clocks, "HST118")], [], mutant)
    assert target.dies(near=True)
    assert not target.dies(near=False)
    assert not share._cell(clocks, "HST118")()


def test_a_check_that_was_changed_for_nothing_survives(clocks):
    mutant = next(m for m in mutator.mutants(BOOK["HST118"].function) if m.operator == "ignore one side")
    target = share.Target("x", share._planting(mutant), [share._cell(clocks, "HST118")], [], mutant)
    assert not target.dies(near=True)
    assert not share.counts(target, dropped=target.dropped)


def test_a_fault_that_is_found_elsewhere_is_not_exact(clocks):
    assert exactness.wrong(CATALOGUE["clock-skew"], clocks.summary) == []
    wrong = exactness.wrong(CATALOGUE["link-down"], clocks.summary)
    assert wrong[:2] == [
        "link-down: NET207 at [] instead of ['node-b/3']",
        "link-down: false alarm of HST118 on node-b",
    ]
    assert "link-down: HST118 is FAIL too" in wrong


def test_a_combination_of_which_one_cause_is_missing_is_not_exact(clocks):
    both = next(c for c in COMBINED if c.name == "loss-and-clock")
    assert exactness.wrong_causes(both, clocks.summary) == [
        "loss-and-clock: causes are ['HST118 on node-b'] instead of ['HST118 on node-b', 'NET221 on node-b/3']"
    ]


def test_the_judges_of_tables_meshes_and_logs_are_mutated_and_have_cells():
    made = [m for f in of_modules((*OF_TABLES, *OF_CHECKS)) for m in mutator.mutants(f)]
    assert len(made) > 200
    assert len([m for f in of_modules(OF_MESHES) for m in mutator.mutants(f)]) > 100
    for listed in (all_cases(), mesh_cases()):
        assert len({c.name for c in listed}) == len(listed) > 200


def test_gibberish_is_never_green(clocks, tmp_path):
    source = "host/node-b/host.clock"
    looked = {"HST118": frozenset({source})}
    (found, name), *others = matrix.garbled(tmp_path, looked)
    assert (name, others) == (source, [])
    assert found.results["HST118"].verdict is Verdict.UNPARSED
    assert matrix.unseen(found, source, looked) == []
    assert matrix.unseen(clocks, source, {"HST101": frozenset({source})}) == ["clock-skew: HST101 is PASS"]


def test_gibberish_for_logs_is_never_green(tmp_path):
    for found, source in matrix.garbled_logs(tmp_path):
        looked = matrix.with_logs({"SRV710": frozenset(), "GEN814": frozenset()})
        assert matrix.unseen(found, source, looked) == []
        rule = next(code for code, sources in looked.items() if source in sources)
        at = {f.where.node for f in found.results[rule].findings if f.verdict is Verdict.UNPARSED}
        assert at == {source.split("/")[1]}, found.name
