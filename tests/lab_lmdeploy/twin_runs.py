# SPDX-License-Identifier: Apache-2.0
"""Runs of Hakuna against the real LMDeploy, and LMDeploy alone, started by hand in what a run left up."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.plan import INVENTORY, MODEL, REPOSITORY
from lab_runs import Told, environment, run
from ruamel.yaml import YAML

from lab import image, machine

PATIENCE = 1500
SENTENCE = ", it means no worries for the rest of your days"
GENERATION = ("GEN801", "GEN802", "GEN805", "GEN811")


@dataclass(frozen=True)
class Alone:
    """What LMDeploy did without Hakuna: how long until it ended, and its log."""

    seconds: float
    log: str


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
    return told, seconds


def report(text: str) -> None:
    """For the person who reads the test's output."""
    sys.stdout.write(f"\n{text}\n")


def evidence(folder: Path) -> Path:
    """Where the newest run has its evidence."""
    return max(folder.glob("*/evidence"), key=lambda p: p.stat().st_mtime)


def stages(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((evidence(folder).parent / "findings.json").read_text(encoding="utf-8"))
    return data


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
def ray_up(folder: Path, *more: str, **changes: dict[str, Any]) -> Iterator[None]:
    """Containers and Ray as Hakuna brings them up, and leaves them for a while."""
    option = inventory(folder, **changes)
    told = run(folder, "--until=ray", "--keep", option, *more, seconds=PATIENCE)
    assert told.root_causes == (), told.output
    try:
        yield
    finally:
        words = [str(REPOSITORY / ".venv/bin/hakuna"), "down", "--inventory", option.partition("=")[2]]
        subprocess.run(words, env=environment(), check=False, capture_output=True, timeout=300)


def serve_by_hand(lab: Any, tp: int, env: dict[str, str] | None = None, seconds: float = 600) -> Alone:
    """The guide's command, typed in the head's container; until it ends by itself, or is ended."""
    head = lab.plan.hosts[0]
    given = {"RAY_ADDRESS": f"{lab.plan.host_ip(head)}:6379", **(env or {})}
    words = ["docker", "exec", *(w for k, v in given.items() for w in ("-e", f"{k}={v}")), "hakuna"]
    words += ["timeout", str(int(seconds)), "lmdeploy", "serve", "api_server", MODEL]
    words += ["--backend", "pytorch", "--device", "ascend", "--eager-mode", "--tp", str(tp)]
    begun = time.monotonic()
    done = subprocess.run(lab.host(head).inside(*words), capture_output=True, text=True, check=False)
    return Alone(time.monotonic() - begun, done.stdout + done.stderr)
