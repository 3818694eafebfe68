# SPDX-License-Identifier: Apache-2.0
"""Runs of Hakuna against the real LMDeploy, and what it found beside what LMDeploy says by itself."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab_runs
from lab.plan import INVENTORY
from lab_runs import Told, run
from ruamel.yaml import YAML

from lab import image, machine

PATIENCE = 1500
SENTENCE = ", it means no worries for the rest of your days"
GENERATION = frozenset(("GEN801", "GEN802", "GEN805", "GEN811"))
#: What each failure came to, told at the end of the session (conftest.py).
ROWS: list[str] = []


def inventory(folder: Path, **changes: dict[str, Any]) -> str:
    """The option for a copy of the lab's inventory with some sections' entries changed."""
    yaml = YAML()
    data = yaml.load(INVENTORY.read_text(encoding="utf-8"))
    for section, entries in changes.items():
        data.setdefault(section, {}).update(entries)
    path = folder / "inventory.yaml"
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(data, file)
    return f"--inventory={path}"


def hakuna(folder: Path, *more: str, **changes: dict[str, Any]) -> tuple[Told, float]:
    """One run, and the seconds that it took.

    LMDeploy 0.18.0 itself loses a race at its start now and then (zmq_engine.py: the parent ends the manager that its
    child has just let go of). That is told, and tried again once: it says nothing about Hakuna.
    """
    option = inventory(folder, **changes)
    for chance in (1, 2):
        begun = time.monotonic()
        told = run(folder, *more, option, seconds=PATIENCE)
        seconds = time.monotonic() - begun
        raced = [f.rule for f in told.root_causes] == ["SRV701"] and "EOFError" in told.output
        if not raced or chance == 2:  # the last one
            break
        report(f"LMDeploy died of its own start-up race after {seconds:.0f} s; once more\n{told.output[-1500:]}")
        down(folder)
    return told, seconds


def report(text: str) -> None:
    """For the person who reads the test's output, now and at the end."""
    ROWS.append(text.partition("\n")[0])
    sys.stdout.write(f"\n{text}\n")


def evidence(folder: Path) -> Path:
    """Where the newest run has its evidence."""
    return max(folder.glob("*/evidence"), key=lambda p: p.stat().st_mtime)


def findings(folder: Path) -> Any:
    """The newest run's findings.json."""
    return json.loads((evidence(folder).parent / "findings.json").read_text(encoding="utf-8"))


def causes(told: Told) -> list[tuple[str, str]]:
    return [(f.rule, f.where) for f in told.root_causes]


def on(lab: Any, host: str, script: str) -> str:
    return machine.run(lab.host(host).inside("sh", "-c", script))


@contextlib.contextmanager
def changed(lab: Any, hosts: tuple[str, ...], do: str, undo: str) -> Iterator[None]:
    """Something done on some hosts, and undone afterwards."""
    for host in hosts:
        on(lab, host, do)
    try:
        yield
    finally:
        for host in hosts:
            on(lab, host, undo)


def broken(lab: Any, how: str) -> contextlib.AbstractContextManager[None]:
    """LMDeploy's all-reduce lies on all hosts (lab/twin/site/dlinfer/framework/lmdeploy_ext/broken.py)."""
    file = f"{image.TWIN}/collective"
    return changed(lab, lab.plan.hosts, f"echo {how} >{file}", f"rm -f {file}")


@contextlib.contextmanager
def kept(folder: Path, *more: str, **changes: dict[str, Any]) -> Iterator[tuple[Told, float]]:
    """One run that leaves up what it brought up; it is taken down afterwards, wholly."""
    try:
        yield hakuna(folder, "--keep", *more, **changes)
    finally:
        done = down(folder)
    assert done.returncode == 0, done.stdout + done.stderr


def ray_up(folder: Path, **changes: dict[str, Any]) -> contextlib.AbstractContextManager[tuple[Told, float]]:
    """Containers and Ray as Hakuna brings them up, for a server that is started by hand."""
    return kept(folder, "--until=ray", **changes)


def down(folder: Path) -> subprocess.CompletedProcess[str]:
    """``hakuna down``, for what the newest run kept."""
    return lab_runs.down(folder, folder / "inventory.yaml")


def attach(folder: Path) -> tuple[Told, float]:
    """A look at what is up, with the inventory of the run that kept it."""
    begun = time.monotonic()
    told = run(folder, "--attach", f"--inventory={folder / 'inventory.yaml'}", seconds=PATIENCE)
    return told, time.monotonic() - begun
