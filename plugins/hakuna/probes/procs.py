# SPDX-License-Identifier: Apache-2.0
"""Processes of a node: found by their arguments or by a run's label, watched, and ended if they are the run's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hakuna.evidence import Command
from hakuna.probes.reading import UnparsedError
from hakuna.probes.scripts import LISTED, script
from hakuna.probes.texts import clean, shown, unknown

#: The environment entry that every process of a run carries.
LABEL = "HAKUNA_RUN"


@dataclass(frozen=True)
class Process:
    """One process. ``start`` is in clock ticks since boot: with it a process id is unique for the boot.

    ``env`` holds only the names that matter to a deployment; ``nofile`` is the soft limit (None: not to be seen,
    2**63-1: unlimited).
    """

    pid: int
    start: int
    ppid: int
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    nofile: int | None = None

    @property
    def run(self) -> str:
        """The id of the run that started it; empty if none did."""
        return self.env.get(LABEL, "")


#: What one look found.
Processes = tuple[Process, ...]


def is_listed(name: str) -> bool:
    """Whether ``hakuna-procs`` reads a variable of that name at all; others may hold secrets."""
    return name.startswith(LISTED)


def labelled(run: str = "") -> str:
    """The pattern for the processes of a run, or, with no run, of any run."""
    return f"{LABEL}={run}"


def procs(name: str, *patterns: str) -> Command:
    """Look for processes whose arguments contain a pattern (or whose environment begins one, for ``HAKUNA_RUN=``)."""
    return script("procs", *patterns, id=f"procs.{name}", deadline=30.0, lane="procs", sudo=True)


def kill(run: str, signal: str, pids: Iterable[int]) -> Command:
    """Send ``signal`` ("TERM") to those of ``pids`` that carry the run's label; others are left alone."""
    return script("kill", run, signal, *(str(p) for p in pids), id="kill", mutates=True, sudo=True)


def alive(pid: int) -> Command:
    return script("alive", str(pid), id="server.alive")


def parse_procs(text: str) -> Processes:
    """Read what ``hakuna-procs`` printed.

    Raises:
        UnparsedError: a cut output, a line out of place, or fewer processes than it says at its end.
    """
    found: list[Process] = []
    head: tuple[int, int, int] | None = None
    argv: list[str] = []
    env: dict[str, str] = {}
    nofile: int | None = None
    for row in clean(text).split("\n"):
        word, _, rest = row.partition(" ")
        if word == "process" and (match := re.fullmatch(r"(\d{1,20}) (\d{1,20}) (\d{1,20})", rest.strip())):
            head = (int(match.group(1)), int(match.group(2)), int(match.group(3)))
            argv, env, nofile = [], {}, None
        elif word == "arg" and head:
            argv.append(rest)
        elif word == "env" and head:
            name, _, value = rest.partition("=")
            env[name] = value
        elif word == "limit" and head and rest.startswith("nofile "):
            soft = rest[7:].strip()
            nofile = int(soft) if soft.isdecimal() else 2**63 - 1
        elif row.strip() == "end" and head:
            found.append(Process(*head, tuple(argv), env, nofile))
            head = None
        elif word == "procs-end" and not head:
            if rest.strip() != str(len(found)):
                raise UnparsedError(f"hakuna-procs: {rest.strip()} announced, {len(found)} listed")
            return tuple(found)
        elif head:
            raise UnparsedError(f"hakuna-procs: not a line of a process: {shown(row)!r}")
    raise unknown("hakuna-procs", text)


def parse_alive(text: str) -> bool:
    """Read what ``hakuna-alive`` printed.

    Raises:
        UnparsedError: any other text.
    """
    words = clean(text).split()
    if words not in (["alive"], ["gone"]):
        raise unknown("hakuna-alive", text)
    return words == ["alive"]


def parse_kill(text: str) -> Mapping[int, str]:
    """Read what ``hakuna-kill`` printed: "killed", "gone" or "foreign" by process id.

    Raises:
        UnparsedError: the end mark is missing.
    """
    rows = [x.strip() for x in clean(text).split("\n")]
    if "kill-end" not in rows:
        raise unknown("hakuna-kill", text)
    matches = (re.fullmatch(r"(killed|gone|foreign) (\d{1,20})", x) for x in rows)
    return {int(m.group(2)): m.group(1) for m in matches if m}
