# SPDX-License-Identifier: Apache-2.0
"""Real pytest sessions of Hakuna, as an operator types them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import warm

ROOT = Path(__file__).resolve().parents[2]
MOCK = ROOT / "inventory" / "mock.yaml"


@dataclass(frozen=True)
class Session:
    code: int
    text: str
    reports: Path

    @property
    def folders(self) -> list[Path]:
        found = sorted(self.reports.glob("*/run.json"), key=lambda p: p.stat().st_mtime_ns)
        return [p.parent for p in found]

    @property
    def folder(self) -> Path:
        return self.folders[-1]

    @property
    def findings(self) -> dict[str, Any]:
        return json.loads((self.folder / "findings.json").read_text())

    @property
    def verdict(self) -> str:
        return self.findings["verdict"]


def command(*arguments: str) -> list[str]:
    """The whole command line of a session."""
    return [sys.executable, "-m", "pytest", *options(*arguments)]


def options(*arguments: str) -> list[str]:
    cache = [] if any("cache_dir" in a for a in arguments) else ["-p", "no:cacheprovider"]
    # An operator has no hypothesis, which the tests of Hakuna itself need: its plugin takes longer than the session.
    return ["-p", "no:hypothesispytest", *cache, *arguments]


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_", "GITHUB_"))}
    return kept | {"NO_COLOR": "1", "COLUMNS": "100", "PYTHONPATH": str(ROOT / "plugins"), **more}


def start(*arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> warm.Session:
    """Begin a session; ``env`` is what is different in its environment."""
    return warm.start(options(*arguments), cwd, environment(**(env or {})))


def pytest_session(reports: Path, *arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Session:
    """Run pytest to its end; ``arguments`` come after the reports' folder, ``env`` over the environment."""
    session = start(f"--reports={reports}", *arguments, cwd=cwd, env=env)
    return Session(session.wait(300), session.text, reports)
