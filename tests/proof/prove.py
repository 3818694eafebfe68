# SPDX-License-Identifier: Apache-2.0
"""``make proof``: is every fault found exactly, is nothing else ever reported, and is every careless check noticed?

Prints rules, faults, exact detections, false alarms, mutants killed / all; writes docs/detection.md with ``--write``.
Ends with 1 unless every rule is tripped, every detection exact, no alarm false, no gibberish green and every mutant killed.
Two processes share the work.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("simulated", "judgement", "")), str(HERE.parent)]

import exactness  # noqa: E402  # the folder must be known first
from share import KINDS, Findings, Share, counts  # noqa: E402  # likewise

from hakuna.judgement.rules import BOOK  # noqa: E402  # likewise
from hakuna.simulator.catalogue import COMBINED  # noqa: E402  # likewise
from hakuna.suites import load_rules  # noqa: E402  # likewise
from pages import page  # noqa: E402  # likewise

DOCS = HERE.parents[1] / "docs" / "detection.md"
PROCESSES = 2


def work(pipe: Connection, number: int, folder: str, *, mutants: bool) -> None:
    """One process: build a share of the matrix, then try the mutants that it is asked for, near cells first."""
    share = Share(number, PROCESSES, Path(folder))
    pipe.send(share.build())
    if not mutants:
        return
    targets = share.targets()
    pipe.send([t.name for t in targets])
    for near in (True, False):
        asked = pipe.recv()
        pipe.send({i for i in asked if targets[i].dies(near=near)})
    left = pipe.recv()
    pipe.send({i for i in left if targets[i].dropped})
    left, dropped = pipe.recv()
    pipe.send([i for i in left if counts(targets[i], dropped=i in dropped)])


def survivors(pipes: list[Connection]) -> tuple[int, list[str]]:
    """How many mutants there are, and which of them nobody notices."""
    names = [pipe.recv() for pipe in pipes]
    assert all(n == names[0] for n in names), "the processes do not make the same mutants"
    left = set(range(len(names[0])))
    for _near in (True, False):
        _ask(pipes, sorted(left))
        left -= set().union(*(pipe.recv() for pipe in pipes))
    _ask(pipes, sorted(left))
    dropped = set().union(*(pipe.recv() for pipe in pipes))
    _ask(pipes, (sorted(left), dropped))
    answers = [pipe.recv() for pipe in pipes]
    real = answers[0]  # all of them know what the others left out
    return len(names[0]) - len(left) + len(real), [names[0][i] for i in real]


def _ask(pipes: list[Connection], question: object) -> None:
    for pipe in pipes:
        pipe.send(question)


def main(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help="write docs/detection.md")
    options.add_argument("--no-mutants", action="store_true")
    chosen = options.parse_args(arguments)
    begun = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    load_rules()
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        pipes: list[Connection] = []
        workers = []
        for number in range(PROCESSES):
            here, there = context.Pipe()
            mine = Path(folder, str(number))
            mine.mkdir()
            worker = context.Process(
                target=work, args=(there, number, str(mine)), kwargs={"mutants": not chosen.no_mutants}
            )
            worker.start()
            there.close()
            pipes.append(here)
            workers.append(worker)
        parts: list[Findings] = [pipe.recv() for pipe in pipes]
        say(f"matrix: {time.monotonic() - begun:.0f} s")
        count, left = (0, []) if chosen.no_mutants else survivors(pipes)
        for worker in workers:
            worker.join()
    own = [r for r in BOOK if exactness.own(r.code)]
    alarms, wrong, blind = ([t for p in parts for t in getattr(p, name)] for name in ("alarms", "wrong", "blind"))
    if chosen.write:
        rows = {name: row for p in parts for name, row in p.rows.items()}
        grid = {name: cells for p in parts for name, cells in p.grid.items()}
        DOCS.write_text(page(rows, grid, own), encoding="utf-8")
    false_alarms = [*alarms, *(w for w in wrong if "false alarm" in w)]
    inexact = {w.partition(":")[0] for w in wrong}
    for text in (*alarms, *wrong, *blind, *left):
        say(f"  {text}")
    tripped = {k.rule for k in KINDS.values()}
    say(f"rules              {len(own)}")
    say(f"rules with a fault {len(tripped)}")
    say(f"faults             {len(KINDS)}, and {len(COMBINED)} combinations")
    say(f"exact detections   {len(KINDS) + len(COMBINED) - len(inexact)} / {len(KINDS) + len(COMBINED)}")
    say(f"false alarms       {len(false_alarms)}")
    say(f"gibberish          {sum(p.garbled for p in parts)} kinds of evidence, {len(blind)} taken for green")
    say(f"mutants killed     {count - len(left)} / {count}")
    say(f"time               {time.monotonic() - begun:.0f} s")
    return 1 if alarms or wrong or blind or left or tripped != {r.code for r in own} else 0


if __name__ == "__main__":
    sys.exit(main())
