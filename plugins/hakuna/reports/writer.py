# SPDX-License-Identifier: Apache-2.0
"""Writes a run's reports into its folder; each file is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hakuna.reports import findings_json, junit
from hakuna.reports.model import RunReport


@dataclass(frozen=True)
class Written:
    """One file of a run's reports: its name, and the pure function that gives its text."""

    name: str
    render: Callable[[RunReport], str]


#: All files, in the order of writing. A further one, such as a page for browsers, is one more entry.
WRITTEN: tuple[Written, ...] = (
    Written("findings.json", findings_json.render),
    Written("junit.xml", junit.render),
)


def write_all(report: RunReport, folder: Path) -> list[Path]:
    """Write every report into ``folder`` and give the paths.

    Raises:
        OSError: the folder cannot be written to.
    """
    return [write_whole(folder / written.name, written.render(report)) for written in WRITTEN]


def write_whole(path: Path, text: str) -> Path:
    """Write a file aside and rename it, so that a reader never meets half of it.

    Raises:
        OSError: it cannot be written; what was there before is as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(text.encode("utf-8", "replace"))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path
