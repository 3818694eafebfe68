# SPDX-License-Identifier: Apache-2.0
"""The journal's events as a report needs them: results, times of the stages, notes, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hakuna.judgement.verdict import CheckResult, Finding, RunVerdict, Verdict, worst
from hakuna.where import Where


@dataclass(frozen=True)
class StageTime:
    """When a stage was entered and left, in seconds since the epoch; ``end`` is None if it was never left."""

    stage: str
    begin: float | None = None
    end: float | None = None
    seconds: float | None = None


class Logbook:
    """The journal's events, sorted by what they say."""

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        self.opening: Mapping[str, Any] = {}
        self.end: Mapping[str, Any] = {}
        self.selected: set[str] = set()
        self.titles: dict[str, str] = {}
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.times: list[float] = []
        self._checks: dict[str, dict[str, CheckResult]] = {}
        self._stages: dict[str, StageTime] = {}
        for number, event in enumerate(events, 1):
            self._try(number, event)

    @property
    def results(self) -> dict[str, CheckResult]:
        """Results by rule; those of a check with several cases are put together, so that no case hides another."""
        return {code: _merged(list(cases.values())) for code, cases in self._checks.items()}

    @property
    def stages(self) -> tuple[StageTime, ...]:
        return tuple(self._stages.values())

    @property
    def end_verdict(self) -> RunVerdict | None:
        said = self.end.get("verdict")
        return next((v for v in RunVerdict if v.value == said), None)

    def _try(self, number: int, event: Mapping[str, Any]) -> None:
        try:
            self._take(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.problems.append(f"event {number} of the journal cannot be read: {type(error).__name__}: {error}")

    def _take(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if isinstance(event.get("at"), (int, float)):
            self.times.append(float(event["at"]))
        if kind == "run":
            self.opening = event
        elif kind == "end":
            self.end = event
        elif kind == "note":
            self.notes.append(str(event["text"]))
        elif kind == "kept":
            self.notes.append("what this run brought up was left running (--keep)")
        elif kind == "selected":
            self.selected.update(map(str, event["rules"]))
        elif kind == "stage":
            self._stage(event)
        elif kind == "check":
            result = CheckResult.from_json(event["result"])
            nodeid = str(event.get("nodeid", ""))
            self._checks.setdefault(result.rule, {})[nodeid] = explained(result)
            self.titles[result.rule] = _title_of(nodeid)

    def _stage(self, event: Mapping[str, Any]) -> None:
        name, at = str(event["stage"]), float(event["at"])
        if event["state"] == "begin":
            self._stages[name] = StageTime(name, begin=at)
            return
        begun = self._stages.get(name, StageTime(name))
        seconds = event.get("seconds")
        if seconds is None and begun.begin is not None:
            seconds = at - begun.begin
        self._stages[name] = replace(begun, end=at, seconds=None if seconds is None else float(seconds))


def _merged(cases: list[CheckResult]) -> CheckResult:
    if len(cases) == 1:
        return cases[0]
    judged = [c.verdict for c in cases if c.verdict is not Verdict.SKIP]
    return CheckResult(
        rule=cases[0].rule,
        verdict=worst(judged) if judged else Verdict.SKIP,
        findings=tuple(f for c in cases for f in c.findings),
        notes=tuple(n for c in cases for n in c.notes),
        reason="; ".join(dict.fromkeys(c.reason for c in cases if c.reason)),
        read_count=sum(c.read_count for c in cases),
        seconds=sum(c.seconds for c in cases),
    )


def explained(result: CheckResult) -> CheckResult:
    """Give a red result a finding that says so if it has none: reports list findings, and none may get lost."""
    if result.verdict.green or result.verdict is Verdict.SKIP:
        return result
    if any(f.verdict is result.verdict for f in result.findings):
        return result
    finding = Finding(result.rule, Where.cluster(), result.verdict, message=result.reason or "no finding says why")
    return replace(result, findings=(*result.findings, finding))


def _title_of(nodeid: str) -> str:
    name = nodeid.rpartition("::")[2].partition("[")[0]
    return name.removeprefix("test_").replace("_", " ")
