# SPDX-License-Identifier: Apache-2.0
"""Cells for the judges of the mesh: small matrices with faults of every kind, and all that is said of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import test_mesh_blame as scenes
from cases import Case

from hakuna.inventory.model import Layout
from hakuna.judgement.mesh_again import to_ask_again
from hakuna.judgement.mesh_blame import Localisation, Sides, localise, matrix_of
from hakuna.judgement.mesh_matrix import Count, LossMatrix
from hakuna.judgement.mesh_places import Pair
from hakuna.judgement.mesh_schedule import MeshMode
from hakuna.where import Where
from support import mesh_score
from support import mesh_world as world_of
from support.mesh_world import World

#: So many random worlds with one to three faults are looked at besides those made by hand.
DRAWN = 160
LOSSY = 24


def mesh_cases() -> list[Case]:
    return [*_by_hand(), *_drawn(), *_lossy()]


def _told(found: Localisation) -> object:
    """All that is said, words included."""
    blames = tuple(
        (
            b.kind,
            b.where,
            b.loss,
            b.explained,
            b.evidence,
            round(b.percent, 6),
            b.sources,
            b.words,
            b.probe,
            len(b.others),
        )
        for b in found.blames
    )
    return blames, found.chance


def _case(name: str, matrix: LossMatrix, sides: Sides | None = None, layout: Layout = Layout.SWITCHED) -> Case:
    return Case(f"mesh {name}", lambda: _told(localise(matrix, sides, layout)))


def _counted(name: str, mesh: dict[Pair, Count], layout: Layout = Layout.SWITCHED) -> Case:
    """The same from single pings, as of those that were asked again."""

    def call() -> object:
        return _told(localise(_matrix(mesh, layout), None, layout)), to_ask_again(mesh)

    return Case(f"mesh {name}", call)


def _by_hand() -> Iterator[Case]:
    for layout, listed in ((Layout.SWITCHED, scenes.SINGLE), (Layout.RAIL, scenes.RAILS)):
        for number, (nodes, fault, *_) in enumerate(listed):
            for loss in (scenes.DEAD, scenes.THIRD, scenes.REFUSED):
                mesh = scenes.lose(scenes.mesh(nodes, 4), fault, loss=loss)
                yield _counted(f"{layout.value} {number} {loss}", mesh, layout)
    half = {p: c for p, c in scenes.lose(scenes.mesh(4, 4), scenes.at("node-b/3")).items() if "node-c" not in p[1].node}
    for layout in Layout:
        yield _counted(f"{layout.value} half", half, layout)
    yield _counted("a rail is gone", scenes.lose(scenes.mesh(4, 4), lambda s, t: 3 in (s.device, t.device)))
    world = World(3, 4, netmasks=((Where("node-01", 3), 24),))
    board = mesh_score.board_of(world)
    masked = world.netmask(Where("node-01", 3)).pairs(board)
    yield _case("a netmask", mesh_score.matrix_of(world, masked), mesh_score.sides_of(world))
    twins = World(2, 4, shared=(Where("node-00", 3), Where("node-01", 1)))
    lone = mesh_score.board_of(twins).sent(twins.shared[:1])
    yield _case("one address twice", mesh_score.matrix_of(twins, lone), mesh_score.sides_of(twins))
    lost = scenes.lose(scenes.mesh(4, 4), scenes.at("node-b/3"))
    apart = {p: c for p, c in lost.items() if (p[0].node in "node-a node-b") == (p[1].node in "node-a node-b")}
    for layout in Layout:
        yield _counted(f"{layout.value} two and two", apart, layout)


def _matrix(mesh: dict[Pair, Count], layout: Layout = Layout.SWITCHED) -> LossMatrix:
    return matrix_of([(Where.pair(*pair), count) for pair, count in mesh.items()], layout=layout)


def _drawn() -> Iterator[Case]:
    dice = random.Random(5)  # the same worlds each time
    for number in range(DRAWN):
        nodes, devices = dice.choice(((2, 2), (2, 4), (3, 2), (4, 2), (3, 3), (5, 2)))
        leaf = dice.choice((0, 1, 2))
        world = World(nodes, devices, prefix=dice.choice((16, 24)), leaf_nodes=leaf if leaf < nodes else 0)
        if number % 8 == 3:
            world = World(6, 2, MeshMode.SAMPLED)
        if number % 10 == 0:
            world = World(nodes, devices, shared=tuple(dice.sample(world.all, 2)))
        faults = []
        for _ in range(dice.randint(1, 3)):
            world, fault = world_of.draw(dice, world)
            faults.append(fault)
        board = mesh_score.board_of(world)
        lost = world_of.union(f.pairs(board) for f in faults)
        if world.shared:
            lost |= board.sent(world.shared[:1])
        yield _case(f"drawn {number}", mesh_score.matrix_of(world, lost), mesh_score.sides_of(world))


def _lossy() -> Iterator[Case]:
    dice = random.Random(7)  # the same worlds each time
    for number in range(LOSSY):
        mesh = scenes.mesh(3, 2 + number % 2)
        devices = sorted({s for s, _ in mesh})
        bad = dice.sample(devices, 1 + number % 2)
        dead = dice.choice(devices) if number % 3 == 0 else None
        share, packets = dice.choice((0.2, 0.4, 0.6)), dice.choice((3, 20))
        counted = Counter(d for d in bad)
        for pair in mesh:
            chance = share * sum(counted[d] for d in pair)
            came = sum(dice.random() >= chance for _ in range(packets))
            mesh[pair] = Count(packets, 0 if dead in pair else came)
        yield _counted(f"lossy {number}", mesh)
