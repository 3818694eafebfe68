# SPDX-License-Identifier: Apache-2.0
"""Which run folders may go: a nightly job fills a disk, and evidence that somebody still needs must stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakuna.reports.history import Entry
from hakuna.stages.holder import Holder
from hakuna.stages.journal import Journal


@dataclass(frozen=True)
class Folder:
    """One run's folder: when it began, of which cluster, and why it must stay ("" if it need not)."""

    path: Path
    cluster: str
    started: float
    stays: str = ""


def folders(reports: Path, runs: Sequence[Entry]) -> list[Folder]:
    """Every run folder, the newest first. The last good run of a cluster stays: others are compared with it."""
    last_good = {run.cluster: run.id for run in runs if run.good}
    found = []
    for path in reports.glob("*/run.json"):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            cluster = str(data["inventory"]["cluster"])
            found.append(_folder(path.parent, cluster, data, last_good.get(cluster, "")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            found.append(Folder(path.parent, "", 0.0, f"its run.json cannot be read ({type(error).__name__})"))
    return sorted(found, key=lambda f: (f.started, f.path.name), reverse=True)


def to_go(found: Iterable[Folder], keep: int) -> list[Folder]:
    """Those beyond the newest ``keep`` of each cluster that need not stay."""
    seen: dict[str, int] = {}
    out = []
    for folder in found:
        seen[folder.cluster] = seen.get(folder.cluster, 0) + 1
        if seen[folder.cluster] > keep and not folder.stays:
            out.append(folder)
    return out


def remove(folder: Folder) -> None:
    """Remove a run's folder; it has another name from the first moment, so that nobody meets half of it.

    Raises:
        OSError: it cannot be removed.
    """
    aside = folder.path.with_name(f".going-{folder.path.name}")
    folder.path.rename(aside)
    shutil.rmtree(aside)


def _folder(path: Path, cluster: str, data: dict[str, Any], last_good: str) -> Folder:
    journal = Journal(path)
    begun = journal.last("run") or {}
    stays = ""
    if path.name == last_good:
        stays = "it is the last good run"
    elif journal.last("end") is None and Holder(**data["holder"]).alive() is not False:
        stays = "it may still be going on"
    elif journal.traces() and not data.get("replay_of"):
        stays = "something of it may still be on the nodes (hakuna down)"
    return Folder(path, cluster, float(begun.get("at", 0.0)), stays)
