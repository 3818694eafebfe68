# SPDX-License-Identifier: Apache-2.0
"""How a check says what it found, and how that becomes a result once its needs are known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hakuna.inventory.model import Node
from hakuna.judgement.rules import Rule
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause, CheckResult, Finding, Verdict, worst
from hakuna.probes.reading import Consulted, Reading, ReadingState
from hakuna.where import Where

_BRACES = re.compile(r"\{([a-z_]+)\}")

#: The rules that say why a node gave no answer; every check needs them without saying so.
REACH = ("HST101", "HST102", "HST103", "HST104")

#: The rules that find a node started again. Ray and the server span all nodes: from then on this explains all that
#: fails.
RESTART = ("RAY510", "SRV711")


class SkipCheck(Exception):  # noqa: N818  # not an error: the check's own word that it does not apply
    """The check does not apply here."""


class Findings:
    """What one running check reports. Nothing reported, and facts read, is a PASS."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.consulted = Consulted()
        self.raw: list[Finding] = []
        self.notes: list[str] = []

    def fail(self, where: Where | Node, *, expected: object = "", observed: object = "", **words: object) -> None:
        """Report that something is wrong at ``where``.

        ``message`` among ``words`` says it in a sentence, ``fix`` replaces the docstring's; the others fill
        the fix's braces.
        """
        self._report(Verdict.FAIL, where, expected, observed, words)

    def warn(self, where: Where | Node, *, expected: object = "", observed: object = "", **words: object) -> None:
        """Report something that should be looked at but does not make the run red."""
        self._report(Verdict.WARN, where, expected, observed, words)

    def unclear(self, where: Where | Node, *, observed: object = "", **words: object) -> None:
        """Report that this could not be judged."""
        self._report(Verdict.ERROR, where, "", observed, words)

    def note(self, text: str) -> None:
        """Say something about a check that stands in the report whatever the verdict is."""
        self.notes.append(text)

    def saw(self, what: str) -> None:
        """Count something as evidence that is not a :class:`Reading` (a line of the inventory, a response)."""
        self.consulted.add(Reading(Where.cluster(), ReadingState.READ, what, "", what))

    def skip(self, reason: str) -> None:
        """End the check: it does not apply here.

        Raises:
            SkipCheck: always.
        """
        raise SkipCheck(reason)

    def unparsed(self, message: str) -> None:
        """Report that an answer is in words that no parser knows."""
        self._report(Verdict.UNPARSED, Where.cluster(), "", message, {"message": "no parser knows this", "fix": ""})

    def fail_plainly(self, message: str) -> None:
        """Report a failed plain ``assert`` of a site's own check."""
        self.fail(Where.cluster(), message=message)

    def _report(
        self, verdict: Verdict, where: Where | Node, expected: object, observed: object, words: Mapping[str, object]
    ) -> None:
        place = where.where if isinstance(where, Node) else where
        more = dict(words)
        message, fix = str(more.pop("message", "")), str(more.pop("fix", self.rule.fix))
        evidence = more.pop("evidence", ())
        names = {
            "node": place.node or "every node",
            "device_id": place.device if place.device >= 0 else "N",
            "peer": str(place.target) if place.is_pair else "",
            "where": place,
            "expected": show(expected),
            "majority": show(expected),
            "observed": show(observed),
            **{k: show(v) for k, v in more.items()},
        }
        # Node output must not be able to add a line to a command that people copy.
        names = {k: " ".join(str(v).split()) for k, v in names.items()}
        sources = (evidence,) if isinstance(evidence, str) else tuple(str(e) for e in evidence)  # type: ignore[attr-defined]
        if not sources:
            sources = tuple(r.source for r in self.consulted.readings.values() if r.where == place and r.source)[:3]
        self.raw.append(
            Finding(self.rule.code, place, verdict, message, show(expected), show(observed), _fill(fix, names), sources)
        )


def show(value: object) -> str:
    """A value in words: as text where it is one, lists joined, booleans as on / off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(map(show, value)) if isinstance(value, (set, frozenset)) else list(map(show, value))
        return ", ".join(items)
    return str(value)


def _fill(template: str, names: Mapping[str, object]) -> str:
    """Fill ``{name}``; braces that are none of ours (JSON, Go templates) stay as they are."""
    return _BRACES.sub(lambda m: str(names.get(m.group(1), m.group(0))), template)


def conclude(
    rule: Rule,
    findings: Findings,
    others: Mapping[str, CheckResult],
    *,
    skipped: str = "",
    problem: str = "",
    seconds: float = 0.0,
) -> CheckResult:
    """Turn what a check reported and read into its result.

    ``others`` holds the results of the rule's needs and of the reach rules. A finding whose place is covered
    by a failure of a need is BLOCKED by it; a fact that could not be read is BLOCKED likewise, else it makes
    the check UNPARSED or ERROR. ``skipped`` is the reason of a skip, ``problem`` an exception of the check.
    """
    if skipped:
        return CheckResult(rule.code, Verdict.SKIP, notes=tuple(findings.notes), reason=skipped, seconds=seconds)
    blockers = list(_blockers(rule, others))
    out = [_attributed(f, blockers) for f in findings.raw]
    told = {f.where for f in out}
    out += [_attributed(_unreadable(rule, r), blockers) for r in findings.consulted.unreadable if r.where not in told]
    if problem:
        out.append(Finding(rule.code, Where.cluster(), Verdict.ERROR, message=problem))
    evidence = findings.consulted.read_count
    if rule.stage is Stage.INVENTORY:
        evidence += findings.consulted.expectation_count
    if not out and not evidence:
        out.append(
            _attributed(
                Finding(rule.code, Where.cluster(), Verdict.ERROR, message="no evidence: the check read no fact"),
                blockers,
            )
        )
    return CheckResult(
        rule.code,
        worst(f.verdict for f in out),
        tuple(out),
        tuple(findings.notes),
        read_count=evidence,
        seconds=seconds,
    )


def blocked(rule: Rule, causes: Iterable[Cause], reason: str) -> CheckResult:
    """The result of a check that was never begun, because of ``causes``."""
    finding = Finding(rule.code, Where.cluster(), Verdict.BLOCKED, message=reason, causes=tuple(sorted(set(causes))))
    return CheckResult(rule.code, Verdict.BLOCKED, (finding,), reason=reason)


@dataclass(frozen=True)
class _Blocker:
    where: Where
    causes: tuple[Cause, ...]

    def explains(self, where: Where) -> bool:
        return self.where.covers(where) or where == Where.cluster()


def _blockers(rule: Rule, others: Mapping[str, CheckResult]) -> Iterable[_Blocker]:
    anywhere = (*rule.rests_on, *RESTART)
    for code in (*anywhere, *rule.needs, *REACH):
        if code == rule.code or code not in others:
            continue
        for finding in others[code].findings:
            where = Where.cluster() if code in anywhere else finding.where
            if finding.verdict is Verdict.FAIL:
                yield _Blocker(where, (finding.cause,))
            elif finding.verdict is Verdict.BLOCKED and code not in RESTART:  # only a restart that was seen
                yield _Blocker(where, finding.causes)


def _attributed(finding: Finding, blockers: list[_Blocker]) -> Finding:
    if finding.verdict is Verdict.BLOCKED:
        return finding
    causes = {c for b in blockers if b.explains(finding.where) for c in b.causes}
    if not causes:
        return finding
    return replace(finding, verdict=Verdict.BLOCKED, causes=tuple(sorted(causes)), fix="")


def _unreadable(rule: Rule, reading: Reading[object]) -> Finding:
    unparsed = reading.state is ReadingState.UNPARSED
    words = {
        ReadingState.UNPARSED: "the answer is in words that no parser knows",
        ReadingState.FAILED: "the command could not do its work",
        ReadingState.LOST: "there is no answer",
    }
    return Finding(
        rule.code,
        reading.where,
        Verdict.UNPARSED if unparsed else Verdict.ERROR,
        message=words[reading.state],
        observed=reading.detail,
        fix="look at the evidence; if the tool is right, tell Hakuna's developers of the new wording"
        if unparsed
        else "",
        evidence=(reading.source,) if reading.source else (),
    )
