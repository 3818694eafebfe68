# SPDX-License-Identifier: Apache-2.0
"""The machine that carries the lab: how programs are run on it, in a namespace of it, and what they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


class LabError(Exception):
    """The lab could not do what was asked for; the text is for a person."""


def run(words: Sequence[str], *, stdin: str = "", check: bool = True, seconds: float = 600) -> str:
    """Run a program to its end; its standard output.

    Raises:
        LabError: it failed (with what it said), unless ``check`` is off.
    """
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{words[0]}: {error}") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise LabError(f"{' '.join(words)[:200]}: exit {done.returncode}: {said}")
    return done.stdout


@dataclass(frozen=True)
class Process:
    """A process of the machine, told apart from later ones with the same number by its start time."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, start_of(pid))

    @property
    def alive(self) -> bool:
        return self.start != 0 and start_of(self.pid) == self.start

    def kill(self) -> None:
        """End it at once and wait until it is gone."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        wait_for(lambda: not self.alive, f"process {self.pid} to end", seconds=20)

    def inside(self, *words: str) -> list[str]:
        """The command that runs ``words`` in the namespaces of this process (all but its cgroups)."""
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-n", "-i", "-p", "--", *words]

    def beside(self, *words: str) -> list[str]:
        """The command that runs ``words`` in its network namespace alone."""
        return ["nsenter", "-t", str(self.pid), "-n", "--", *words]


def start_of(pid: int) -> int:
    """Field 22 of /proc/PID/stat (proc(5)); 0 for no such process, or one that has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait until ``condition`` holds.

    Raises:
        LabError: it did not come to hold in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise LabError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.02)  # any condition: there is no event for it


def marked(mark: str) -> list[int]:
    """The processes whose environment has the entry ``mark``, other than this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = entry.read_bytes()
        except OSError:
            continue  # it has just ended
        if mark.encode() in text.split(b"\0") and int(entry.parent.name) != os.getpid():
            found.append(int(entry.parent.name))
    return found
