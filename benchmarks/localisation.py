# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # a script, run by its path
"""How often the mesh's blame falls on what is broken: random faults in random clusters, and the time at scale.

    python benchmarks/localisation.py [SCENARIOS] [--write]

A scenario has 1 to 4 faults of any kind in 2 to 16 nodes of 2 to 8 devices, pinged in full or in part. The faults are
sets of pings that are lost (tests/support/mesh_world.py); what is blamed is compared with them part by part
(tests/support/mesh_score.py). Which parts could be known at all is found by trying: all smallest sets of faults that
lose exactly the same pairs, with the same facts of the devices besides, are listed. A part that is in all of them is
*certain*: recall is over these. A blame that is in none of them is wrong. Where they differ, no method can know more:
such parts are counted by themselves, and what is asked then is that the blame names the truth among what it cannot tell
apart. The same figures each time: the seeds are fixed. ``--write`` puts them into docs/localisation.md.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from hakuna.judgement.mesh_blame import localise  # noqa: E402  # likewise
from hakuna.judgement.mesh_matrix import Count, LossMatrix  # noqa: E402  # likewise
from hakuna.judgement.mesh_places import device  # noqa: E402  # likewise
from hakuna.judgement.mesh_schedule import MeshMode  # noqa: E402  # likewise
from hakuna.where import Where  # noqa: E402  # likewise
from support import mesh_world as world_of  # noqa: E402  # the folder must be known first
from support.mesh_score import Part, board_of, judge, parts_of, sides_of, visible  # noqa: E402  # likewise
from support.mesh_world import Fault, World  # noqa: E402  # likewise

SEED = 20240101
CHUNKS = 400
DOCS = ROOT / "docs" / "localisation.md"


def random_world(dice: random.Random) -> World:
    """A cluster; large ones are drawn less often, for each costs as much as a hundred small ones."""
    nodes, devices = dice.randint(2, 16), dice.choice((2, 4, 8))
    if nodes * devices > 48 and dice.random() > 0.15:  # noqa: PLR2004  # a share
        nodes = max(2, 48 // devices)
    modes = (MeshMode.FULL,) * 6 + (MeshMode.RAIL, MeshMode.SAMPLED)
    leaf = dice.choice((0, 1, 2, 4))
    return World(nodes, devices, dice.choice(modes), dice.choice((16, 16, 24)), leaf if leaf < nodes else 0)


def scenario(dice: random.Random, tally: Counter[str]) -> None:
    """Draw one scenario, let it be explained, and count what became of it."""
    world, faults = random_world(dice), []
    for _ in range(dice.randint(1, 4)):
        world, fault = world_of.draw(dice, world)
        if not (fault.kind == "split" and any(f.kind == "split" for f in faults)):
            faults.append(fault)
    flips = 0
    if dice.random() < 0.1:  # noqa: PLR2004  # a share
        world = replace(world, shared=tuple(dice.sample(world.all, 2)))
        faults = [
            world.netmask(d) if f.kind == "netmask" else f
            for f in faults
            for d in world.all
            if f.kind != "netmask" or f.what == str(d)
        ]
        flips = sum(1 << i for i, (s, _) in enumerate(world.pairs) if s in world.shared and dice.random() < 0.5)  # noqa: PLR2004
    judge(world, faults, tally, flips)


# --- packets lost by halves -------------------------------------------------------------------------------------------


def lossy_scenario(dice: random.Random, tally: Counter[str], packets: int) -> None:
    """One or two places lose 15 to 60 % of their packets, and up to one device is dead."""
    world = replace(random_world(dice), mode=MeshMode.FULL)
    rates: dict[Fault, float] = {}
    for _ in range(dice.randint(1, 2)):
        kinds = _places(dice, world)
        rates[dice.choice(kinds)] = dice.uniform(0.15, 0.6)
    if dice.random() < 0.5:  # noqa: PLR2004  # half
        rates[world_of.device(dice.choice(world.all))] = 1.0
    _judge_lossy(dice, tally, packets, world, rates)


def mixed_scenario(dice: random.Random, tally: Counter[str], packets: int) -> None:
    """One to four places are at fault: at least one of them loses 15 to 60 % of its packets, the others all."""
    world = replace(random_world(dice), mode=MeshMode.FULL)
    rates: dict[Fault, float] = {}
    faults = dice.randint(1, 4)
    lossy = dice.randint(1, faults)
    for number in range(faults):
        place = dice.choice(_places(dice, world))
        rates[place] = dice.uniform(0.15, 0.6) if number < lossy else 1.0
    _judge_lossy(dice, tally, packets, world, rates)


def _places(dice: random.Random, world: World) -> list[Fault]:
    a, b = dice.choice(world.pairs)
    kinds = [world_of.device(a), world_of.device_out(a), world_of.device_in(a), world_of.pair(a, b)]
    kinds += [world_of.node(a.node)] if world.nodes > 2 else []  # noqa: PLR2004  # of two, either
    return kinds


def _judge_lossy(
    dice: random.Random, tally: Counter[str], packets: int, world: World, rates: dict[Fault, float]
) -> None:
    """Let the packets be lost, and count what is blamed for it."""
    matrix = LossMatrix(world.all, packets)
    board, counts = board_of(world), {}
    masks = {f: f.pairs(board) for f in rates}
    for i, (s, t) in enumerate(world.pairs):
        keep = 1.0
        for fault, rate in rates.items():
            keep *= 1 - rate if masks[fault] >> i & 1 else 1
        received = sum(dice.random() < keep for _ in range(packets))
        counts[s, t] = received
        matrix.add(s, t, Count(packets, received))
    seen = visible(
        {f: m for f, m in masks.items() if any(m >> i & 1 and counts[p] < packets for i, p in enumerate(world.pairs))}
    )
    truth = {Part(f.kind, m) for f, m in seen.items()}
    blamed: dict[int, set[int]] = {}
    for blame in localise(matrix, sides_of(world)).blames:
        assert blame.place is not None  # noqa: S101  # every blame has one
        blamed[parts_of(blame.place, board).mask] = {parts_of(p, board).mask for p in blame.others}
    real = {p.mask for p in truth}
    tally["lossy scenarios"] += 1
    tally["lossy parts"] += len(real)
    tally["lossy blamed"] += len(blamed)
    tally["lossy right"] += len(real & set(blamed))
    tally["lossy exact"] += real == set(blamed)


# --- running it -------------------------------------------------------------------------------------------------------


def chunk(number: int, count: int, lossy: int) -> Counter[str]:
    """A part of all scenarios, in a process of its own."""
    tally: Counter[str] = Counter()
    dice = random.Random(SEED + number)  # noqa: S311  # scenarios, no secrets
    for _ in range(count):
        scenario(dice, tally)
    for _ in range(lossy):
        for packets in (3, 20):
            own: Counter[str] = Counter()
            lossy_scenario(dice, own, packets)
            tally.update({f"{name} {packets}": n for name, n in own.items()})
    dice = random.Random(SEED + CHUNKS + number)  # noqa: S311  # likewise
    for _ in range(lossy):
        for packets in (3, 20):
            own = Counter()
            mixed_scenario(dice, own, packets)
            tally.update({f"mixed {name} {packets}": n for name, n in own.items()})
    return tally


def times() -> Iterable[tuple[str, int, float]]:
    """How long a mesh takes to be judged in which one device is dead."""
    for name, nodes, rail in (("64 x 8 full", 64, False), ("1024 x 8 rail", 1024, True)):
        matrix = LossMatrix(Where(f"node-{n:04}", d) for n in range(nodes) for d in range(8))
        grid = matrix.grid
        rails = [grid.bits(d for d in grid.devices if d.device == i) for i in range(8)]
        dead = device(grid, 59)
        for s, d in enumerate(grid.devices):
            matrix.known[s] = grid.everything & ~grid.node_bits[grid.node_of[s]] & (rails[d.device] if rail else -1)
            matrix.gone[s] = matrix.known[s] & dead.targets(s)
        begun = time.process_time()  # others may be at work on this machine
        (only,) = localise(matrix).blames
        assert only.where == grid.devices[59]  # noqa: S101  # else the time says nothing
        yield name, sum(row.bit_count() for row in matrix.known), time.process_time() - begun


def share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "none"


def report(t: Counter[str], seconds: float) -> list[str]:
    """The figures as lines."""
    judged = t["blamed"] - t["blamed, possible"]
    rows = [
        ("scenarios", f"{t['scenarios']:,} in {seconds:.0f} s"),
        ("precision", f"{share(judged - t['blamed, wrong'], judged)} of {judged:,} blamed parts"),
        ("recall", f"{share(t['certain, blamed'], t['certain'])} of {t['certain']:,} certain parts"),
        ("exact, where one answer is", f"{share(t['unique, exact'], t['unique'])} of {t['unique']:,} scenarios"),
        (
            "named, where several are",
            f"{share(t['not certain, named'], t['not certain'])} of {t['not certain']:,} parts",
        ),
        ("behind a simpler explanation", f"{t['hidden by simpler']:,} of {t['parts']:,} parts"),
        ("not shown, nothing to see", f"{t['not shown']:,}, {t['nothing to see']:,} scenarios"),
        ("more places than needed", f"{t['not smallest']:,} scenarios"),
        ("precision, nothing set aside", share(t["hits of all"], t["blamed"])),
        ("recall, nothing set aside", share(t["hits of all"], t["parts"])),
    ]
    for kind, name in (("lossy", "lossy ports"), ("mixed lossy", "lossy among 1 to 4")):
        for packets in (3, 20):
            own = {n: t[f"{kind} {n} {packets}"] for n in ("scenarios", "parts", "blamed", "right", "exact")}
            figures = f"precision {share(own['right'], own['blamed'])}, recall {share(own['right'], own['parts'])}"
            exact = f"exact {share(own['exact'], own['scenarios'])} of {own['scenarios']:,} scenarios"
            rows.append((f"{name}, {packets} packets", f"{figures}, {exact}"))
    rows += [(name, f"{n:,} pairs judged in {taken:.2f} s of processor time") for name, n, taken in times()]
    return [f"{name:<30} {text}" for name, text in rows]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("scenarios", nargs="?", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=1200, help="begin nothing more after so long")
    options.add_argument("--write", action="store_true", help="put the figures into docs/localisation.md")
    chosen = options.parse_args()
    begun = time.perf_counter()
    tally: Counter[str] = Counter()
    each = -(-chosen.scenarios // CHUNKS)
    with ProcessPoolExecutor(2) as pool:
        parts = [pool.submit(chunk, number, each, max(1, each // 25)) for number in range(CHUNKS)]
        for part in parts:
            if time.perf_counter() - begun > chosen.seconds and part.cancel():
                continue  # what is not done by then is left out, and the number of scenarios says so
            tally.update(part.result())
    lines = report(tally, time.perf_counter() - begun)
    sys.stdout.write("\n".join(lines) + "\n")
    if chosen.write:
        before, _, rest = DOCS.read_text(encoding="utf-8").partition("<!-- figures -->\n")
        after = rest.partition("<!-- end -->\n")[2]
        block = "\n".join(["```text", *lines, "```"])
        DOCS.write_text(f"{before}<!-- figures -->\n{block}\n<!-- end -->\n{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
