# SPDX-License-Identifier: Apache-2.0
"""A fault is found where it is: the mesh is made, pairs are lost, and the blame must fall on what lost them."""

from __future__ import annotations

import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakuna.inventory.model import Layout
from hakuna.judgement.mesh_blame import BlameKind, Loss, Sides, localise, matrix_of, matrix_of_mesh
from hakuna.judgement.mesh_matrix import Count
from hakuna.judgement.mesh_schedule import MeshMode, schedule
from hakuna.probes.hccn_ping import Ping
from hakuna.probes.mesh import Lane, PingMesh
from hakuna.probes.reading import CONSULTED, Consulted, Reading, ReadingState, Table
from hakuna.where import Where

K = BlameKind
SWITCHED, RAIL = Layout.SWITCHED, Layout.RAIL
FINE, THIRD, DEAD, REFUSED = Count(3, 3), Count(3, 2), Count(3, 0), Count(0, 0, "Command execute failed!")


def blame(matrix, layout=SWITCHED, sides=None):
    pings = [(Where.pair(*pair), count) for pair, count in matrix.items()]
    return localise(matrix_of(pings, layout=layout), sides, layout).blames


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
    (4, lambda s, t: 5 in (s.device, t.device), K.RAIL, "cluster", 180),
    (4, lambda s, t: True, K.SPLIT, "cluster", 768),
]


@pytest.mark.parametrize("loss", [DEAD, REFUSED, THIRD])
@pytest.mark.parametrize(("nodes", "fault", "kind", "where", "count"), SINGLE)
def test_a_single_fault_is_blamed_exactly(nodes, fault, kind, where, count, loss):
    (only,) = blame(lose(mesh(nodes), fault, loss=loss), SWITCHED)
    assert (only.kind, str(only.where), only.explained) == (kind, where, count)
    assert only.loss is (Loss.PARTIAL if loss is THIRD else Loss.TOTAL)
    assert only.percent == pytest.approx(100 / 3 if loss is THIRD else 100)
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
    (4, lambda s, t: s.device == 5, K.RAIL, "cluster", 12),
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
    blames = blame({p: DEAD if p in gone else FINE for p in matrix})
    assert len(blames) <= len(gone)
    assert sum(b.explained for b in blames) >= len(gone)
    for pair in gone:
        assert any(b.where == Where.cluster() or b.where.covers(Where.pair(*pair)) or b.where.is_pair for b in blames)


def test_total_and_partial_loss_are_told_apart():
    matrix = lose(lose(mesh(3), at("node-a/1"), loss=Count(4, 3)), at("node-b/3"))
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
    matrix = lose(mesh(nodes), at(where), loss=THIRD)
    hit = sorted(p for p, loss in matrix.items() if loss is THIRD)
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
    assert "write layout: rail into the inventory" in only.evidence


def test_pairs_that_are_not_known_count_neither_way():
    matrix = lose(mesh(), at("node-b/3"))
    del matrix[Where("node-a", 0), Where("node-b", 3)]
    (only,) = blame(matrix, SWITCHED)
    assert (only.kind, str(only.where), only.explained) == (K.DEVICE, "node-b/3", 15)


def test_scattered_loss_is_one_entry():
    matrix = mesh(4)
    scattered = {p for n, p in enumerate(sorted(matrix)) if n * n % 7 == 1}
    blames = blame({p: DEAD if p in scattered else FINE for p in matrix}, SWITCHED)
    assert len(blames) <= 65
    assert any("no common cause" in b.evidence for b in blames)


def test_a_mesh_of_lanes_is_read_lane_by_lane_and_its_evidence_named():
    lanes = {}
    bad = Where("node-b", 3)
    for source, target in mesh(2):
        lane = lanes.setdefault(source, [Lane([], array("f"), {}, f"network.mesh/{source}")])[0]
        lane.targets.append(target)
        lane.ms.append(0.1)
        if bad in (source, target):
            pair, i = Where.pair(source, target), lane.count - 1
            lane.odd[i] = Reading(pair, ReadingState.READ, Ping("", 3, 0, 100.0), "", f"ping/{pair}")
    (only,) = localise(matrix_of_mesh(PingMesh(lanes))).blames
    assert (only.kind, only.where, only.explained, len(only.sources)) == (K.DEVICE, bad, 16, 8)
    assert "ping/node-a/0 -> node-b/3" in only.sources
    assert not localise(matrix_of_mesh(PingMesh(lanes), layout=RAIL)).blames[1:]
    for own in lanes.values():
        own[0].odd.clear()
    assert not localise(matrix_of_mesh(PingMesh(lanes))).blames


# --- what is known of the devices besides their pings -----------------------------------------------------------------


def addresses(matrix, network="10.0.{node}.{device}", prefix=16, **odd):
    """Addresses of a mesh's devices; ``odd`` gives some of them another one, or another prefix length."""
    ends = sorted({end for pair in matrix for end in pair})
    plain = {d: (network.format(node=ord(d.node[-1]) - 97, device=d.device + 10), prefix) for d in ends}
    return plain | {Where.parse(name): value for name, value in odd.items()}


def test_what_cannot_be_told_is_said_with_the_ping_that_decides():
    matrix = lose(mesh(2), at("node-b"))
    (only,) = blame(matrix, sides=Sides(addresses(matrix)))
    assert {str(p) for p in only.others} == {"node-a", "node-b"}
    assert (
        "cannot be told from node-a or node-b; to decide, on node-a: hccn_tool -i 0 -ping -g address 10.0.0.11"
        in only.evidence
    )
    six = {d: (f"fd00::{d.node[-1]}:{d.device}", 64) for d in addresses(matrix)}
    (only,) = blame(matrix, sides=Sides(six))
    assert "hccn_tool -i 0 -ping -inet6 -g ipv6_address fd00::a:1" in only.evidence


def test_where_fibre_joins_two_devices_no_ping_decides():
    matrix = lose(mesh(2, mode=MeshMode.RAIL), at("node-b/3"))
    (only,) = blame(matrix, RAIL)
    assert only.probe is None
    assert {str(p) for p in only.others} == {"node-a/3", "node-b/3"}
    assert "no ping of this network decides" in only.evidence


def test_a_leaf_switch_is_named():
    matrix = lose(mesh(6, 2), lambda s, t: {s.node, t.node} & {"node-c", "node-d"})
    leaves = {d: f"leaf-{(ord(d.node[-1]) - 97) // 2}" for d in addresses(matrix)}
    (only,) = blame(matrix, sides=Sides(leaves=leaves))
    assert only.kind is K.LEAF
    assert "leaf switch leaf-1 (node-c, node-d)" in only.evidence
    matrix = lose(mesh(6, 2), lambda s, t: (s.node in ("node-c", "node-d")) != (t.node in ("node-c", "node-d")))
    (only,) = blame(matrix, sides=Sides(leaves=leaves))
    assert (only.kind, {p.kind for p in only.others}) == (K.SPLIT, {K.UPLINK})


def test_a_tls_split_is_named_where_the_switch_divides_them():
    odd = {Where("node-a", 0), Where("node-b", 0), Where("node-b", 1)}
    matrix = lose(mesh(3, 4), lambda s, t: (s in odd) != (t in odd))
    (only,) = blame(matrix, sides=Sides(tls={d: d in odd for d in addresses(matrix)}))
    assert only.kind is K.TLS
    assert "node-a/0, node-b/0, node-b/1 against the others" in only.evidence


def test_a_netmask_explains_what_its_device_loses_with_far_peers():
    matrix = lose(mesh(6, 2), lambda s, t: "node-a/1" in map(str, (s, t)) and {s.node, t.node} & {"node-e", "node-f"})
    assert len(blame(matrix)) > 1
    (only,) = blame(matrix, sides=Sides(addresses(matrix, **{"node-a/1": ("10.0.0.11", 22)})))
    assert (only.kind, str(only.where), only.explained) == (K.NETMASK, "node-a/1", 8)


def test_devices_with_one_address_are_told_at_the_later_one_and_hide_nothing_else():
    matrix = lose(mesh(3, 4), at("node-c/3"), one_way("node-a/0", "node-b"))
    found = blame(matrix, sides=Sides(addresses(matrix, **{"node-b/2": ("10.0.0.10", 16)})))
    assert [(b.kind, str(b.where)) for b in found] == [(K.DEVICE, "node-c/3"), (K.ADDRESS, "node-b/2")]


def test_a_vlan_on_a_rail_mesh_is_one_split():
    matrix = lose(mesh(4, mode=MeshMode.RAIL), lambda s, t: (s.node < "node-c") != (t.node < "node-c"))
    (only,) = blame(matrix)
    assert only.kind is K.SPLIT
    assert "2 groups do not reach each other: node-a, node-b | node-c, node-d" in only.evidence


# --- from pings -------------------------------------------------------------------------------------------------------


def test_pings_that_could_not_be_read_are_left_out_and_heard_of():
    pair = Where.pair(Where("a", 0), Where("b", 0))
    back = Where.pair(Where("b", 0), Where("a", 0))
    pings = Table(
        {
            pair: Reading(pair, ReadingState.READ, Count(3, 3), "", "ping/good"),
            back: Reading(back, ReadingState.UNPARSED, None, "", "ping/unread"),
        }
    )
    consulted = Consulted()
    token = CONSULTED.set(consulted)
    try:
        matrix = matrix_of(pings)
    finally:
        CONSULTED.reset(token)
    assert [r.source for r in consulted.unreadable] == ["ping/unread"]
    assert sum(row.bit_count() for row in matrix.known) == 1


def test_loss_within_the_limit_is_none_and_nothing_sent_is_total():
    a, b, c, d = (Where(n, 0) for n in "abcd")
    pings = [(Where.pair(a, b), Count(100, 99)), (Where.pair(a, c), Count(3, 2)), (Where.pair(a, d), Count(0, 0))]
    matrix = matrix_of(pings, limit=1.0)
    assert (matrix.some[0], matrix.gone[0]) == (0b100, 0b1000)
    assert matrix.counts[0, 3].error == "nothing was sent"


# --- what chance does to a handful of packets -------------------------------------------------------------------------

BAD = Where("node-b", 1)


def after(received):
    """A full mesh of 2 x 8; ``received`` says how many of three packets a pair (source, target) got back."""
    return localise(matrix_of((Where.pair(s, t), Count(3, received(s, t))) for s, t in mesh()))


def test_a_pair_that_lost_all_packets_at_a_lossy_port_is_chance():
    unlucky = (Where("node-a", 4), BAD)
    found = after(lambda s, t: 0 if (s, t) == unlucky else 2 if BAD in (s, t) else 3)
    assert found.chance == {unlucky}
    assert [(b.kind, b.where, b.loss) for b in found.blames] == [(K.DEVICE, BAD, Loss.PARTIAL)]


def test_a_pair_that_lost_all_packets_elsewhere_is_no_chance():
    dead = (Where("node-a", 4), Where("node-b", 5))
    found = after(lambda s, t: 0 if (s, t) == dead else 2 if BAD in (s, t) else 3)
    assert not found.chance
    assert [b.where for b in found.blames] == [Where.pair(*dead), BAD]


def test_a_dead_port_beside_lossy_ones_is_dead():
    matrix = lose(lose(mesh(4), at("node-a/1"), loss=THIRD), into("node-b/3"))
    assert [(b.kind, str(b.where), b.loss) for b in blame(matrix)] == [
        (K.DIRECTION_IN, "node-b/3", Loss.TOTAL),
        (K.DEVICE, "node-a/1", Loss.PARTIAL),
    ]


@pytest.mark.parametrize("seed", range(10))
def test_a_port_that_loses_30_percent_is_one_device_after_three_packets(seed):
    dice = random.Random(seed)
    found = after(lambda s, t: sum(dice.random() > 0.3 for _ in range(3)) if BAD in (s, t) else 3)
    assert [(b.kind, b.where, b.loss) for b in found.blames] == [(K.DEVICE, BAD, Loss.PARTIAL)]
