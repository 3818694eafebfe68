# SPDX-License-Identifier: Apache-2.0
"""A fault is found where it is: the mesh is made, pairs are lost, and the blame must fall on what lost them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakuna.inventory.model import Layout
from hakuna.judgement.mesh_blame import BlameKind, Loss, PairLoss, blame, chance, losses
from hakuna.judgement.mesh_schedule import MeshMode, schedule
from hakuna.probes.reading import CONSULTED, Consulted, Reading, ReadingState, Table
from hakuna.where import Where

K = BlameKind
SWITCHED, RAIL = Layout.SWITCHED, Layout.RAIL
FINE = PairLoss(0.0)
DEAD = PairLoss(100.0)


def names(nodes):
    return [f"node-{chr(ord('a') + n)}" for n in range(nodes)]


def mesh(nodes=2, devices=8, mode=MeshMode.FULL):
    return dict.fromkeys(schedule([(n, range(devices)) for n in names(nodes)], mode).pairs, FINE)


def lose(matrix, *faults, loss=DEAD):
    """Each fault says of a pair (source, target) whether it is lost."""
    return {pair: loss if any(f(*pair) for f in faults) else old for pair, old in matrix.items()}


def at(text):
    where = Where.parse(text)
    return lambda s, t: where.covers(s) or where.covers(t)


def out_of(text):
    where = Where.parse(text)
    return lambda s, t: where.covers(s)


def into(text):
    where = Where.parse(text)
    return lambda s, t: where.covers(t)


def between(one, other):
    a, b = Where.parse(one), Where.parse(other)
    return lambda s, t: (a.covers(s) and b.covers(t)) or (b.covers(s) and a.covers(t))


def one_way(one, other):
    a, b = Where.parse(one), Where.parse(other)
    return lambda s, t: a.covers(s) and b.covers(t)


def found(matrix, layout=SWITCHED):
    return [(b.kind, str(b.where)) for b in blame(matrix, layout)]


SINGLE = [
    (2, at("node-b/3"), K.DEVICE, "node-b/3", 16),
    (2, into("node-b/3"), K.DIRECTION_IN, "node-b/3", 8),
    (2, out_of("node-b/3"), K.DIRECTION_OUT, "node-b/3", 8),
    (2, one_way("node-a/0", "node-b/3"), K.PAIR, "node-a/0 -> node-b/3", 1),
    (2, between("node-a/0", "node-b/3"), K.PAIR, "node-a/0 -> node-b/3", 2),
    (2, at("node-b"), K.NODE_PAIR, "node-a -> node-b", 128),
    (2, into("node-b"), K.NODE_PAIR, "node-a -> node-b", 64),
    (2, into("node-a"), K.NODE_PAIR, "node-b -> node-a", 64),
    (4, at("node-c/0"), K.DEVICE, "node-c/0", 48),
    (4, into("node-c/0"), K.DIRECTION_IN, "node-c/0", 24),
    (4, at("node-c"), K.NODE, "node-c", 384),
    (4, out_of("node-c"), K.DIRECTION_OUT, "node-c", 192),
    (4, into("node-c"), K.DIRECTION_IN, "node-c", 192),
    (4, between("node-a", "node-c"), K.NODE_PAIR, "node-a -> node-c", 128),
    (4, one_way("node-c", "node-a"), K.NODE_PAIR, "node-c -> node-a", 64),
    (4, lambda s, t: {s.node, t.node} not in ({"node-a", "node-b"}, {"node-c", "node-d"}), K.SPLIT, "cluster", 512),
    (4, lambda s, t: s.device % 2 != t.device % 2, K.SPLIT, "cluster", 384),
    (4, lambda s, t: s.device != t.device, K.SPLIT, "cluster", 672),
    (4, lambda s, t: s.device == t.device == 5, K.SPLIT, "cluster", 12),
    (4, lambda s, t: True, K.SPLIT, "cluster", 768),
]


@pytest.mark.parametrize("loss", [DEAD, PairLoss(None, "Command execute failed!"), PairLoss(100 / 3)])
@pytest.mark.parametrize(("nodes", "fault", "kind", "where", "count"), SINGLE)
def test_a_single_fault_is_blamed_exactly(nodes, fault, kind, where, count, loss):
    (only,) = blame(lose(mesh(nodes), fault, loss=loss), SWITCHED)
    assert (only.kind, str(only.where), only.explained) == (kind, where, count)
    assert only.loss is (Loss.PARTIAL if loss.percent == 100 / 3 else Loss.TOTAL)
    assert only.percent == pytest.approx(100.0 if loss.percent is None else loss.percent)
    assert f"{count}" in only.words or count == 1
    if loss.error:
        assert "Command execute failed!" in only.evidence


def test_nothing_lost_is_nothing_blamed():
    assert blame(mesh(), SWITCHED) == ()
    assert blame({}, SWITCHED) == ()


RAILS = [
    (4, at("node-b/3"), K.DEVICE, "node-b/3", 6),
    (4, into("node-b/3"), K.DIRECTION_IN, "node-b/3", 3),
    (4, at("node-b"), K.NODE, "node-b", 48),
    (4, between("node-a", "node-b"), K.NODE_PAIR, "node-a -> node-b", 16),
    (4, lambda s, t: s.device == 5, K.SPLIT, "cluster", 12),
    (2, at("node-b/3"), K.PAIR, "node-a/3 -> node-b/3", 2),
    (2, into("node-b/3"), K.PAIR, "node-a/3 -> node-b/3", 1),
    (2, at("node-b"), K.NODE_PAIR, "node-a -> node-b", 16),
]


@pytest.mark.parametrize(("nodes", "fault", "kind", "where", "count"), RAILS)
def test_the_same_on_rails(nodes, fault, kind, where, count):
    (only,) = blame(lose(mesh(nodes, mode=MeshMode.RAIL), fault), RAIL)
    assert (only.kind, str(only.where), only.explained) == (kind, where, count)


def test_on_rails_other_pairs_are_not_expected():
    assert blame(lose(mesh(4), lambda s, t: s.device != t.device), RAIL) == ()


COMBINED = [
    (2, [at("node-a/1"), at("node-b/3")], [(K.DEVICE, "node-a/1"), (K.DEVICE, "node-b/3")]),
    (2, [at("node-b/2"), into("node-a/0")], [(K.DEVICE, "node-b/2"), (K.DIRECTION_IN, "node-a/0")]),
    (2, [at("node-b/2"), one_way("node-a/0", "node-b/3")], [(K.DEVICE, "node-b/2"), (K.PAIR, "node-a/0 -> node-b/3")]),
    (2, [into("node-b/2"), out_of("node-b/3")], [(K.DIRECTION_IN, "node-b/2"), (K.DIRECTION_OUT, "node-b/3")]),
    (3, [at("node-b"), at("node-c/7")], [(K.NODE, "node-b"), (K.DEVICE, "node-c/7")]),
    (4, [at("node-b"), into("node-c")], [(K.NODE, "node-b"), (K.DIRECTION_IN, "node-c")]),
    (4, [between("node-a", "node-b"), at("node-c/7")], [(K.NODE_PAIR, "node-a -> node-b"), (K.DEVICE, "node-c/7")]),
    (4, [at("node-a"), at("node-d")], [(K.NODE, "node-a"), (K.NODE, "node-d")]),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "faults", "expected"), COMBINED)
def test_two_faults_are_two_blames(nodes, faults, expected):
    assert sorted(found(lose(mesh(nodes), *faults)), key=str) == sorted(expected, key=str)


@settings(max_examples=40)
@given(
    st.integers(2, 5),
    st.sets(st.tuples(st.integers(0, 4), st.integers(0, 7)), min_size=1, max_size=3),
    st.sampled_from([(at, K.DEVICE), (into, K.DIRECTION_IN), (out_of, K.DIRECTION_OUT)]),
)
def test_a_few_bad_devices_are_named_and_nothing_else(nodes, places, how):
    make, kind = how
    bad = sorted({f"{names(nodes)[n % nodes]}/{d}" for n, d in places})
    matrix = lose(mesh(nodes), *(make(b) for b in bad))
    assert sorted(found(matrix)) == [(kind, b) for b in bad]


@settings(max_examples=40)
@given(st.data())
def test_whatever_is_lost_is_explained_and_nothing_is_invented(data):
    matrix = mesh(3, 2)
    gone = data.draw(st.sets(st.sampled_from(sorted(matrix))))
    blames = blame({p: DEAD if p in gone else FINE for p in matrix}, SWITCHED)
    assert len(blames) <= len(gone)
    assert sum(b.explained for b in blames) >= len(gone)
    for pair in gone:
        assert any(b.where == Where.cluster() or b.where.covers(Where.pair(*pair)) or b.where.is_pair for b in blames)


def test_total_and_partial_loss_are_told_apart():
    matrix = lose(lose(mesh(3), at("node-a/1"), loss=PairLoss(25.0)), at("node-b/3"))
    first, second = blame(matrix, SWITCHED)
    assert (first.kind, str(first.where), first.loss, first.words) == (
        K.DEVICE,
        "node-b/3",
        Loss.TOTAL,
        "100 % loss on 32 pairs",
    )
    assert (second.kind, str(second.where), second.loss, second.words) == (
        K.DEVICE,
        "node-a/1",
        Loss.PARTIAL,
        "on average 25 % loss on 30 pairs",
    )


@pytest.mark.parametrize(("nodes", "where", "kind"), [(2, "node-b/3", K.DEVICE), (4, "node-b", K.NODE)])
def test_partial_loss_with_holes_is_still_one_fault(nodes, where, kind):
    matrix = lose(mesh(nodes), at(where), loss=PairLoss(100 / 3))
    hit = sorted(p for p, loss in matrix.items() if loss is not FINE)
    for pair in hit[::4]:  # in three packets a third of loss often shows nothing
        matrix[pair] = FINE
    (only,) = blame(matrix, SWITCHED)
    assert (only.kind, str(only.where)) == (kind, where)
    assert f"of {len(hit)}" in only.evidence


def test_two_nodes_are_said_to_be_ambiguous():
    (only,) = blame(lose(mesh(2), at("node-b")), SWITCHED)
    assert "cannot be told" in only.evidence
    (only,) = blame(lose(mesh(3), between("node-a", "node-b")), SWITCHED)
    assert "cannot be told" not in only.evidence


def test_a_split_names_its_groups():
    (only,) = blame(lose(mesh(4), lambda s, t: (s.node < "node-c") != (t.node < "node-c")), SWITCHED)
    assert "node-a, node-b | node-c, node-d" in only.evidence
    (only,) = blame(lose(mesh(4), lambda s, t: s.device != t.device), SWITCHED)
    assert "layout rail" in only.evidence


def test_pairs_that_are_not_known_count_neither_way():
    matrix = lose(mesh(), at("node-b/3"))
    matrix[Where("node-a", 0), Where("node-b", 3)] = PairLoss(None)
    (only,) = blame(matrix, SWITCHED)
    assert (only.kind, str(only.where), only.explained) == (K.DEVICE, "node-b/3", 15)


def test_scattered_loss_is_one_entry():
    matrix = mesh(4)
    scattered = {p for n, p in enumerate(sorted(matrix)) if n * n % 7 == 1}
    blames = blame({p: DEAD if p in scattered else FINE for p in matrix}, SWITCHED)
    assert len(blames) <= 65
    assert any("no common cause" in b.evidence for b in blames)


def test_evidence_is_named():
    matrix = lose(mesh(), at("node-b/3"), loss=PairLoss(100.0, "", "network.mesh/node-a/hccn.ping/0/node-b/3"))
    (only,) = blame(matrix, SWITCHED)
    assert only.sources == ("network.mesh/node-a/hccn.ping/0/node-b/3",)


# --- from pings -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ping:
    sent: int
    received: int
    error: str = ""


def table(**pings):
    pairs = {name: Where.pair(Where("a", n), Where("b", n)) for n, name in enumerate(pings)}
    return pairs, Table(
        {
            w: Reading(w, ReadingState.READ if pings[name] else ReadingState.UNPARSED, pings[name], "", f"ping/{name}")
            for name, w in pairs.items()
        }
    )


def test_losses_of_pings():
    pairs, pings = table(
        good=Ping(3, 3), some=Ping(3, 2), few=Ping(100, 99), gone=Ping(3, 0), none=Ping(0, 0, "busy"), unread=None
    )
    key = {name: (w.source, w.target) for name, w in pairs.items()}
    total = losses(pings, total=True)
    assert {n: total[k].percent for n, k in key.items() if k in total} == {
        "good": 0.0,
        "some": 0.0,
        "few": 0.0,
        "gone": 100.0,
        "none": None,
    }
    assert total[key["none"]].error == "busy"
    assert total[key["gone"]].source == "ping/gone"
    partial = losses(pings, total=False, limit=1.0)
    assert {n: partial[k].percent for n, k in key.items() if k in partial} == {
        "good": 0.0,
        "some": pytest.approx(100 / 3),
        "few": 0.0,
    }


def test_the_running_check_hears_of_pings_that_could_not_be_read():
    _, pings = table(good=Ping(3, 3), unread=None)
    consulted = Consulted()
    token = CONSULTED.set(consulted)
    try:
        losses(pings, total=True)
    finally:
        CONSULTED.reset(token)
    assert [r.source for r in consulted.unreadable] == ["ping/unread"]


# --- what chance does to a handful of packets -------------------------------------------------------------------------


def pings_of(received):
    """A full mesh of 2 x 8; ``received`` says how many of three packets a pair (source, target) got back."""
    return Table(
        {
            Where.pair(s, t): Reading(Where.pair(s, t), ReadingState.READ, Ping(3, received(s, t)), "", "ping")
            for s, t in mesh()
        }
    )


BAD = Where("node-b", 1)


def test_a_pair_that_lost_all_packets_at_a_lossy_port_is_chance():
    unlucky = (Where("node-a", 4), BAD)

    def received(s, t):
        return 0 if (s, t) == unlucky else 2 if BAD in (s, t) else 3

    assert chance(pings_of(received), SWITCHED) == {unlucky}


def test_a_pair_that_lost_all_packets_elsewhere_is_no_chance():
    def received(s, t):
        return 0 if (s, t) == (Where("node-a", 4), Where("node-b", 5)) else 2 if BAD in (s, t) else 3

    assert not chance(pings_of(received), SWITCHED)


def test_without_partial_loss_nothing_is_chance():
    def received(s, t):
        return 0 if (s, t) == (Where("node-a", 4), BAD) else 3

    assert not chance(pings_of(received), SWITCHED)


def test_a_port_that_loses_nearly_everything_is_no_chance():
    def received(s, t):
        return (2 if s.device in (0, 1) else 0) if t == BAD else 0 if s == BAD else 3

    assert not chance(pings_of(received), SWITCHED)
