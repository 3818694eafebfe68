# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # a script, run by its path
"""What a green run of an idle cluster costs its controller in CPU, without a simulator's share.

    python benchmarks/idle.py --json FILE [--nodes 64]

A simulated run of all stages leaves its evidence. *Judging* is that run replayed: every parser and check, and the
reports. *Carrying* sends as many batches, with as many commands and answers of the same length, over ssh to as many
real hosts, and keeps them as evidence. Both are processes of their own, so Python's start is in the sum twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import contenders
import script
from hosts import Bench, bench
from sizes import one

from hakuna.evidence import Batch, Command
from hakuna.evidence.store import EvidenceStore
from hakuna.inventory import load
from hakuna.transports.ssh import SshTransport

#: Of so many turns the least counts: what else the machine does (its file system, above all) only adds to it.
TURNS = 3


def lengths(evidence: Path) -> list[tuple[str, list[list[tuple[str, int]]]]]:
    """Each batch of a run: its name, and for each node that was asked the commands with their answers' lengths."""
    store = EvidenceStore(evidence)
    names = sorted((p for p in evidence.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
    return [
        (name, [[(o.id, len(o.stdout)) for o in answer.outcomes.values()] for _, answer in store.each(name)])
        for name in (p.name for p in names if p.name not in ("http", "logs"))
    ]


def carry(folder: Path, inventory: Path) -> None:
    """Send as much to the hosts of the inventory as the file ``sent`` of that folder says, and keep the answers."""
    nodes = load(inventory).inventory
    transport = SshTransport(nodes)
    store, text = EvidenceStore(folder), str(folder / "text")
    for name, sent in json.loads((folder / "sent").read_text()):
        batches = {
            node.name: Batch(tuple(Command(i, ("head", "-c", str(size), text), query=True) for i, size in commands))
            for node, commands in zip(nodes.nodes, sent, strict=False)  # some batches go to the head alone
        }
        store.keep(name, batches, transport.run(name, batches))
    transport.close()


def _carrying(folder: Path, sent: str, made: Bench) -> list[str]:
    folder.mkdir()
    (folder / "sent").write_text(sent)
    (folder / "text").write_text("recv seq=0,time=0.150000ms\n" * 100_000)
    return [sys.executable, __file__, "--carry", str(folder), str(contenders.inventory(made))]


def measure(nodes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="hakuna-bench-") as name:
        folder = Path(name)
        one(folder, nodes, ())
        (run,) = (folder / "reports").glob("*/evidence")
        replay = ["-m", "pytest", f"--replay={run.parent}", f"--reports={folder / 'again'}", "-q", "--tb=no"]
        judging = min(script.used([sys.executable, *replay]).cpu for _ in range(TURNS))
        sent = json.dumps(lengths(run))
        with bench(folder / "b", nodes) as made:
            carrying = min(script.used(_carrying(folder / f"kept{turn}", sent, made)).cpu for turn in range(TURNS))
    return {"judging": round(judging, 2), "carrying": round(carrying, 2), "sum": round(judging + carrying, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--carry", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.carry:
        carry(*options.carry)
        return 0
    found = {f"{options.nodes} nodes, CPU seconds": measure(options.nodes)}
    sys.stderr.write(json.dumps(found) + "\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    script.finish(main)
