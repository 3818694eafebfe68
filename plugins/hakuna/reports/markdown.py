# SPDX-License-Identifier: Apache-2.0
"""``summary.md``: the run for the job pages of GitHub and GitLab. Words of nodes are never read as Markdown."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hakuna.judgement.verdict import RunVerdict, Verdict
from hakuna.reports.grouping import Group, groups, name_places, root_groups
from hakuna.reports.model import RunReport
from hakuna.reports.text import lines, one_line, plural

_GROUPS = 20
_PLACES = 300
_SIGN = {RunVerdict.READY: "✅", RunVerdict.NOT_READY: "❌", RunVerdict.INCONCLUSIVE: "❔"}
#: Punctuation that Markdown or the HTML in it may obey (CommonMark 2.4), and what GitHub makes links of.
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>&~$:@-])")
#: GitHub's limit for one step is 1 MiB; a job page wants far less.
STEP_LIMIT = 200_000


def render(report: RunReport) -> str:
    """Give the summary as Markdown."""
    limits = f" ({plain('; '.join(report.limits))})" if report.limits else ""
    out = [f"## {_SIGN[report.verdict]} {report.verdict.value}{limits}", ""]
    if report.simulated:
        out += ["> **SIMULATED**: no real machine was checked.", ""]
    out += [f"{plain(report.cluster)}, {report.cluster_size}, run `{_code(report.run_id)}`, {report.seconds:.1f} s", ""]
    counted = [v for v in reversed(Verdict) if v in report.counts]
    if counted:
        out += [
            "| " + " | ".join(v.value for v in counted) + " |",
            "|" + " ---: |" * len(counted),
            "| " + " | ".join(str(report.counts[v]) for v in counted) + " |",
            "",
        ]
    else:
        out += ["**No check ran.**", ""]
    out += [f"- ⚠️ {plain(problem, 600)}" for problem in report.problems]
    _section(out, report, "Root causes", root_groups(report.summary.root_causes))
    _section(out, report, "Could not be judged", groups([*report.summary.unjudged, *report.blocked_without_cause]))
    _section(out, report, "Warnings", groups(report.warnings))
    return "\n".join(out).rstrip() + "\n"


def append_to_step(text: str) -> Path | None:
    """Append the summary to the job page of GitHub Actions, if this runs in one (``GITHUB_STEP_SUMMARY``).

    Raises:
        OSError: the file that GitHub named cannot be written.
    """
    name = os.environ.get("GITHUB_STEP_SUMMARY", "")
    if not name:
        return None
    with Path(name).open("ab") as file:
        file.write(text.encode("utf-8", "replace")[:STEP_LIMIT] + b"\n")
    return Path(name)


def plain(text: str, limit: int = 400) -> str:
    """A text on one line with nothing in it that Markdown would obey."""
    return _SPECIAL.sub(r"\\\1", one_line(text, limit))


def _code(text: str) -> str:
    """A text for an inline code span: on one line, without the mark that would end it, without a cell's end."""
    return one_line(text, 400).replace("`", "'").replace("|", "¦")


def _section(out: list[str], report: RunReport, title: str, found: list[Group]) -> None:
    if not found:
        return
    out += ["", f"### {title} ({len(found)})", ""]
    for number, group in enumerate(found[:_GROUPS], 1):
        places = one_line(name_places(group.places))
        places = places if len(places) <= _PLACES else places[:_PLACES].rpartition(", ")[0] + ", …"
        first = group.findings[0]
        out += [
            f"**{number}. {group.rule} {plain(report.title(group.rule))}** ({group.verdict.value}) on `{_code(places)}`"
        ]
        out += [""]
        if first.message:
            out.append(f"- {plain(first.message)}")
        if first.expected or first.observed:
            out.append(f"- expected `{_code(first.expected) or '-'}`, observed `{_code(first.observed) or '-'}`")
        if group.blocked:
            out.append(f"- {plain(group.explains)}")
        commands = [line for fix, _ in group.fixes[:8] for line in lines(fix)]
        if commands:
            fence = "`" * max(3, 1 + max((len(run) for line in commands for run in re.findall("`+", line)), default=0))
            out += ["", f"{fence}text", *dict.fromkeys(commands), fence]
        out.append("")
    if len(found) > _GROUPS:
        out.append(f"and {len(found) - _GROUPS} more: see findings.json")
