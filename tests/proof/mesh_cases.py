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
from hakuna.judgement.mesh_blame import Localisation, Loss, Sides, localise, matrix_of
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
#: Seeds of worlds with four faults in which the order and the choice of what is tried tell.
HARD = (165, 172, 774, 1079, 3266)
#: Pairs without a common cause: more than are named one by one.
MANY = 80


def mesh_cases() -> list[Case]:
    return [*_by_hand(), *_drawn(), *_lossy(), *_scattered(), *_small()]


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
    apart = tuple(tuple(b.where for b in found.of(loss)) for loss in Loss)
    return blames, apart, found.chance


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
        world = _world(dice)
        if number % 8 == 3:
            world = World(6, 2, MeshMode.SAMPLED)
        if number % 10 == 0:
            world = World(world.nodes, world.devices, shared=tuple(dice.sample(world.all, 2)))
        yield _of_world(f"drawn {number}", dice, world, dice.randint(1, 3))
    for seed in HARD:
        dice = random.Random(seed)
        world = World(6, 2, MeshMode.SAMPLED) if seed % 2 else _world(dice)
        yield _of_world(f"hard {seed}", dice, world, 4)


def _world(dice: random.Random) -> World:
    nodes, devices = dice.choice(((2, 2), (2, 4), (3, 2), (4, 2), (3, 3), (5, 2)))
    leaf = dice.choice((0, 1, 2))
    return World(nodes, devices, prefix=dice.choice((16, 24)), leaf_nodes=leaf if leaf < nodes else 0)


def _of_world(name: str, dice: random.Random, world: World, count: int) -> Case:
    faults = []
    for _ in range(count):
        world, fault = world_of.draw(dice, world)
        faults.append(fault)
    board = mesh_score.board_of(world)
    lost = world_of.union(f.pairs(board) for f in faults)
    if world.shared:
        lost |= board.sent(world.shared[:1])
    return _case(name, mesh_score.matrix_of(world, lost), mesh_score.sides_of(world))


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


def _scattered() -> Iterator[Case]:
    """So many single pairs that they are told together, beside a dead device; lost, or lossy."""
    dice = random.Random(11)  # the same pairs each time
    for number, loss in enumerate((scenes.DEAD, scenes.THIRD)):
        mesh = scenes.lose(scenes.mesh(8, 4), scenes.at("node-b/3"))
        chosen = set(dice.sample(sorted(p for p, c in mesh.items() if c.received), MANY))
        yield _counted(f"scattered {number}", scenes.lose(mesh, lambda s, t: (s, t) in chosen, loss=loss))  # noqa: B023


def _small() -> Iterator[Case]:
    """Worlds so small, and losses so high, that a whole place may look dead by chance."""
    dice = random.Random(17)  # the same worlds each time
    for number in range(24):
        mesh = scenes.mesh(*dice.choice(((2, 2), (2, 3), (3, 2))))
        bad = dice.sample(sorted({s for s, _ in mesh}), 1 + number % 2)
        share, packets = dice.choice((0.5, 0.7, 0.8, 0.9)), dice.choice((2, 3, 5))
        for pair in mesh:
            chance = min(0.95, share * sum(b in pair for b in bad))
            mesh[pair] = Count(packets, sum(dice.random() >= chance for _ in range(packets)))
        yield _counted(f"small {number}", mesh)
