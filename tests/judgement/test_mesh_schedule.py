# SPDX-License-Identifier: Apache-2.0
"""Every pair once, nobody twice in a round, and no round too many."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakuna.inventory.model import Layout
from hakuna.judgement.mesh_schedule import PINGS_IN_A_ROW, MeshMode, choose, schedule
from hakuna.where import Where


def cluster(nodes, devices):
    return [(f"n{n:04d}", tuple(range(devices))) for n in range(nodes)]


even = st.builds(cluster, st.integers(1, 9), st.integers(1, 8))
uneven = st.lists(st.sets(st.integers(0, 15), min_size=1, max_size=8), min_size=1, max_size=6).map(
    lambda sets: [(f"n{n}", tuple(sorted(ids))) for n, ids in enumerate(sets)]
)
modes = st.sampled_from(MeshMode)


def required(nodes, *, rail=False):
    devices = [Where(name, i) for name, ids in nodes for i in ids]
    return {(a, b) for a in devices for b in devices if a.node != b.node and (not rail or a.device == b.device)}


@settings(max_examples=60)
@given(even | uneven)
def test_full_and_rail_hold_every_pair_exactly_once(nodes):
    for mode in (MeshMode.FULL, MeshMode.RAIL):
        plan = schedule(nodes, mode)
        counts = Counter(plan.pairs)
        assert set(counts) == required(nodes, rail=mode is MeshMode.RAIL)
        assert set(counts.values()) <= {1}
        assert plan.pair_count == len(counts)
        assert plan.full_count == len(required(nodes))


@settings(max_examples=60)
@given(even | uneven, modes)
def test_nobody_sends_or_receives_twice_in_a_round(nodes, mode):
    plan = schedule(nodes, mode, 4)
    count = 0
    for pairs in plan.rounds:
        count += 1
        assert len({source for source, _ in pairs}) == len(pairs)
        assert len({target for _, target in pairs}) == len(pairs)
        assert all(source.node != target.node for source, target in pairs)
    assert count == plan.round_count


@settings(max_examples=60)
@given(even | uneven, modes, st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_device_receives_from_no_more_at_once_than_the_senders_are_rounds_apart(nodes, mode, apart, random):
    """Nothing keeps devices in step. With the slowest ``apart`` rounds behind the fastest, apart + 1 meet at one device."""
    plan = schedule(nodes, mode, 4)
    rounds = [dict(pairs) for pairs in plan.rounds]
    for first in range(len(rounds)):
        at = {source: min(first + random.randint(0, apart), len(rounds) - 1) for source in rounds[first]}
        met = Counter(target for source, i in at.items() if (target := rounds[i].get(source)) is not None)
        assert max(met.values(), default=0) <= apart + 1


@given(even)
def test_there_are_as_few_rounds_as_one_device_has_peers(nodes):
    peers = (len(nodes) - 1) * len(nodes[0][1])
    assert schedule(nodes, MeshMode.FULL).round_count == peers
    assert schedule(nodes, MeshMode.RAIL).round_count == len(nodes) - 1


@given(even, modes)
def test_both_directions_are_measured(nodes, mode):
    pairs = set(schedule(nodes, mode, 4).pairs)
    assert {(b, a) for a, b in pairs} == pairs


@given(even | uneven, modes)
def test_sends_is_the_same_by_device_in_the_order_of_the_rounds(nodes, mode):
    plan = schedule(nodes, mode, 4)
    sends = plan.sends()
    assert [(name, tuple(lanes)) for name, lanes in sends.items()] == [(n, tuple(ids)) for n, ids in nodes]
    for name, lanes in sends.items():
        for device, targets in lanes.items():
            assert targets == tuple(t for s, t in plan.pairs if s == Where(name, device))


def test_a_ring_is_the_two_neighbours():
    plan = schedule(cluster(5, 2), MeshMode.RING)
    assert plan.sends()["n0000"][1] == (Where("n0001", 1), Where("n0004", 1))
    assert schedule(cluster(2, 1), MeshMode.RING).sends()["n0000"][0] == (Where("n0001", 0),)


def test_a_sample_reaches_near_and_far():
    plan = schedule(cluster(64, 8), MeshMode.SAMPLED, 6)
    peers = [t.node for t in plan.sends()["n0000"][3]]
    assert peers == ["n0001", "n0063", "n0002", "n0062", "n0004", "n0060"]
    assert plan.coverage == "sampled mesh: 3,072 of 258,048 pairs; run with --mesh full for all"


@pytest.mark.parametrize(
    ("nodes", "mode", "layout", "words"),
    [
        (cluster(1, 8), "auto", Layout.SWITCHED, "no mesh: one node has no pairs across nodes"),
        (cluster(2, 8), "auto", Layout.SWITCHED, "full mesh: 128 of 128 pairs"),
        (cluster(2, 8), "auto", Layout.RAIL, "rail mesh: 16 of 128 pairs"),
        (cluster(2, 8), "full", Layout.RAIL, "rail mesh: 16 of 128 pairs"),
        (cluster(16, 8), "auto", Layout.SWITCHED, "full mesh: 15,360 of 15,360 pairs"),
        (cluster(17, 8), "auto", Layout.SWITCHED, "rail mesh: 2,176 of 17,408 pairs; run with --mesh full for all"),
        (cluster(64, 8), "auto", Layout.SWITCHED, "rail mesh: 32,256 of 258,048 pairs; run with --mesh full for all"),
        (cluster(64, 8), "full", Layout.SWITCHED, "full mesh: 258,048 of 258,048 pairs"),
        (
            cluster(1024, 8),
            "rail",
            Layout.SWITCHED,
            "rail mesh: 8,380,416 of 67,043,328 pairs; run with --mesh full for all",
        ),
        (
            cluster(1024, 8),
            "auto",
            Layout.SWITCHED,
            "sampled mesh: 294,912 of 67,043,328 pairs; run with --mesh full for all",
        ),
        (cluster(4, 8), "ring", Layout.SWITCHED, "ring mesh: 64 of 768 pairs; run with --mesh full for all"),
    ],
)
def test_the_choice_and_its_words(nodes, mode, layout, words):
    assert choose(nodes, mode, layout).coverage == words


def test_a_device_in_no_pair_is_named():
    plan = schedule([("a", (0, 1)), ("b", (1, 2))], MeshMode.RAIL)
    assert plan.coverage == "rail mesh: 2 of 8 pairs; run with --mesh full for all; in no pair: a/0, b/2"


def test_a_large_mesh_is_made_as_it_is_asked_for():
    plan = schedule(cluster(1024, 8), MeshMode.FULL)
    assert len(list(islice(plan.pairs, 10))) == 10


@pytest.mark.parametrize("nodes", [[("a", (0,)), ("a", (1,))], [("a", (0, 0)), ("b", (0,))]])
def test_what_is_not_unique_is_refused(nodes):
    with pytest.raises(ValueError, match="unique"):
        schedule(nodes, MeshMode.FULL)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="star"):
        choose(cluster(2, 2), "star")


def test_the_rail_part_of_a_full_mesh_comes_first():
    whole = schedule(cluster(4, 3), MeshMode.FULL)
    rail, rest = whole.split()
    assert set(rail.pairs) == required(cluster(4, 3), rail=True)
    assert rest is not None
    assert [*rail.pairs, *rest.pairs] == list(whole.pairs)
    assert schedule(cluster(2, 8), MeshMode.FULL).split()[1] is None
    assert schedule(cluster(4, 3), MeshMode.RAIL).split()[1] is None


@given(st.integers(2, 300), st.integers(1, 8), st.integers(0, 400_000))
def test_a_mesh_that_is_chosen_stays_within_its_budgets(nodes, devices, budget):
    plan = choose(cluster(nodes, devices), budget=budget)
    least = 2 * nodes * devices  # a sample of the nearest neighbours is always made
    assert plan.pair_count <= max(budget, least)
    assert plan.round_count <= max(PINGS_IN_A_ROW, 2)
