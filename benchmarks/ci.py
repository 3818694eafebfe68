# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # a script, run by its path
"""The compact form for CI: fails when a ratio gets worse, never because a machine is slow.

python benchmarks/ci.py
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import contenders
import script
from compare import by_turns
from hosts import bench

#: Hakuna against its own start and one script per host over plain OpenSSH; 0.85 on a quiet machine of 2 cores.
MOST_OF_FLOOR = 1.3
#: How much faster than an eighth of the guide's loops the whole of it must be, at least.
LEAST_OF_LOOPS = 4.0
#: How many times more CPU a mesh of four times the pairs may take.
MOST_OF_GROWTH = 6.0


def growth(folder: Path) -> float:
    """CPU of judging a simulated rail mesh of 160 nodes over that of 80, without what a run costs anyway."""
    costs = {n: _cpu(folder, n) for n in (2, 80, 160)}
    return (costs[160] - costs[2]) / (costs[80] - costs[2])


def _cpu(folder: Path, nodes: int) -> float:
    rows = "".join(f"  - {{name: n{n}, address: n{n}, node_ip: 192.0.2.{n + 1}}}\n" for n in range(nodes))
    path = folder / f"{nodes}.yaml"
    path.write_text(f"cluster: c{nodes}\ntransport: simulated\nnodes:\n{rows}")
    words = ["--preflight", "--mesh=rail", "-q", "--tb=no", "-p", "no:cacheprovider"]
    argv = [sys.executable, "-m", "pytest", f"--inventory={path}", f"--reports={folder / 'reports'}", *words]
    return script.used(argv).cpu


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="hakuna-bench-") as name:
        folder = Path(name)
        with bench(folder / "b", 2) as made:
            ways = {
                "floor": partial(contenders.floor, made),
                "start": partial(contenders.start, made),
                "hakuna": partial(contenders.hakuna, made),
                "loops / 8": partial(contenders.loops, made, share=8),
            }
            times = by_turns(ways, 1)
        ratios = (
            ("hakuna / (its start + the floor)", times["hakuna"] / (times["start"] + times["floor"]), MOST_OF_FLOOR),
            ("hakuna / an eighth of the loops", times["hakuna"] / times["loops / 8"], 1 / LEAST_OF_LOOPS),
            ("CPU of 160 nodes / 80 nodes, 4 x the pairs", growth(folder), MOST_OF_GROWTH),
        )
    bad = 0
    for what, ratio, limit in ratios:
        bad += ratio > limit
        sys.stdout.write(f"{'LOST' if ratio > limit else 'ok  '}  {what}: {ratio:.2f} (at most {limit:g})\n")
    return int(bad > 0)


if __name__ == "__main__":
    script.finish(main)
