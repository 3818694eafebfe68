# SPDX-License-Identifier: Apache-2.0
"""Runs of pytest against a lab, and what they found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.build import Lab
from lab.plan import INVENTORY, REPOSITORY

from lab import machine


@dataclass(frozen=True)
class Finding:
    rule: str
    where: str


@dataclass(frozen=True)
class Told:
    """What a run wrote into findings.json."""

    verdict: str
    root_causes: tuple[Finding, ...]
    unjudged: tuple[object, ...]
    blocked: tuple[str, ...]
    output: str


def command(reports: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "pytest", f"--inventory={INVENTORY}", f"--reports={reports}", "-q", *more]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "plugins")}


def newest(reports: Path) -> Path:
    """The folder of the last run that wrote its findings."""
    return max((p.parent for p in reports.glob("*/findings.json")), key=lambda p: p.name)


def mesh_of(report: Path) -> dict[tuple[str, str], str]:
    """What the report's page shows of each directed pair: its loss in per cent, or its word where nothing was read."""
    text = (report / "report.html").read_text(encoding="utf-8")
    drawing = text[text.index('<svg class="heat"') :].partition("</svg>")[0]
    squares = re.findall(r"<title>(\S+) → (\S+): ([^,<]+)[,<]", drawing)
    return {(source, target): loss.removesuffix("%") for source, target, loss in squares}


def run(reports: Path, *more: str, seconds: float = 400) -> Told:
    """One whole run, to its end."""
    before = set(reports.glob("*/"))
    done = subprocess.run(
        command(reports, *more),
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    output = done.stdout + done.stderr
    (folder,) = [f for f in reports.glob("*/") if f not in before and (f / "findings.json").exists()] or [None]
    assert folder is not None, output
    data = json.loads((folder / "findings.json").read_text())
    checks = data["checks"]
    return Told(
        data["verdict"],
        tuple(Finding(f["rule"], f["where"]) for c in checks for f in c["findings"] if f["verdict"] == "FAIL"),
        tuple(data["unjudged"]),
        tuple(c["rule"] for c in checks if c["verdict"] == "BLOCKED"),
        output,
    )


def journal(reports: Path) -> list[dict[str, Any]]:
    """The events of the last run, in order."""
    return [json.loads(row) for row in (newest(reports) / "journal.jsonl").read_text().splitlines()]


def down(reports: Path, inventory: Path = INVENTORY) -> subprocess.CompletedProcess[str]:
    """Take away what a run with --keep left up."""
    words = [str(REPOSITORY / ".venv/bin/hakuna"), "down", "--inventory", str(inventory), "--reports", str(reports)]
    return subprocess.run(words, env=environment(), capture_output=True, text=True, check=False, timeout=300)


def kill_raylet(lab: Lab, name: str) -> None:
    """End the raylet on a host, and nothing else of Ray."""
    raylets = 'case $(tr "\\0" "\\n" <$p/cmdline | head -n 1) in */raylet/raylet) kill -9 ${p#/proc/};; esac'
    machine.run(lab.host(name).inside("sh", "-c", f"for p in /proc/[0-9]*; do {raylets}; done"))
