# SPDX-License-Identifier: Apache-2.0
"""``history.sqlite``: what earlier runs came to, one row per run, check, measured figure and fact.

It stands beside the run folders. It helps and never costs: a file that is damaged is set aside, one that is locked
or cannot be written is told of, and the run has its reports in any case.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from hakuna.judgement.past import Past
from hakuna.judgement.verdict import RunVerdict
from hakuna.reports.facts import Exhibits, Measure
from hakuna.reports.model import RunReport

NAME = "history.sqlite"
#: So many runs of each cluster are remembered, unless its inventory says otherwise.
KEPT = 500
#: So many good runs say what is usual.
GOOD_RUNS = 14
_VERSION = 1
_PATIENCE = 15.0  # seconds that a writer waits for another one
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, cluster TEXT NOT NULL, inventory TEXT NOT NULL,
  mode TEXT NOT NULL, simulated INTEGER NOT NULL, started REAL NOT NULL, seconds REAL NOT NULL,
  verdict TEXT NOT NULL, whole INTEGER NOT NULL, problems TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS runs_by_cluster ON runs (cluster, started);
CREATE TABLE IF NOT EXISTS checks (run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, rule TEXT NOT NULL,
  verdict TEXT NOT NULL, places TEXT NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (run, rule));
CREATE TABLE IF NOT EXISTS measures (run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL,
  value REAL NOT NULL, unit TEXT NOT NULL, better TEXT NOT NULL, PRIMARY KEY (run, name));
CREATE TABLE IF NOT EXISTS facts (run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, place TEXT NOT NULL,
  name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, place, name));
CREATE TABLE IF NOT EXISTS accepted (run TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE);
"""


class HistoryError(Exception):
    """The history cannot be read or written; the text says why and what became of it."""


@dataclass(frozen=True)
class Check:
    """What one check came to: its verdict, and the places that are not green (the first ones)."""

    verdict: str
    places: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Entry:
    """One run as it is remembered. ``facts`` are versions, digests and addresses by place and name.

    ``whole`` says that all checks were asked for: only such a run is one that others are compared with.
    ``accepted`` says that somebody made it one that others are compared with although it is not READY.
    """

    id: str
    cluster: str
    inventory: str = ""
    mode: str = "full"
    simulated: bool = False
    started: float = 0.0
    seconds: float = 0.0
    verdict: str = RunVerdict.INCONCLUSIVE.value
    whole: bool = False
    problems: str = ""
    checks: dict[str, Check] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    facts: dict[tuple[str, str], str] = field(default_factory=dict)
    accepted: bool = False

    @property
    def good(self) -> bool:
        return self.accepted or (self.verdict == RunVerdict.READY.value and self.whole)


def entry_of(report: RunReport, exhibits: Exhibits) -> Entry:
    """What is worth remembering of a run."""
    facts: dict[tuple[str, str], str] = {}
    table = exhibits.versions
    for column, nodes in enumerate(table.columns):
        for node in nodes:
            facts |= {(node, row.name): row.values[column] for row in table.rows if row.values[column] != "?"}
    for host in exhibits.ranks.hosts:
        facts |= {(f"{host.name}/{r.device}", "device IP"): r.address for r in host.ranks if r.address}
        facts |= {(f"{host.name}/{r.device}", "rank"): str(r.rank) for r in host.ranks}
    checks = {
        r.rule: Check(
            r.verdict.value,
            tuple(dict.fromkeys(str(f.where) for f in r.findings if not f.verdict.green))[:16],
            r.seconds,
        )
        for r in report.results
    }
    return Entry(
        id=report.run_id,
        cluster=report.cluster,
        inventory=report.inventory_name,
        mode=report.mode,
        simulated=report.simulated,
        started=report.started,
        seconds=report.seconds,
        verdict=report.verdict.value,
        whole=report.mode == "full" and not report.problems and len(report.left_out) <= len(report.results) // 10,
        problems="; ".join(report.problems)[:1000],
        checks=checks,
        measures={m.name: m for m in exhibits.measures},
        facts=facts,
    )


def remember(path: Path, entry: Entry, kept: int = 0) -> list[str]:
    """Write a run into the history, and forget the oldest ones; gives a sentence for whatever went wrong."""
    said: list[str] = []
    try:
        with FileLock(str(path.with_suffix(".lock")), timeout=_PATIENCE):
            try:
                _write(path, entry, kept or KEPT)
            except sqlite3.OperationalError as error:  # locked, full, read-only: not the file's own fault
                said.append(f"the run is not in the history: {path}: {error}")
            except sqlite3.DatabaseError as error:
                aside = _set_aside(path)
                said.append(f"{path} was damaged ({error}): it was set aside as {aside.name} and a new one begun")
                _write(path, entry, kept or KEPT)
    except Timeout:
        said.append(f"the run is not in the history: another run has held {path} for {_PATIENCE:.0f} s")
    except (OSError, sqlite3.Error, HistoryError) as error:
        said.append(f"the run is not in the history: {error}")
    return said


def entries(path: Path, cluster: str = "", last: int = 0) -> list[Entry]:
    """The remembered runs, oldest first; only those of one cluster, or only the last ones, if asked for.

    Raises:
        HistoryError: the file cannot be read.
    """
    if not path.is_file():
        return []
    try:
        with _opened(path, read_only=True) as db:
            known = db.execute("SELECT name FROM sqlite_master WHERE name = 'accepted'").fetchone()
            accepted = {row[0] for row in db.execute("SELECT run FROM accepted")} if known else set()
            query = "SELECT * FROM runs WHERE cluster = ? OR ? = '' ORDER BY started DESC, id DESC LIMIT ?"
            rows = db.execute(query, (cluster, cluster, last or -1)).fetchall()
            return [_load(db, row, accepted=row[0] in accepted) for row in reversed(rows)]
    except sqlite3.Error as error:
        raise HistoryError(f"{path} cannot be read: {error}") from None


def past_of(good: list[Entry]) -> Past:
    """What the last good runs found, as a run that begins now takes it along."""
    if not good:
        return Past()
    names = sorted({name for run in good for name in run.measures})
    series = {n: tuple(run.measures[n].value for run in good if n in run.measures) for n in names}
    return Past(good[-1].id, good[-1].facts, series)


def accept(path: Path, run: str) -> None:
    """Make a run one that others are compared with.

    Raises:
        HistoryError: it cannot be written.
    """
    try:
        with FileLock(str(path.with_suffix(".lock")), timeout=_PATIENCE), _opened(path) as db:
            db.executescript(_TABLES)
            db.execute("INSERT OR IGNORE INTO accepted VALUES (?)", (run,))
    except (OSError, sqlite3.Error, Timeout) as error:
        raise HistoryError(f"{path} cannot be written: {error}") from None


def good_before(runs: list[Entry], entry: Entry, most: int = GOOD_RUNS) -> list[Entry]:
    """The last good runs before ``entry`` on the same cluster and of the same kind, oldest first.

    None of them is older than the last one that somebody accepted: what was usual before that is usual no more.
    """
    same = [
        r
        for r in runs
        if r.good
        and r.id != entry.id
        and r.started <= entry.started
        and (r.cluster, r.simulated) == (entry.cluster, entry.simulated)
    ]
    begin = max((i for i, r in enumerate(same) if r.accepted), default=0)
    return same[begin:][-most:]


def _write(path: Path, entry: Entry, kept: int) -> None:
    with _opened(path) as db:
        db.executescript(_TABLES)
        db.execute(f"PRAGMA user_version = {_VERSION}")
        with db:
            db.execute("BEGIN IMMEDIATE")
            known = db.execute("SELECT 1 FROM accepted WHERE run = ?", (entry.id,)).fetchone()
            db.execute("DELETE FROM runs WHERE id = ?", (entry.id,))
            db.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    entry.id,
                    entry.cluster,
                    entry.inventory,
                    entry.mode,
                    int(entry.simulated),
                    entry.started,
                    entry.seconds,
                    entry.verdict,
                    int(entry.whole),
                    entry.problems,
                ),
            )
            if known or entry.accepted:
                db.execute("INSERT INTO accepted VALUES (?)", (entry.id,))
            checks = [(entry.id, rule, c.verdict, "\n".join(c.places), c.seconds) for rule, c in entry.checks.items()]
            db.executemany("INSERT INTO checks VALUES (?, ?, ?, ?, ?)", checks)
            figures = [(entry.id, m.name, m.value, m.unit, m.better) for m in entry.measures.values()]
            db.executemany("INSERT INTO measures VALUES (?, ?, ?, ?, ?)", figures)
            facts = [(entry.id, place, name, value) for (place, name), value in entry.facts.items()]
            db.executemany("INSERT INTO facts VALUES (?, ?, ?, ?)", facts)
            forget = "SELECT id FROM runs WHERE cluster = ? ORDER BY started DESC, id DESC LIMIT -1 OFFSET ?"
            db.execute(f"DELETE FROM runs WHERE id IN ({forget})", (entry.cluster, kept))  # noqa: S608  # our own text


@contextmanager
def _opened(path: Path, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    target = f"{path.absolute().as_uri()}?mode=ro" if read_only else str(path)
    with closing(sqlite3.connect(target, timeout=_PATIENCE, uri=read_only, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys = ON")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise HistoryError(f"{path} was written by a later Hakuna (version {version} of its tables)")
        yield db


def _load(db: sqlite3.Connection, row: tuple[object, ...], *, accepted: bool) -> Entry:
    identity, cluster, inventory, mode, simulated, started, seconds, verdict, whole, problems = row
    run = (identity,)
    return Entry(
        id=str(identity),
        cluster=str(cluster),
        inventory=str(inventory),
        mode=str(mode),
        simulated=bool(simulated),
        started=float(str(started)),
        seconds=float(str(seconds)),
        verdict=str(verdict),
        whole=bool(whole),
        problems=str(problems),
        checks={
            r: Check(v, tuple(p.split("\n")) if p else (), s)
            for r, v, p, s in db.execute("SELECT rule, verdict, places, seconds FROM checks WHERE run = ?", run)
        },
        measures={
            n: Measure(n, v, u, b)
            for n, v, u, b in db.execute("SELECT name, value, unit, better FROM measures WHERE run = ?", run)
        },
        facts={(p, n): v for p, n, v in db.execute("SELECT place, name, value FROM facts WHERE run = ?", run)},
        accepted=accepted,
    )


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    path.replace(aside)
    for rest in (f"{path.name}-journal", f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(rest).unlink(missing_ok=True)
    return aside
