# SPDX-License-Identifier: Apache-2.0
"""Fills the page's template. Everything that came from nodes is cleaned and escaped on its way in."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from hakuna import __version__
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import CheckResult, Finding, RunVerdict, Verdict
from hakuna.reports.facts import Exhibits
from hakuna.reports.facts.excerpts import Excerpt
from hakuna.reports.grouping import Group, groups, name_places, root_groups
from hakuna.reports.model import RunReport
from hakuna.reports.page import heat, trend
from hakuna.reports.page.words import Words
from hakuna.reports.text import clean, headline, lines, one_line

if TYPE_CHECKING:
    import jinja2

#: At so many places a root cause's own words are shown one by one; more are counted.
ROWS = 8
EXCERPTS = 2
FINDINGS = 6
_GROUPS = 60
_PLACES = 600
_FOLLOWING = (Verdict.BLOCKED.value, Verdict.SKIP.value, "-")  # verdicts that say nothing new of a check
_GREEN = (Verdict.PASS.value, Verdict.WARN.value)
_MINUTE = 60
_LEAD = 60  # characters of places in the first sentence


@dataclass(frozen=True)
class Fix:
    """A fix with the nodes that it is for (empty: said in the fix itself)."""

    where: str
    text: str


@dataclass(frozen=True)
class Card:
    """One root cause, warning or unjudged matter, as the page shows it."""

    group: Group
    title: str
    why: str
    where: str
    found: tuple[tuple[str, str, str, str], ...]
    hidden: int
    fixes: tuple[Fix, ...]
    excerpts: tuple[tuple[str, Excerpt | None], ...]


@dataclass(frozen=True)
class Bar:
    """One stage in the time line; ``left`` and ``width`` in per cent of the run."""

    stage: str
    state: str
    seconds: float | None
    left: float
    width: float
    waited: str
    counts: tuple[tuple[str, int], ...]


def render(report: RunReport, exhibits: Exhibits, language: str = "") -> str:
    """Give the page as HTML; ``language`` is ``en`` or ``zh`` (default: the run's own)."""
    words = Words(language or report.language)
    limit = exhibits.mesh_limit
    template = _environment().get_template("page.html.j2")
    return template.render(
        r=report,
        x=exhibits,
        w=words,
        version=__version__,
        tone={RunVerdict.READY: "ready", RunVerdict.NOT_READY: "bad", RunVerdict.INCONCLUSIVE: "open"}[report.verdict],
        lead=_lead(report, words),
        counts=[(v.value, report.counts[v]) for v in reversed(Verdict) if v in report.counts],
        started=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(report.started)) if report.started else "\u2013",
        causes=[_card(report, exhibits, g) for g in root_groups(report.summary.root_causes)[:_GROUPS]],
        cause_count=len(root_groups(report.summary.root_causes)),
        unjudged=[
            _card(report, exhibits, g)
            for g in groups([*report.summary.unjudged, *report.blocked_without_cause])[:_GROUPS]
        ],
        warnings=[_card(report, exhibits, g) for g in groups(report.warnings)[:_GROUPS]],
        bars=_bars(report, exhibits),
        loss_map=heat.loss_map(exhibits.mesh, words),
        time_map=heat.time_map(exhibits.mesh, limit, words),
        since=[row for row in exhibits.since if not _is_dull(row)],
        nights=trend.strip(exhibits.nights, words),
        trends=trend.trends(exhibits.nights, exhibits.measures),
        shares=_shares(report),
        pair_words=heat.pair_words,
        steps=heat.STEPS,
        checks=_checks(report),
        tally=_tally,
        said=_said,
        most_findings=FINDINGS,
    )


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2  # only here: a run that is never reported does not wait for it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hakuna.reports.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"headline": headline, "line": one_line, "seconds": seconds, "places": name_places}
    return environment


def _finalize(value: Any) -> Any:
    """Clean every text; only markup of our own goes in as it is."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    return clean(value)


def seconds(value: float | None) -> str:
    """A duration for people: ``4 ms``, ``1.2 s``, ``3 min 20 s``."""
    if value is None:
        return "\u2013"
    if value < 0.1:  # noqa: PLR2004  # a tenth of a second
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < _MINUTE else f"{int(value) // _MINUTE} min {int(value) % _MINUTE} s"


def _is_dull(row: tuple[str, str, str]) -> bool:
    """Whether a change says nothing: a check that only follows others now, or one that applies now and is fine."""
    _, before, after = row
    first, now = before.split(" ")[0], after.split(" ")[0]
    return now in _FOLLOWING or (first in _FOLLOWING and now == _GREEN[0])


def _shares(report: RunReport) -> list[tuple[str, float, float]]:
    """The verdicts as parts of one bar: name, where it begins, how wide it is, in per cent."""
    whole = sum(report.counts.values()) or 1
    found, at = [], 0.0
    for verdict in reversed(Verdict):
        if width := 100 * report.counts.get(verdict, 0) / whole:
            found.append((verdict.value, at, width))
            at += width
    return found


def _lead(report: RunReport, words: Words) -> str:
    if report.verdict is RunVerdict.READY:
        return words("ready")
    causes = len(root_groups(report.summary.root_causes))
    if report.verdict is RunVerdict.NOT_READY and not causes:
        return one_line("; ".join(report.problems), 300)
    if causes == 1:
        group = root_groups(report.summary.root_causes)[0]
        where = name_places(group.places)
        if len(where) <= _LEAD:
            return words("not_ready_one", headline(report.title(group.rule)), where)
    if causes:
        return words("not_ready", words("root_cause") if causes == 1 else words("root_causes", causes))
    return words("inconclusive")


def _card(report: RunReport, exhibits: Exhibits, group: Group) -> Card:
    first = group.findings[0]
    shown = (first,) if group.alike else group.findings[:ROWS]
    places = name_places(group.places)
    info = report.rules.get(group.rule)
    return Card(
        group=group,
        title=headline(report.title(group.rule)),
        why=info.why if info else "",
        where=places if len(places) <= _PLACES else places[:_PLACES].rpartition(", ")[0] + ", …",
        found=tuple(("" if group.alike else str(f.where), f.message, f.expected, f.observed) for f in shown),
        hidden=0 if group.alike else len(group.findings) - len(shown),
        fixes=_fixes(group),
        excerpts=tuple((source, exhibits.excerpt(source)) for source in group.evidence[:EXCERPTS]),
    )


def _fixes(group: Group) -> tuple[Fix, ...]:
    """Commands by the node that they are for; a rule writes it as ``on NODE: COMMAND``."""
    found: dict[str, list[str]] = {}
    for fix, places in group.fixes:
        nodes = ", ".join(dict.fromkeys(p.node for p in places if p.node))
        for line in lines(fix):
            head, _, command = line.partition(": ")
            told = head.startswith("on ") and len(head.split()) == 2 and command  # noqa: PLR2004  # "on", NODE
            found.setdefault(head.removeprefix("on ") if told else nodes, []).append(command if told else line)
    return tuple(Fix(where, "\n".join(dict.fromkeys(text))) for where, text in found.items())


def _bars(report: RunReport, exhibits: Exhibits) -> list[Bar]:
    begin = min((s.begin for s in report.stages if s.begin is not None), default=report.started)
    end = max((s.end for s in report.stages if s.end is not None), default=report.ended)
    whole = max(end, report.ended) - begin
    waited = {w.stage: w.text for w in exhibits.waits}
    timed = {s.stage: s for s in report.stages}
    bars = []
    for stage in Stage:
        counts = _counts(r for r in report.results if report.stage(r.rule) == stage.value)
        time_of = timed.get(stage.value)
        if time_of is None and not counts:
            continue
        left = width = 0.0
        if time_of and time_of.begin is not None and whole > 0:
            left = min(99.4, 100 * (time_of.begin - begin) / whole)
            until = time_of.end if time_of.end is not None else end
            width = max(0.6, min(100 - left, 100 * max(0.0, until - time_of.begin) / whole))
        state = "none" if time_of is None else "open" if time_of.end is None else "done"
        length = time_of.seconds if time_of else None
        bars.append(Bar(stage.value, state, length, left, width, waited.get(stage.value, ""), counts))
    return bars


def _counts(results: Any) -> tuple[tuple[str, int], ...]:
    found: dict[Verdict, int] = {}
    for result in results:
        found[result.verdict] = found.get(result.verdict, 0) + 1
    return tuple((v.value, found[v]) for v in reversed(Verdict) if v in found)


def _checks(report: RunReport) -> Mapping[str, list[CheckResult | str]]:
    """All results by stage; rules that were expected and did not run stand among them as their code."""
    found: dict[str, list[CheckResult | str]] = {}
    for result in report.results:
        found.setdefault(report.stage(result.rule), []).append(result)
    for code in report.not_run:
        found.setdefault(report.stage(code), []).append(code)
    return found


def _tally(results: list[CheckResult | str]) -> tuple[tuple[str, int], ...]:
    """Verdicts of one stage's checks, those that did not run left out (their rows say so)."""
    return _counts(r for r in results if isinstance(r, CheckResult))


def _said(finding: Finding) -> str:
    by = f"by {', '.join(map(str, finding.causes[:3]))}" if finding.causes else ""
    parts = (
        by,
        finding.message,
        finding.expected and f"expected {finding.expected}",
        finding.observed and f"observed {finding.observed}",
    )
    return one_line(", ".join(p for p in parts if p), 400)
