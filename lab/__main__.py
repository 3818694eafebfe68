# SPDX-License-Identifier: Apache-2.0
"""The command line: ``python -m lab up | down | status | fault``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

from lab import build, disasters, faults, needs
from lab.machine import LabError
from lab.plan import ENGINES, MAX_DEVICES, MAX_NODES, Plan
from lab.twin import packages as twin


def _count(most: int) -> Callable[[str], int]:
    def read(word: str) -> int:
        number = int(word)
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f"between 1 and {most}")
        return number

    return read


def say(text: str) -> None:
    sys.stdout.write(f"lab: {text}\n")
    sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m lab", description="Real hosts on one machine, for Hakuna.")
    commands = made.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="build the lab and write lab/inventory.yaml")
    up.add_argument("--nodes", type=_count(MAX_NODES), default=2)
    up.add_argument("--devices", type=_count(MAX_DEVICES), default=8)
    up.add_argument("--bare", action="store_true", help="networks and sshd only: no container engine, no Ray")
    up.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="what runs the containers")
    up.add_argument("--lmdeploy", metavar="VERSION", default="", help="serve with this real LMDeploy, on the CPU twin")
    prepare = commands.add_parser("prepare", help="make what a lab with the real LMDeploy is made of, and no lab")
    prepare.add_argument("--lmdeploy", metavar="VERSION", required=True)
    commands.add_parser("down", help="take the lab down; nothing of it is left")
    fault = commands.add_parser("fault", help="break something for real: NAME[@PLACE], clear, or list")
    fault.add_argument("what", nargs="+", metavar="NAME[@PLACE]")
    disaster = commands.add_parser("disaster", help="let something befall a host in the middle of a run: NAME@HOST")
    disaster.add_argument("what", metavar="NAME@HOST")
    disaster.add_argument("--mend", action="store_true", help="make the host whole again")
    commands.add_parser("status", help="whether a lab is up, and what is wrong with it on purpose")
    return made


def _fault(lab: build.Lab, what: Sequence[str]) -> None:
    for word in what:
        if word == "clear":
            for mended in faults.mend(lab):
                say(f"mended {mended}")
        elif word == "list":
            for name, fault in faults.CATALOGUE.items():
                say(f"{name:16} {fault.rule}  {fault.scope:7} {fault.words}")
        else:
            name, _, place = word.partition("@")
            say(f"{name} is at {faults.put_in(lab, name, place)}")


def _disaster(what: str, *, mend: bool) -> None:
    name, at, place = what.partition("@")
    if name not in disasters.CATALOGUE or not at:
        told = "\n".join(f"  {n:13} {d.words}" for n, d in disasters.CATALOGUE.items())
        raise LabError(f"{what!r} is no NAME@HOST; names are\n{told}")
    (disasters.mend if mend else disasters.strike)(name, place)


def _look_after(options: argparse.Namespace) -> int:
    """What needs a lab that is up."""
    lab = build.find()
    if lab is None:
        say("no lab is up")
        return 1
    if options.command == "disaster":
        _disaster(options.what, mend=options.mend)
    elif options.command == "fault":
        _fault(lab, options.what)
    else:
        say(f"{lab.plan.nodes} hosts x {lab.plan.devices} devices")
        for name, place in faults.active():
            say(f"fault {name}@{place}: {faults.CATALOGUE[name].words}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a half-built lab is taken down
    try:
        if options.command == "up":
            build.up(Plan(options.nodes, options.devices, options.bare, options.engine, options.lmdeploy), say)
        elif options.command == "prepare":
            needs.require_root()
            needs.install(Plan(lmdeploy=options.lmdeploy), say)
            twin.prepare(options.lmdeploy, say)
        elif options.command == "down":
            build.down(say)
        else:
            return _look_after(options)
    except LabError as error:
        for told in (error.__context__, error):
            if told is not None:
                say(str(told))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
