# SPDX-License-Identifier: Apache-2.0
"""What "found exactly" means: the cause at its place, what rests on it BLOCKED by it, and nothing else changed."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster import clean_run, mock

from hakuna.judgement.rules import BOOK
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause, CheckResult, RunVerdict, Summary, Verdict
from hakuna.simulator.catalogue import CATALOGUE, Combination, FaultKind
from hakuna.simulator.scenario import places_of, scenario

#: Codes from here on are for sites, but for the teardown, whose own codes these are (see docs/writing-checks.md).
SITE = 900


def own(code: str) -> bool:
    """Whether a rule is Hakuna's."""
    return code.startswith("TDN") or int(code[3:]) < SITE


def wrong(kind: FaultKind, found: Summary) -> list[str]:
    """What is not as the catalogue says; nothing when the fault was found exactly."""
    return list(_wrong(kind, found))


def wrong_causes(combination: Combination, found: Summary) -> list[str]:
    """The same for several faults at once: each cause once, what is blocked is so by them, the greatest first."""
    causes = {str(r.finding.cause) for r in found.root_causes}
    told = {str(c) for f in found.findings for c in f.causes}
    explained = [len(r.blocked) for r in found.root_causes]
    bad = []
    if causes != set(combination.causes):
        bad.append(f"causes are {sorted(causes)} instead of {sorted(combination.causes)}")
    if not told <= causes:
        bad.append(f"blocked by {sorted(told - causes)}, which are no causes")
    if explained != sorted(explained, reverse=True):
        bad.append("the cause that explains most is not told first")
    bad += [f"{f.rule} could not be judged at {f.where}" for f in found.unjudged]
    return [f"{combination.name}: {text}" for text in bad]


@functools.cache
def _clean(settings: tuple[tuple[str, Any], ...]) -> Summary:
    """The verdicts without the fault, with the settings that the fault needs to be seen."""
    return clean_run(Path(tempfile.mkdtemp()), dict(settings))


def _wrong(kind: FaultKind, found: Summary) -> Iterator[str]:
    # A variant is its settings; only the simulated release that it needs is no part of the fault.
    settings = {k: v for k, v in kind.settings.items() if kind.name in CATALOGUE or k == "simulation.lmdeploy_version"}
    clean = _clean(tuple(settings.items()))
    verdict = Verdict(kind.verdict)
    places = set(places_of(kind, scenario(kind, mock())))
    told = {f.where for f in found.results[kind.rule].findings if f.verdict is verdict}
    if told != places:
        yield f"{kind.name}: {kind.rule} at {sorted(map(str, told))} instead of {sorted(map(str, places))}"
    causes = {Cause(kind.rule, place) for place in places} if verdict is Verdict.FAIL else set()
    for cause in {r.finding.cause for r in found.root_causes} - causes:
        yield f"{kind.name}: false alarm of {cause}"
    for code in {f.rule for f in found.unjudged} - {kind.rule, *kind.also}:
        yield f"{kind.name}: {code} could not be judged"
    if (found.verdict is RunVerdict.READY) != verdict.green:
        yield f"{kind.name}: the run is {found.verdict.value}"
    for code, result in found.results.items():
        text = _changed(kind, code, result, clean.results[code], causes)
        if text:
            yield f"{kind.name}: {code} {text}"


def _changed(kind: FaultKind, code: str, result: CheckResult, clean: CheckResult, causes: set[Cause]) -> str:
    """What is wrong about one check's verdict beside the fault; empty if nothing is."""
    if code == kind.rule or result.verdict is clean.verdict:
        return f"was judged although {kind.rule} failed" if _must_wait(code, kind.rule, Verdict(kind.verdict)) else ""
    if clean.verdict is Verdict.SKIP and result.verdict is Verdict.PASS:
        return ""  # it asks for what was not used before, or looks at what is read only then (SRV710)
    if code in kind.also:
        return "is green" if result.verdict.green else ""
    if result.verdict not in (Verdict.BLOCKED, Verdict.SKIP):
        return f"is {result.verdict.value} too"
    blocked = all(set(f.causes) <= causes and f.causes for f in result.findings)
    return "" if blocked else "is blocked by something else"


def _must_wait(code: str, failed: str, verdict: Verdict) -> bool:
    stage = BOOK[code].stage
    if verdict is not Verdict.FAIL or code == failed or not BOOK[failed].gates:
        return False
    return not stage.read_only and stage is not Stage.TEARDOWN and stage.order > BOOK[failed].stage.order
