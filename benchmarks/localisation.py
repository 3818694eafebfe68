# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # a script, run by its path
"""How often the mesh's blame falls on what is broken: random faults in random clusters, and the time at 64 x 8.

    python benchmarks/localisation.py [SCENARIOS]

A scenario has 1 to 4 faults in 2 to 16 nodes of 2 to 8 devices: a dead device, one that cannot send or receive, a
node that is cut off, a pair that loses everything one way. Faults that the others hide (all of their pairs are lost
anyway) cannot be told and are not asked for. The same figures each time: the seed is fixed.
"""

from __future__ import annotations

import random
import sys
import time

from hakuna.inventory.model import Layout
from hakuna.judgement.mesh_blame import PairLoss, blame
from hakuna.judgement.mesh_schedule import MeshMode, schedule
from hakuna.where import Where

SEED = 20240101
FINE, DEAD = PairLoss(0.0), PairLoss(100.0)
Pairs = list[tuple[Where, Where]]


def mesh(nodes: int, devices: int) -> Pairs:
    """Every directed pair of a full mesh."""
    return list(schedule([(f"node-{n}", range(devices)) for n in range(nodes)], MeshMode.FULL).pairs)


def fault(dice: random.Random, nodes: int, pairs: Pairs) -> tuple[Where, frozenset[tuple[Where, Where]]]:
    """One random fault: where it is, and the pairs that it loses."""
    source, target = dice.choice(pairs)
    kind = dice.choice(("device", "out", "in", "pair", "node" if nodes > 2 else "device"))  # noqa: PLR2004  # of two, either
    if kind == "pair":
        return Where.pair(source, target), frozenset({(source, target)})
    place = Where(source.node) if kind == "node" else source
    lost = frozenset(
        p for p in pairs if (kind != "in" and place.covers(p[0])) or (kind != "out" and place.covers(p[1]))
    )
    return place, lost


def scenario(dice: random.Random, meshes: dict[tuple[int, int], Pairs]) -> tuple[set[Where], set[Where]]:
    """One scenario: the places that are broken, and those that are blamed."""
    nodes, devices = dice.randint(2, 16), dice.choice((2, 4, 8))
    size = nodes * devices
    if size > 32:  # noqa: PLR2004  # a large mesh costs as much as a hundred small ones: every tenth may be one
        nodes = nodes if dice.random() < 0.1 else max(2, 32 // devices)  # noqa: PLR2004
    pairs = meshes.setdefault((nodes, devices), mesh(nodes, devices))
    faults = [fault(dice, nodes, pairs) for _ in range(dice.randint(1, 4))]
    lost = frozenset().union(*(pairs_of for _, pairs_of in faults))
    told: set[Where] = set()
    for number, (where, own) in enumerate(faults):
        others = frozenset().union(*(p for i, (_, p) in enumerate(faults) if i != number))
        if own - others:
            told.add(where)
    blamed = {b.where for b in blame({p: DEAD if p in lost else FINE for p in pairs}, Layout.SWITCHED)}
    return told, blamed


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    dice = random.Random(SEED)  # noqa: S311  # scenarios, no secrets
    meshes: dict[tuple[int, int], Pairs] = {}
    hits = blamed_count = broken_count = exact = 0
    begun = time.perf_counter()
    for _ in range(count):
        broken, blamed = scenario(dice, meshes)
        hits += len(broken & blamed)
        blamed_count += len(blamed)
        broken_count += len(broken)
        exact += broken == blamed
    seconds = time.perf_counter() - begun
    pairs = mesh(64, 8)
    device = Where("node-7", 3)
    matrix = {p: DEAD if device in p else FINE for p in pairs}
    begun = time.perf_counter()
    blame(matrix, Layout.SWITCHED)
    large = time.perf_counter() - begun
    sys.stdout.write(
        f"scenarios  {count} in {seconds:.0f} s\n"
        f"precision  {hits / blamed_count:.4f}\n"
        f"recall     {hits / broken_count:.4f}\n"
        f"exact      {exact / count:.4f}\n"
        f"64 x 8     {len(pairs)} pairs judged in {large:.2f} s\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
