# SPDX-License-Identifier: Apache-2.0
"""Gathers what a report shows from a run's folder. Read from evidence alone, so that a killed run can be shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from hakuna.evidence import NodeAnswer
from hakuna.evidence.store import EvidenceStore
from hakuna.inventory.model import Drift
from hakuna.probes import collective
from hakuna.probes.mesh_columns import COLUMNS, load
from hakuna.probes.reading import read
from hakuna.reports.facts.bring_up import BringUp, bring_up
from hakuna.reports.facts.deeds import Deed, Wait, commands, deeds, waits
from hakuna.reports.facts.excerpts import Excerpt, Log, excerpt, logs
from hakuna.reports.facts.generation import Generation, generation
from hakuna.reports.facts.mesh import MeshMap, mesh_map
from hakuna.reports.facts.ranks import RankMap, rank_map
from hakuna.reports.facts.versions import VersionTable, version_table
from hakuna.reports.model import RunReport
from hakuna.stages.journal import Journal
from hakuna.where import Where

T = TypeVar("T")
#: What damaged or foreign files can raise while they are read; anything else is a fault of ours and is seen.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True)
class Measure:
    """One measured figure of a run. ``better`` is ``less`` or ``more``."""

    name: str
    value: float
    unit: str
    better: str = "less"


@dataclass(frozen=True)
class Night:
    """One earlier run, as the page shows it; ``measures`` by name."""

    run: str
    started: float
    verdict: str
    measures: Mapping[str, float]


@dataclass(frozen=True)
class Exhibits:
    """All there is to show. ``problems`` say which parts could not be read, and why.

    ``since`` is what changed (name, before, after) since the run ``last_good``, ``drifted`` those of it that no
    check speaks of: versions, addresses, figures. ``nights`` are the last runs, this one the last of them. All are
    empty without a history.
    """

    mesh: MeshMap = field(default_factory=MeshMap)
    versions: VersionTable = field(default_factory=VersionTable)
    ranks: RankMap = field(default_factory=RankMap)
    generation: Generation = field(default_factory=Generation)
    deeds: tuple[Deed, ...] = ()
    waits: tuple[Wait, ...] = ()
    bring_up: BringUp = field(default_factory=BringUp)
    commands: tuple[tuple[str, str, str], ...] = ()
    kept: bool = False
    logs: tuple[Log, ...] = ()
    measures: tuple[Measure, ...] = ()
    problems: tuple[str, ...] = ()
    evidence: Path | None = None
    mesh_limit: float = 5.0
    last_good: str = ""
    since: tuple[tuple[str, str, str], ...] = ()
    drifted: tuple[tuple[str, str, str], ...] = ()
    nights: tuple[Night, ...] = ()
    limits: Drift = field(default_factory=Drift)

    def excerpt(self, source: str) -> Excerpt | None:
        """A piece of evidence that a finding names, or None if it is not there or cannot be read."""
        if self.evidence is None:
            return None
        try:
            return excerpt(self.evidence, source)
        except _DAMAGED:
            return None


def gather(report: RunReport) -> Exhibits:
    """Read everything that there is in the run's folder; a replay's evidence is in the folder that it replayed.

    Nothing is raised for what cannot be read: the run's reports are written whatever its folder looks like.
    """
    if not report.folder or not Path(report.folder).is_dir():
        return Exhibits()
    folder = Path(report.folder)
    problems: list[str] = []

    def part(name: str, make: Callable[[], T], nothing: T) -> T:
        try:
            return make()
        except _DAMAGED as error:
            problems.append(f"{name} cannot be shown: {type(error).__name__}: {error}")
            return nothing

    data: Mapping[str, Any] = part("run.json", lambda: _run_json(folder), {})
    source = _evidence(folder, report, data)
    store = EvidenceStore(source)
    inventory = data.get("inventory") or {}
    wanted = ("host", "container", "rank_table", "collective")
    answers: dict[str, Mapping[str, NodeAnswer]] = {n: part(n, lambda n=n: store.answers(n) or {}, {}) for n in wanted}  # type: ignore[misc]  # mypy does not follow a default in a lambda
    events: list[dict[str, Any]] = part("the journal", lambda: list(Journal(folder).events()), [])
    head = str(inventory.get("head") or (report.nodes[0][0] if report.nodes else ""))
    limits = inventory.get("thresholds") or {}
    exhibits = Exhibits(
        mesh=part("the mesh", lambda: _mesh(folder, inventory, limits), MeshMap()),
        versions=part("versions", lambda: version_table(answers, tuple(n for n, _ in report.nodes)), VersionTable()),
        ranks=part("ranks", lambda: rank_map(answers, _names(inventory)), RankMap()),
        generation=part("generation", lambda: generation(store, _prompt(inventory), head), Generation()),
        deeds=part("deeds", lambda: deeds(events), ()),
        waits=part("waits", lambda: waits(events), ()),
        bring_up=part("the bring-up", lambda: bring_up(source), BringUp()),
        commands=() if report.replay_of else part("commands", lambda: commands(source), ()),
        kept=any(e.get("event") == "kept" for e in events),
        logs=part("logs", lambda: logs(source.parent / "logs"), ()),
        evidence=source,
        limits=part("the limits of drift", lambda: Drift.model_validate(inventory.get("drift") or {}), Drift()),
        mesh_limit=part("limits", lambda: _number(limits, "ping_latency_ms", 5.0), 5.0),
    )
    bandwidth = part("the all-reduce", lambda: _bandwidth(answers["collective"]), None)
    load = part("the server's start", lambda: _load_time(store, head), None)
    return replace(exhibits, measures=_measures(exhibits, bandwidth, load), problems=tuple(problems))


def _run_json(folder: Path) -> Mapping[str, Any]:
    path = folder / "run.json"
    data = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return data if isinstance(data, dict) else {}


def _evidence(folder: Path, report: RunReport, data: Mapping[str, Any]) -> Path:
    """Where the run's evidence is. The replayed folder may have been moved: then the one beside this is tried."""
    if report.replay_of:
        for source in (Path(str(data.get("replay_source") or folder)), folder.parent / Path(report.replay_of).name):
            if source != folder and (source / "evidence").is_dir():
                return source / "evidence"
    return folder / "evidence"


def _mesh(folder: Path, inventory: Mapping[str, Any], limits: Mapping[str, Any]) -> MeshMap:
    nodes = [(str(n["name"]), tuple(map(int, n["device_ids"]))) for n in inventory.get("nodes", ())]
    loss, ms = _number(limits, "ping_loss_percent", 0.0), _number(limits, "ping_latency_ms", 5.0)
    return mesh_map(load(folder / COLUMNS), nodes, loss_limit=loss, ms_limit=ms)


def _number(limits: Mapping[str, Any], name: str, default: float) -> float:
    return float(limits.get(name, default))


def _names(inventory: Mapping[str, Any]) -> dict[str, str]:
    return {str(n.get("node_ip", "")): str(n["name"]) for n in inventory.get("nodes", ())}


def _prompt(inventory: Mapping[str, Any]) -> str:
    return str(inventory.get("server", {}).get("expect", {}).get("prompt", ""))


def _bandwidth(answers: Mapping[str, NodeAnswer]) -> float | None:
    for node, answer in answers.items():
        outcome = answer.outcomes.get("collective")
        fact = read(Where(node), outcome, collective.parse_collective, "").fact if outcome else None
        if fact is not None and fact.rounds:
            return fact.rounds[-1].gbps
    return None


def _load_time(store: EvidenceStore, head: str) -> float | None:
    """From the first look at the server to the last one, as the stage counts it."""
    polls = sorted(p.name for p in store.folder.glob("server.poll.*") if p.is_dir())
    if not polls:
        return None
    first, last = ((store.answers(name) or {})[head] for name in (polls[0], polls[-1]))
    return last.received - first.sent


def _measures(exhibits: Exhibits, bandwidth: float | None, load: float | None) -> tuple[Measure, ...]:
    """The run's figures; what was not measured is left out, never 0."""
    if not exhibits.generation.answers:
        load = None  # a server that never answered has no load time
    mesh = exhibits.mesh
    figures = (
        ("ping_median_ms", mesh.median_ms, "ms", "less"),
        ("ping_slowest_ms", mesh.slowest.ms if mesh.slowest else None, "ms", "less"),
        ("allreduce_gbps", bandwidth, "Gbit/s", "more"),
        ("server_ready_seconds", load, "s", "less"),
        ("first_token_seconds", exhibits.generation.first_token, "s", "less"),
        ("tokens_per_second", exhibits.generation.rate, "tokens/s", "more"),
    )
    return tuple(Measure(n, v, unit, better) for n, v, unit, better in figures if v is not None)
