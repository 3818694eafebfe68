# SPDX-License-Identifier: Apache-2.0
"""One and two faults are found exactly wherever they can be: compared with all smallest sets of faults, found by trying."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import mesh_world as world_of
from support.mesh_score import judge
from support.mesh_world import Board, World


def faults_of(world):
    """Every fault of a world that needs no further fact, with every pair of devices, one way and both."""
    singles = [world_of.way(s, t) for s, t in world.pairs]
    both = [world_of.pair(s, t) for s, t in world.pairs if s < t]
    return [*Board(world).masks, *singles, *both]


def check(tally, named=1.0):
    """``named``: the share of what cannot be told apart that is named."""
    assert tally["blamed, wrong"] == 0
    assert tally["certain, blamed"] == tally["certain"]
    assert tally["unique, exact"] == tally["unique"]
    assert tally["not certain, named"] >= named * tally["not certain"]
    assert tally["not smallest"] == 0
    assert tally["not shown"] == 0


@pytest.mark.parametrize("shape", [(2, 2), (2, 4), (3, 2), (4, 2)])
def test_every_single_fault_is_found(shape):
    world, tally = World(*shape), Counter()
    for fault in faults_of(world):
        judge(world, [fault], tally)
    check(tally)
    assert tally["unique"] > 20 or shape == (2, 2)


@pytest.mark.parametrize("shape", [(2, 2), (2, 4), (3, 2)])
def test_pairs_of_faults_are_found(shape):
    """All of 2 x 2; of the others a part, by chance (every pair of them was tried once: see docs/localisation.md)."""
    world, tally = World(*shape), Counter()
    every = list(itertools.combinations(faults_of(world), 2))
    for two in every if shape == (2, 2) else random.Random(1).sample(every, 200):
        judge(world, two, tally)
    check(tally, 0.95)  # where two places would have to change at once, not every other way is named
    assert tally["unique"] > 20


@settings(max_examples=40)
@given(
    st.integers(0, 10**9), st.integers(2, 5), st.integers(1, 4), st.sampled_from([0, 1, 2]), st.sampled_from([16, 24])
)
def test_one_or_two_faults_of_any_kind_are_found(seed, nodes, devices, leaf, prefix):
    dice = random.Random(seed)
    world = World(nodes, devices, prefix=prefix, leaf_nodes=leaf if leaf < nodes else 0)
    faults = []
    for _ in range(dice.randint(1, 2)):
        world, fault = world_of.draw(dice, world)
        faults.append(fault)
    tally = Counter()
    judge(world, faults, tally)
    assert tally["blamed, wrong"] == 0
    assert tally["certain, blamed"] == tally["certain"]
    assert tally["unique, exact"] == tally["unique"]
