# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # a script, run by its path
"""The guide's section 5 side by side: loops over ssh, testinfra, Ansible, the floor, and Hakuna.

    python benchmarks/compare.py --json FILE [--hosts 2,16,64] [--repeat 3] [--venv FOLDER]

Everything in one run, the contenders by turns, so that a busy machine slows all of them; what counts are the ratios.
With ``--venv`` (where ansible-core and pytest-testinfra are) the slow contenders run too, once, at the smallest size.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median

import contenders
import script
from hosts import Bench, bench

from hakuna.inventory.model import Ssh

#: Pings in a row of each device, and seconds of one, in the runs with a ping of real length.
PINGS, SECONDS = 8, 1.0


def by_turns(ways: Mapping[str, Callable[[], None]], repeat: int) -> dict[str, float]:
    """The median time of each, all of them by turns; the first turn warms up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeat + 1):
        for name, way in ways.items():
            seconds = contenders.timed(way)
            if turn:
                times[name].append(seconds)
    return {name: round(median(found), 3) for name, found in times.items()}


def fast(made: Bench) -> dict[str, Callable[[], None]]:
    return {
        "floor": partial(contenders.floor, made),
        "floor, one call after the other": partial(contenders.one_by_one, made),
        "hakuna, its start alone": partial(contenders.start, made),
        "hakuna": partial(contenders.hakuna, made),
        "pytest --until=network": partial(contenders.whole, made),
    }


def slow(made: Bench, venv: Path) -> dict[str, Callable[[], None]]:
    return {
        "guide's loops over ssh": partial(contenders.loops, made),
        "testinfra, ssh": partial(contenders.testinfra, made, venv, "ssh"),
        "testinfra, paramiko": partial(contenders.testinfra, made, venv, "paramiko"),
        "ansible-playbook": partial(contenders.ansible, made, venv),
    }


def dead(size: int, green: float) -> dict[str, float]:
    """The same on hosts of which one lets every connection wait."""
    with tempfile.TemporaryDirectory(prefix="hakuna-bench-") as folder, bench(Path(folder) / "b", size, 1) as made:
        times = by_turns({"hakuna": partial(contenders.with_one_dead, made)}, 1)
    return {"all alive": green, "connect timeout": Ssh().connect_timeout} | times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", default="2,16,64")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--venv", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    venv = options.venv and options.venv.absolute()  # the contenders run in a folder of their own
    sizes = [int(n) for n in options.hosts.split(",")]
    out: dict[str, dict[str, float]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="hakuna-bench-") as folder, bench(Path(folder) / "b", size) as made:
            ways = fast(made)
            out[f"{size} hosts"] = by_turns(ways, options.repeat)
            starts = [contenders.first_command(made) for _ in range(options.repeat)]
            out[f"{size} hosts"]["pytest's start to its first command"] = round(median(starts), 3)
            if size == min(sizes) and venv:
                for name, way in slow(made, venv).items():
                    out[f"{size} hosts"][name] = round(contenders.timed(way), 3)
            made.wait(SECONDS)
            out[f"{size} hosts, 1 s per ping"] = {"floor of the schedule": PINGS * SECONDS} | by_turns(
                {"hakuna": partial(contenders.hakuna, made)}, 1
            )
        if size == max(sizes):
            out[f"{size} hosts, one of them dead"] = dead(size, out[f"{size} hosts"]["hakuna"])
        sys.stderr.write(json.dumps({k: v for k, v in out.items() if k.startswith(f"{size} ")}) + "\n")
    options.json.write_text(json.dumps(out, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    script.finish(main)
