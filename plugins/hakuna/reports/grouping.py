# SPDX-License-Identifier: Apache-2.0
"""Puts findings together that say the same of many places, and writes many places in few words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hakuna.judgement.verdict import Finding, RootCause, Verdict
from hakuna.reports.model import code_order
from hakuna.reports.text import plural
from hakuna.where import Where

#: Up to so many places are named one by one; more are named as ranges.
ONE_BY_ONE = 8
#: So many places are named where a cause is named in a sentence.
FIRST = 3


@dataclass(frozen=True)
class Group:
    """Findings of one rule whose fix differs in the place only, in order of place."""

    rule: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    blocked: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[Where, ...]:
        return tuple(dict.fromkeys(f.where for f in self.findings))

    @property
    def cause(self) -> str:
        """What blocked checks are blocked by, in words: ``NET204 on node-b/3``."""
        named = name_places(self.places[:FIRST])
        more = len(self.places) - FIRST
        return f"{self.rule} on {named}" + (f" and {plural(more, 'more place')}" if more > 0 else "")

    @property
    def explains(self) -> str:
        """How much it explains, in one sentence: ``31 checks BLOCKED by NET204 on node-b/3``."""
        return blocked_by(len(self.blocked), self.cause)

    @property
    def alike(self) -> bool:
        """Whether message, expected and observed are the same at every place."""
        return len({(f.message, f.expected, f.observed) for f in self.findings}) == 1

    @property
    def fixes(self) -> list[tuple[str, tuple[Where, ...]]]:
        """Every different fix, with the places that it is for."""
        found: dict[str, list[Where]] = {}
        for finding in self.findings:
            if finding.fix.strip():
                found.setdefault(finding.fix, []).append(finding.where)
        return [(fix, tuple(places)) for fix, places in found.items()]

    @property
    def evidence(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(e for f in self.findings for e in f.evidence))


def blocked_by(count: int, cause: object) -> str:
    """The one sentence in which every report says how much a cause explains."""
    return f"{plural(count, 'check')} BLOCKED by {cause}"


def root_groups(causes: Iterable[RootCause]) -> list[Group]:
    """Group root causes by rule and fix; those that explain most checks first."""
    blocked: dict[tuple[str, ...], set[str]] = {}
    members: dict[tuple[str, ...], list[Finding]] = {}
    for cause in causes:
        key = _key(cause.finding)
        members.setdefault(key, []).append(cause.finding)
        blocked.setdefault(key, set()).update(cause.blocked)
    groups = [_group(found, blocked[key]) for key, found in members.items()]
    return sorted(groups, key=lambda g: (-len(g.blocked), g.rule, g.places))


def groups(findings: Iterable[Finding]) -> list[Group]:
    """Group findings that block nothing, by rule and message, in their order."""
    members: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        members.setdefault((*_key(finding), finding.message), []).append(finding)
    return [_group(found, set()) for found in members.values()]


def name_places(places: Sequence[Where]) -> str:
    """Name every place: ``node-b/3, node-b/4``, or with many of them ``node-b/0-7, node-c/0-3,5``."""
    if len(places) <= ONE_BY_ONE:
        return ", ".join(map(str, places))
    plain = _ranges(p for p in places if not p.is_pair)
    targets: dict[Where, list[Where]] = {}
    for place in places:
        if place.is_pair:
            targets.setdefault(place.source, []).append(place.target)
    sources: dict[tuple[Where, ...], list[Where]] = {}
    for source, reached in targets.items():
        sources.setdefault(tuple(sorted(reached)), []).append(source)
    pairs = [f"{', '.join(_ranges(s))} -> {', '.join(_ranges(t))}" for t, s in sources.items()]
    return "; ".join([", ".join(plain), *pairs] if plain else pairs)


def _group(findings: list[Finding], blocked: set[str]) -> Group:
    ordered = tuple(sorted(findings, key=lambda f: f.where))
    return Group(ordered[0].rule, ordered[0].verdict, ordered, tuple(sorted(blocked, key=code_order)))


def _key(finding: Finding) -> tuple[str, ...]:
    """Rule and fix, with the names of the place and all numbers taken out of the fix."""
    fix = finding.fix
    for node in (finding.where.node, finding.where.peer_node):
        if node:
            fix = fix.replace(node, "NODE")
    return (finding.rule, finding.verdict.value, re.sub(r"\d+", "0", fix))


def _ranges(places: Iterable[Where]) -> list[str]:
    by_node: dict[str, list[int]] = {}
    for place in sorted(places):
        by_node.setdefault(place.node, []).append(place.device)
    words = []
    for node, devices in by_node.items():
        if -1 in devices:
            words.append(str(Where(node)))
        numbers = [d for d in devices if d >= 0]
        if numbers:
            words.append(f"{node}/{_numbers(numbers)}")
    return words


def _numbers(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
