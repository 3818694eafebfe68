# SPDX-License-Identifier: Apache-2.0
"""The proof's own tools: mutants are made, planted, noticed and taken out again. ``make proof`` runs them over everything."""

from __future__ import annotations

import matrix
import mutator
import prove
import pytest
from cluster import fault_inventory, judged

from hakuna.judgement.rules import BOOK
from hakuna.judgement.verdict import Verdict
from hakuna.simulator.catalogue import CATALOGUE
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
    with mutator.planted(mutant):
        assert prove.killed([(clocks, "HST118")])
    assert not prove.killed([(clocks, "HST118")])


def test_a_check_that_was_changed_for_nothing_survives(clocks):
    mutant = next(m for m in mutator.mutants(BOOK["HST118"].function) if m.operator == "ignore one side")
    with mutator.planted(mutant):
        assert not prove.killed([(clocks, "HST118")])
    assert not mutator.DROPPED - {"drop a node"}


def test_a_fault_that_is_found_elsewhere_is_not_exact(clocks):
    assert prove.exact(clocks) == []
    assert prove.exact(matrix.Scenario("link-down", clocks.run, clocks.results)) == [
        "link-down: NET207 at [] instead of ['node-b/3']",
        "link-down: false alarm of HST118 at node-b",
    ]


def test_gibberish_is_never_green(clocks, tmp_path):
    source = "host/node-b/host.clock"
    looked = {"HST118": frozenset({source})}
    (found, name), *others = matrix.garbled(tmp_path, looked)
    assert (name, others) == (source, [])
    assert found.results["HST118"].verdict is Verdict.UNPARSED
    assert prove.unseen(found, source, looked) == []
    assert prove.unseen(clocks, source, {"HST101": frozenset({source})}) == ["clock-skew: HST101 is PASS"]
