# SPDX-License-Identifier: Apache-2.0
"""Verdicts of checks and runs, and the findings that they rest on."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hakuna.where import Where


class Verdict(enum.Enum):
    """What became of one check. Only PASS and WARN are green; nothing else ever counts as passed."""

    PASS = "PASS"  # noqa: S105  # a verdict, no password
    WARN = "WARN"
    SKIP = "SKIP"  # not applicable here; always with a reason
    BLOCKED = "BLOCKED"  # it fails or cannot be judged only because of another finding
    UNPARSED = "UNPARSED"  # a tool answered in words that no parser knows
    ERROR = "ERROR"  # it could not be judged: no evidence, a tool that failed, a fault of the check
    FAIL = "FAIL"

    @property
    def green(self) -> bool:
        return self in (Verdict.PASS, Verdict.WARN)


_WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.UNPARSED, Verdict.BLOCKED, Verdict.WARN)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a check with findings of these verdicts; PASS without any."""
    seen = set(verdicts)
    return next((v for v in _WORST_FIRST if v in seen), Verdict.PASS)


class RunVerdict(enum.Enum):
    """The verdict of a whole run."""

    READY = "READY"
    NOT_READY = "NOT READY"
    INCONCLUSIVE = "INCONCLUSIVE"  # nothing failed, but something could not be judged


@dataclass(frozen=True, order=True)
class Cause:
    """The finding that another one is blocked by: its rule, where it is."""

    rule: str
    where: Where

    def __str__(self) -> str:
        return f"{self.rule} on {self.where}"

    @classmethod
    def at(cls, rule: str, node: str) -> Cause:
        """A cause that is a node's."""
        return cls(rule, Where(node))


@dataclass(frozen=True)
class Finding:
    """One thing that a check found at one place. ``evidence`` names what it rests on in the evidence folder."""

    rule: str
    where: Where
    verdict: Verdict
    message: str = ""
    expected: str = ""
    observed: str = ""
    fix: str = ""
    evidence: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()

    @property
    def cause(self) -> Cause:
        """This finding as the cause of others."""
        return Cause(self.rule, self.where)

    def as_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "where": str(self.where),
            "verdict": self.verdict.value,
            "message": self.message,
            "expected": self.expected,
            "observed": self.observed,
            "fix": self.fix,
            "evidence": list(self.evidence),
            "causes": [{"rule": c.rule, "where": str(c.where)} for c in self.causes],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """Read what :meth:`as_json` wrote."""
        return cls(
            rule=data["rule"],
            where=Where.parse(data["where"]),
            verdict=Verdict(data["verdict"]),
            message=data["message"],
            expected=data["expected"],
            observed=data["observed"],
            fix=data["fix"],
            evidence=tuple(data["evidence"]),
            causes=tuple(Cause(c["rule"], Where.parse(c["where"])) for c in data["causes"]),
        )


@dataclass(frozen=True)
class CheckResult:
    """What one check came to. ``read_count`` is the number of facts that it looked at and could read."""

    rule: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    read_count: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "notes": list(self.notes),
            "facts_read": self.read_count,
            "seconds": round(self.seconds, 6),
            "findings": [f.as_json() for f in self.findings],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CheckResult:
        """Read what :meth:`as_json` wrote."""
        return cls(
            rule=data["rule"],
            verdict=Verdict(data["verdict"]),
            findings=tuple(Finding.from_json(f) for f in data["findings"]),
            notes=tuple(data["notes"]),
            reason=data["reason"],
            read_count=data["facts_read"],
            seconds=data["seconds"],
        )


@dataclass(frozen=True)
class RootCause:
    """One FAIL, with the codes of the checks that are blocked by it and by nothing nearer."""

    finding: Finding
    blocked: tuple[str, ...]


@dataclass
class Summary:
    """All results of a run, and what follows from them."""

    results: dict[str, CheckResult] = field(default_factory=dict)

    def add(self, result: CheckResult) -> None:
        self.results[result.rule] = result

    @property
    def verdict(self) -> RunVerdict:
        """READY only if something passed and nothing is red or unjudged."""
        verdicts = [r.verdict for r in self.results.values()]
        if Verdict.FAIL in verdicts:
            return RunVerdict.NOT_READY
        judged = [v for v in verdicts if v is not Verdict.SKIP]
        if not judged or not all(v.green for v in judged):
            return RunVerdict.INCONCLUSIVE
        return RunVerdict.READY

    @property
    def counts(self) -> dict[Verdict, int]:
        found = [r.verdict for r in self.results.values()]
        return {v: found.count(v) for v in Verdict if v in found}

    @property
    def findings(self) -> list[Finding]:
        return [f for r in self.results.values() for f in r.findings]

    @property
    def root_causes(self) -> list[RootCause]:
        """Every FAIL once, those that explain most first."""
        blocked: dict[Cause, set[str]] = {}
        for finding in self.findings:
            for cause in finding.causes:
                blocked.setdefault(cause, set()).add(finding.rule)
        roots = [
            RootCause(f, tuple(sorted(blocked.get(f.cause, ())))) for f in self.findings if f.verdict is Verdict.FAIL
        ]
        return sorted(roots, key=lambda r: (-len(r.blocked), r.finding.rule, r.finding.where))

    @property
    def unjudged(self) -> list[Finding]:
        """What could not be judged for a reason of its own."""
        return [f for f in self.findings if f.verdict in (Verdict.ERROR, Verdict.UNPARSED)]
