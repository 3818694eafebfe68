# SPDX-License-Identifier: Apache-2.0
"""Compares what the mesh's localisation blames with what is broken in a :mod:`mesh_world`, part by part.

A part is a fault or a blame, by its kind and the measured pairs that it loses. A part of the truth is *certain* when it
is in all smallest sets of faults that predict the same matrix, with the same facts of the devices besides. A blame that
is in none of them is wrong. Where they differ, no method can know more: what is asked then is that the blame names the
truth among what it says it cannot tell apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from hakuna.judgement.mesh_blame import Blame, BlameKind, Sides, localise
from hakuna.judgement.mesh_matrix import LossMatrix, ones
from hakuna.judgement.mesh_places import Place
from support import mesh_world as world_of
from support.mesh_world import Board, Fault, World


@lru_cache(maxsize=400)
def board_of(world: World) -> Board:
    return Board(world)


def sides_of(world: World) -> Sides:
    """What the devices say of themselves."""
    return Sides(
        {d: world.address(d) for d in world.all},
        {d: world.leaf(d) for d in world.all} if world.leaf_nodes else {},
        {d: d in world.tls for d in world.all},
    )


def matrix_of(world: World, lost: int) -> LossMatrix:
    """The matrix in which these pairs lose everything."""
    matrix = LossMatrix(world.all)
    number = matrix.grid.number
    for i, (s, t) in enumerate(world.pairs):
        a, b = number[s.node, s.device], number[t.node, t.device]
        matrix.known[a] |= 1 << b
        if lost >> i & 1:
            matrix.gone[a] |= 1 << b
    return matrix


@dataclass(frozen=True)
class Part:
    """A fault or a blame, by its kind and the measured pairs that it loses."""

    kind: str
    mask: int


def parts_of(place: Place, board: Board, doubtful: int = 0) -> Part:
    """A blamed place as a part. Only here the blame's own word is taken for which pairs it means."""
    if place.kind is BlameKind.ADDRESS:
        return Part("address", doubtful)
    mask = 0
    for number, row in enumerate(rows_of(board.world)):
        for t in ones(place.targets(number) & row[0]):
            mask |= row[1][t]
    return Part(place.kind.value, mask & ~doubtful)


@lru_cache(maxsize=64)
def rows_of(world: World) -> list[tuple[int, dict[int, int]]]:
    """For each device its measured targets, and the bit of each pair."""
    number = LossMatrix(world.all).grid.number
    rows: list[dict[int, int]] = [{} for _ in world.all]
    for i, (s, t) in enumerate(world.pairs):
        rows[number[s.node, s.device]][number[t.node, t.device]] = 1 << i
    return [(sum(1 << t for t in row), row) for row in rows]


def judge(world: World, faults: Iterable[Fault], tally: Counter[str], flips: int = 0) -> None:
    """Let one scenario be explained, and count what became of it.

    ``flips`` are pairs of devices with one address that are lost by chance: which of them answers is nobody's fault.
    """
    board = board_of(world)
    masks = {f: f.pairs(board) for f in faults}
    lost = world_of.union(masks.values())
    # What devices with one address lose is held against nobody else: it is told as the address.
    doubtful = board.sent(world.shared) | board.received(world.shared)
    tally["scenarios"] += 1
    if not lost | flips:
        tally["nothing to see"] += 1
        return
    masks = {f: m & ~doubtful for f, m in masks.items()}
    seen = visible({f: m for f, m in masks.items() if m})
    covers, known = world_of.smallest(board, lost & ~doubtful, len(seen), ~doubtful) if seen else ([frozenset()], {})
    if not covers:  # other faults took the life of a VLAN's group: its devices are as good as dead
        tally["not shown"] += 1
        return
    possible = [frozenset(Part(f.kind, known[f]) for f in c) for c in covers]
    alone = all((lost | flips) & doubtful & ~world_of.union(f.pairs(board) for f in c) for c in covers)
    address = frozenset({Part("address", doubtful)}) if doubtful and alone else frozenset()
    found = localise(matrix_of(world, lost | flips), sides_of(world))
    score(tally, board, seen, possible, address, found.blames, doubtful if (lost | flips) & doubtful else 0)


def visible(masks: dict[Fault, int]) -> dict[Fault, int]:
    """The faults without those that lose nothing that the others do not lose."""
    kept = dict(masks)
    for fault in sorted(masks, key=lambda f: masks[f].bit_count()):
        if not masks[fault] & ~world_of.union(m for f, m in kept.items() if f != fault):
            del kept[fault]
    return kept


def score(
    tally: Counter[str],
    board: Board,
    seen: dict[Fault, int],
    covers: list[frozenset[Part]],
    address: frozenset[Part],
    blames: Iterable[Blame],
    doubtful: int,
) -> None:
    """Compare what was blamed with what is broken and with what could be known."""
    truth = {Part(f.kind, canonical(f, m, seen, covers)) for f, m in seen.items()} | address
    covers = [c | address for c in covers]
    # That devices share an address is a fact: to tell of what they lose there is never wrong.
    possible = frozenset().union(*covers) | ({Part("address", doubtful)} if doubtful else frozenset())
    certain = frozenset.intersection(*covers) & truth if covers else frozenset()
    unique = len(covers) == 1 and covers[0] == truth
    blamed: dict[Part, set[Part]] = {}
    for blame in blames:
        assert blame.place is not None
        blamed[parts_of(blame.place, board, doubtful)] = {parts_of(p, board, doubtful) for p in blame.others}
    told = set(blamed).union(*blamed.values()) if blamed else set()
    tally["parts"] += len(truth)
    tally["certain"] += len(certain)
    tally["certain, blamed"] += len(certain & set(blamed))
    tally["blamed"] += len(blamed)
    tally["blamed, right"] += len(truth & set(blamed))
    tally["blamed, possible"] += len((possible - truth) & set(blamed))
    tally["blamed, wrong"] += len(set(blamed) - possible - truth)
    tally["hits of all"] += len(truth & set(blamed))
    tally["unique"] += unique
    tally["unique, exact"] += unique and set(blamed) == truth
    open_parts = truth - certain
    tally["not certain"] += len(open_parts & possible)
    tally["not certain, named"] += len(open_parts & possible & told)
    tally["hidden by simpler"] += len(open_parts - possible)
    tally["not smallest"] += sum(p.kind != "address" for p in blamed) > len(covers[0] - address)


def canonical(fault: Fault, mask: int, seen: dict[Fault, int], covers: list[frozenset[Part]]) -> int:
    """A split's pairs as the smallest sets have it: to which group a dead device belongs no ping can say."""
    if fault.kind != "split":
        return mask
    others = world_of.union(m for f, m in seen.items() if f != fault)
    for part in frozenset().union(*covers):
        if part.kind == "split" and not (part.mask ^ mask) & ~others:
            return part.mask
    return mask
