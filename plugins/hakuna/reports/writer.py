# SPDX-License-Identifier: Apache-2.0
"""Writes a run's reports into its folder; each file is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hakuna.reports import ctrf, drift, findings_json, history, junit, markdown, page, prometheus
from hakuna.reports.facts import Exhibits, gather
from hakuna.reports.facts.exhibits import Night
from hakuna.reports.model import RunReport


#: So many runs are on a page.
NIGHTS = 30


@dataclass(frozen=True)
class Written:
    """One file of a run's reports: its name, and the pure function that gives its text."""

    name: str
    render: Callable[[RunReport, Exhibits], str]


#: All files, in the order of writing: those that programs wait for come first.
WRITTEN: tuple[Written, ...] = (
    Written("findings.json", lambda report, _: findings_json.render(report)),
    Written("junit.xml", lambda report, _: junit.render(report)),
    Written("ctrf.json", lambda report, _: ctrf.render(report)),
    Written("hakuna.prom", prometheus.render),
    Written("summary.md", lambda report, _: markdown.render(report)),
    Written("report.html", page.render),
)


def write_all(report: RunReport, folder: Path) -> list[Path]:
    """Write every report into ``folder`` and give the paths.

    Raises:
        OSError: the folder cannot be written to.
    """
    exhibits = _exhibits(report, folder)
    return [write_whole(folder / written.name, written.render(report, exhibits)) for written in WRITTEN]


def publish(report: RunReport, folder: Path) -> list[str]:
    """Write every report of a run that has just ended, remember it, and put it on the job page if there is one.

    Gives sentences for the run's notes: what drifted since the last good run, and whatever could not be done
    besides the run's own files (it costs no run its reports).

    Raises:
        OSError: the run's own folder cannot be written to.
    """
    exhibits = _exhibits(report, folder)
    for written in WRITTEN:
        write_whole(folder / written.name, written.render(report, exhibits))
    said = []
    try:
        markdown.append_to_step(markdown.render(report))
    except OSError as error:
        said.append(f"the summary could not be put on the job page: {error}")
    drifted = [f"{name}: {before} -> {after}" for name, before, after in exhibits.drifted]
    if drifted:
        said.append(f"changed since the last good run {exhibits.last_good}: {'; '.join(drifted)}")
    if not report.replay_of:
        said += history.remember(folder.parent / history.NAME, history.entry_of(report, exhibits), exhibits.limits.keep_runs)
    return said


def _exhibits(report: RunReport, folder: Path) -> Exhibits:
    """What there is to show, with what changed since the last good run as far as it is remembered."""
    exhibits = gather(report)
    try:
        runs = history.entries(folder.parent / history.NAME, report.cluster, last=60)
    except history.HistoryError as error:
        return replace(exhibits, problems=(*exhibits.problems, str(error)))
    entry = history.entry_of(report, exhibits)
    good, changes = drift.since_good(history.good_before(runs, entry), entry, exhibits.limits)
    alike = [r for r in runs if r.simulated == entry.simulated and r.id != entry.id and r.started <= entry.started]
    shown = [*alike[1 - NIGHTS :], entry]
    rows = [((c.name, c.before, c.after), c.what) for c in changes]
    return replace(
        exhibits,
        last_good=good,
        nights=tuple(Night(r.id, r.started, r.verdict, {m.name: m.value for m in r.measures.values()}) for r in shown),
        since=tuple(row for row, _ in rows),
        drifted=tuple(row for row, what in rows if what in ("fact", "figure")),
    )


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
