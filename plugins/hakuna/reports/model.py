# SPDX-License-Identifier: Apache-2.0
"""The one model that every report renders: what a run was, what it found and how far that can be trusted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hakuna.judgement.rules import BOOK, RuleBook
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause, CheckResult, Finding, RunVerdict, Summary, Verdict
from hakuna.reports.logbook import Logbook, StageTime, explained
from hakuna.reports.text import plural
from hakuna.stages.holder import Holder
from hakuna.stages.journal import Journal
from hakuna.stages.run import Mode, Plan

_WORST_FIRST = (RunVerdict.NOT_READY, RunVerdict.INCONCLUSIVE, RunVerdict.READY)


class NotARunError(Exception):
    """A folder does not hold a run that can be reported; the text says why."""


@dataclass(frozen=True)
class RuleInfo:
    """What is known of a rule. Of a rule that this process does not know, only its code, stage and title."""

    code: str
    stage: str
    title: str
    why: str = ""
    judged: str = ""
    fix: str = ""
    source: str = ""
    guide: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutsideCause:
    """A cause that is not among the run's results (its check was left out), with the checks blocked by it."""

    cause: Cause
    blocked: tuple[str, ...]


@dataclass(frozen=True)
class RunReport:
    """One run, ready to be rendered.

    ``problems`` are the reasons why the run is not READY although no check says so: it was cut short, checks that
    were expected did not run, lines of its journal could not be read. ``not_run`` are rules that were expected and
    have no result, ``left_out`` known rules of the run's mode that were not asked for. Times are seconds since the
    epoch, 0.0 when unknown. ``language`` is the one that pages for people are written in.
    """

    run_id: str
    folder: str
    cluster: str
    inventory_name: str
    nodes: tuple[tuple[str, int], ...]
    transport: str
    simulated: bool
    plan: Plan
    summary: Summary
    verdict: RunVerdict
    problems: tuple[str, ...] = ()
    rules: Mapping[str, RuleInfo] = field(default_factory=dict)
    stages: tuple[StageTime, ...] = ()
    notes: tuple[str, ...] = ()
    started: float = 0.0
    ended: float = 0.0
    replay_of: str = ""
    interrupted: str = ""
    cut_short: bool = False
    not_run: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    language: str = "en"

    @property
    def mode(self) -> str:
        return self.plan.mode.value

    @property
    def keep(self) -> bool:
        return self.plan.keep

    @property
    def counts(self) -> dict[Verdict, int]:
        return self.summary.counts

    @property
    def results(self) -> list[CheckResult]:
        """All results in order of stage and code."""
        return list(self.summary.results.values())

    @property
    def seconds(self) -> float:
        return max(0.0, self.ended - self.started)

    @property
    def warnings(self) -> list[Finding]:
        return [f for f in self.summary.findings if f.verdict is Verdict.WARN]

    @property
    def outside_causes(self) -> tuple[OutsideCause, ...]:
        """Causes that blocked checks but are no FAIL of this run's results: without them a block has no reason."""
        known = {r.finding.cause for r in self.summary.root_causes}
        blocked: dict[Cause, set[str]] = {}
        for finding in self.summary.findings:
            for cause in finding.causes:
                if cause not in known:
                    blocked.setdefault(cause, set()).add(finding.rule)
        return tuple(OutsideCause(c, tuple(sorted(blocked[c], key=code_order))) for c in sorted(blocked))

    @property
    def blocked_without_cause(self) -> list[Finding]:
        """Blocked findings that name no cause."""
        return [f for f in self.summary.findings if f.verdict is Verdict.BLOCKED and not f.causes]

    @property
    def cluster_size(self) -> str:
        """``2 nodes x 8 devices``, or the sum when the nodes differ."""
        sizes = {devices for _, devices in self.nodes}
        nodes = plural(len(self.nodes), "node")
        if len(sizes) == 1:
            return f"{nodes} x {plural(sizes.pop(), 'device')}"
        return f"{nodes}, {plural(sum(d for _, d in self.nodes), 'device')}"

    @property
    def limits(self) -> tuple[str, ...]:
        """What the verdict does not speak of: how much less than a whole run this was."""
        plan, said = self.plan, []
        if plan.mode is Mode.PREFLIGHT:
            said.append("preflight: inventory, host, network only")
        elif plan.mode is Mode.ATTACH:
            said.append("attached: nothing was started or stopped")
        if plan.mode is not Mode.PREFLIGHT and plan.until is not Stage.TEARDOWN:
            said.append(f"up to {plan.until.title} only")
        if self.left_out:
            done = len(self.summary.results)
            said.append(f"{done} of {done + len(self.not_run) + len(self.left_out)} checks")
        if self.replay_of:
            said.append(f"replay of {self.replay_of}")
        return tuple(said)

    def title(self, code: str) -> str:
        info = self.rules.get(code)
        return info.title if info else ""

    def stage(self, code: str) -> str:
        info = self.rules.get(code)
        return info.stage if info else _stage_of(code)


def from_run(
    run_json: Mapping[str, Any],
    events: Iterable[Mapping[str, Any]],
    results: Mapping[str, CheckResult] | None = None,
    *,
    folder: str = "",
    expected: Iterable[str] = (),
    unfinished: str = "",
    book: RuleBook = BOOK,
) -> RunReport:
    """Build the model from ``run.json``, the journal's events and, if at hand, the results by rule.

    Without ``results`` they are taken from the journal's "check" events. ``expected`` are codes of checks that
    were to run, besides those that "selected" events name. ``unfinished`` says why the journal has no "end".

    Raises:
        NotARunError: ``run_json`` lacks what every run writes.
    """
    log = Logbook(events)
    try:
        plan = Plan.from_json(run_json["plan"])
        identity, inventory = str(run_json["id"]), run_json["inventory"]
        nodes = tuple((str(n["name"]), len(n["device_ids"])) for n in inventory["nodes"])
    except (KeyError, TypeError, ValueError) as error:
        raise NotARunError(f"run.json cannot be read: {type(error).__name__}: {error}") from None
    found = _ordered(dict(results) if results is not None else log.results)
    interrupted = str(log.end.get("interrupted") or "") if log.end else ""
    broken_off = bool(interrupted) or not log.end
    wanted = {*expected, *log.selected}
    in_book = {r.code for r in book if plan.wants(r.stage) and r.stage is not Stage.TEARDOWN}
    if not wanted and broken_off:
        wanted = in_book
    not_run = sorted(wanted - set(found), key=code_order)
    left_out = sorted(in_book - wanted - set(found), key=code_order)
    summary = Summary(found)
    problems = [*log.problems]
    if not log.end:
        problems.insert(0, unfinished or "the run was cut short: its journal has no end")
    elif interrupted:
        problems.insert(0, f"the run was interrupted: {interrupted}")
    if not_run:
        problems.append(f"{plural(len(not_run), 'check')} did not run: {', '.join(not_run)}")
    said = log.end_verdict
    if said is not None and _WORST_FIRST.index(said) < _WORST_FIRST.index(summary.verdict):
        problems.append(f"the run itself came to {said.value}: lines of its journal must be missing")
    verdicts = {summary.verdict, said or summary.verdict}
    if problems:
        verdicts.add(RunVerdict.INCONCLUSIVE)
    codes = {*found, *not_run, *(c.rule for f in summary.findings for c in f.causes)}
    own_id = str(log.opening.get("id") or identity)
    transport = str(run_json.get("transport", ""))
    return RunReport(
        run_id=own_id,
        folder=folder,
        cluster=str(inventory.get("cluster", "")),
        inventory_name=str(run_json.get("inventory_name", "")),
        nodes=nodes,
        transport=transport,
        simulated="simulated" in (transport, inventory.get("transport")),
        plan=plan,
        summary=summary,
        verdict=next(v for v in _WORST_FIRST if v in verdicts),
        problems=tuple(problems),
        rules={c: _info(c, book, log.titles) for c in sorted(codes, key=code_order)},
        stages=log.stages,
        notes=tuple(log.notes),
        started=log.times[0] if log.times else 0.0,
        ended=log.times[-1] if log.times else 0.0,
        replay_of=str(run_json.get("replay_of") or log.opening.get("replay_of") or ""),
        interrupted=interrupted,
        cut_short=not log.end,
        not_run=tuple(not_run),
        left_out=tuple(left_out),
        language=str(run_json.get("language") or "en"),
    )


def from_folder(folder: Path, *, book: RuleBook = BOOK) -> RunReport:
    """Rebuild the model from a run's folder, from ``run.json`` and the journal alone.

    A run that was killed has no end in its journal; it is reported as cut short and is never READY.

    Raises:
        NotARunError: the folder holds no run, or its ``run.json`` cannot be read.
    """
    path = folder / "run.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise NotARunError(f"{folder} is not a run folder (it has no run.json)") from None
    except (OSError, ValueError) as error:
        raise NotARunError(f"{path} cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise NotARunError(f"{path} cannot be read: it holds no object")
    return from_run(data, Journal(folder).events(), folder=str(folder), unfinished=_unfinished(data), book=book)


def _ordered(results: Mapping[str, CheckResult]) -> dict[str, CheckResult]:
    return {code: explained(results[code]) for code in sorted(results, key=code_order)}


def code_order(code: str) -> tuple[int, str]:
    """Sort key of rule codes: by stage, then by number."""
    name = _stage_of(code)
    return (Stage(name).order if name else len(Stage), code)


def _stage_of(code: str) -> str:
    try:
        return Stage.of_code(code).value
    except ValueError:
        return ""


def _info(code: str, book: RuleBook, titles: Mapping[str, str]) -> RuleInfo:
    if code not in book:
        return RuleInfo(code, _stage_of(code), titles.get(code, ""))
    r = book[code]
    return RuleInfo(code, r.stage.value, r.title, r.why, r.judged, r.fix, r.source, r.guide, r.needs)


def _unfinished(run_json: Mapping[str, Any]) -> str:
    """Why a journal has no end: the run may still be going on."""
    try:
        holder = Holder(**run_json["holder"])
        alive = holder.alive()
    except (KeyError, TypeError, AttributeError):
        return ""
    return f"the run is still going on ({holder.word})" if alive else ""
