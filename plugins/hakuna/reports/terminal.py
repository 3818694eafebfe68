# SPDX-License-Identifier: Apache-2.0
"""The report for a person at a terminal: the verdict and the first root causes stand on the first screen."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from hakuna import __version__
from hakuna.inventory.model import TransportKind
from hakuna.judgement.verdict import Finding, RunVerdict, Verdict
from hakuna.reports.grouping import Group, groups, name_places, root_groups
from hakuna.reports.model import RunReport
from hakuna.reports.text import clean, headline, lines, one_line, plural
from hakuna.reports.writer import WRITTEN
from hakuna.stages.run import Mode, Run

_RUN_STYLE = {
    RunVerdict.READY: "bold green",
    RunVerdict.NOT_READY: "bold red",
    RunVerdict.INCONCLUSIVE: "bold yellow",
}
_STYLE = {
    Verdict.PASS: "green",
    Verdict.WARN: "yellow",
    Verdict.SKIP: "cyan",
    Verdict.BLOCKED: "magenta",
    Verdict.UNPARSED: "magenta",
    Verdict.ERROR: "red",
    Verdict.FAIL: "bold red",
}
_LABEL = 10  # columns of the labels before values
_NARROWEST = 40
_VALUE = 400  # longer values are cut here and whole in findings.json
_ROWS = 8  # rows of one kind (places that differ, evidence) in one group
_FIX_LINES = 24  # a group's fixes: every line is whole, but there are no more than so many
_CODES = 10
_ON = re.compile(r"on ([\w.:/-]+|every node): (.+)")  # "on NODE: COMMAND", as the rules write it
_PLACES = 1600  # characters of places: some 100 nodes with all their devices


def render(report: RunReport, *, width: int, color: bool) -> str:
    """Give the report as text of ``width`` columns; only commands to type may be longer.

    With ``color`` it holds ANSI colours, and no other control characters in any case.
    """
    page = _Page(max(width, _NARROWEST), color=color)
    _verdict(page, report)
    _root_causes(page, report)
    _unjudged(page, report)
    _warnings(page, report)
    _skips(page, report)
    _notes(page, report)
    _paths(page, report)
    return page.text()


def header(run: Run) -> list[str]:
    """Say what is about to be run, in the lines that pytest shows before it collects."""
    inventory = run.inventory
    sizes = {len(n.device_ids) for n in inventory.nodes}
    devices = f"x {sizes.pop()} devices" if len(sizes) == 1 else f"with {inventory.world_size} devices"
    size = f"{plural(len(inventory.nodes), 'node')} {devices}"
    simulated = ", SIMULATED" if inventory.transport is TransportKind.SIMULATED else ""
    doing = {
        Mode.FULL: "bring up, check, keep" if run.plan.keep else "bring up, check, take down",
        Mode.PREFLIGHT: "preflight: look only, change nothing",
        Mode.ATTACH: "attach: check what is up, start and stop nothing",
    }[run.plan.mode]
    if not run.live:
        doing = f"replay of {run.id}: judge its evidence again, reach no node"
    told = [
        f"hakuna {__version__}: {inventory.cluster}, {size}{simulated} (inventory {run.inventory_name})",
        f"hakuna run {run.id}: {doing}",
        f"hakuna reports: {run.folder}",
    ]
    return [one_line(line) for line in told]


class _Page:
    """Lines of text on a rich console that writes to memory. Nothing here is read as markup."""

    def __init__(self, width: int, *, color: bool) -> None:
        self.width = width
        self._buffer = io.StringIO()
        self._console = Console(
            file=self._buffer,
            width=width,
            force_terminal=color,
            color_system="standard" if color else None,
            no_color=not color,
            force_interactive=False,
            legacy_windows=False,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def text(self) -> str:
        return self._buffer.getvalue()

    def line(self, line: Text | str = "", style: str = "") -> None:
        """Write one line as it is, however long it is."""
        text = Text(line, style=style) if isinstance(line, str) else line
        self._console.print(text, soft_wrap=True)

    def hang(self, lead: Text, text: Text) -> None:
        """Write ``lead`` and behind it ``text``, folded so that its later lines begin where the first did."""
        indent = lead.cell_len
        for number, part in enumerate(text.wrap(self._console, max(self.width - indent, 20), overflow="fold")):
            part.rstrip()
            self.line(Text.assemble(lead if number == 0 else " " * indent, part))

    def row(self, label: str, value: str, style: str = "") -> None:
        self.hang(Text(f"    {label:<{_LABEL}}", style="dim"), Text(value, style=style))


def _verdict(page: _Page, report: RunReport) -> None:
    limits = f" ({one_line('; '.join(report.limits))})" if report.limits else ""
    line = Text.assemble((f"{report.verdict.value}{limits}", _RUN_STYLE[report.verdict]))
    if report.simulated:
        line.append("  SIMULATED", style="bold cyan")
    line.append(f"  {one_line(report.cluster, 63)}, {report.cluster_size}, {report.seconds:.1f} s")
    counts = Text("  ").join(
        Text(f"{n} {v.value}", style=_STYLE[v]) for v, n in sorted(report.counts.items(), key=_by_weight)
    )
    if not report.counts:
        counts = Text("no check ran", style="bold red")
    if line.cell_len + 2 + counts.cell_len <= page.width:
        page.line(Text.assemble(line, "  ", counts))
    else:
        page.hang(Text(), line)
        page.line(counts)
    for problem in report.problems:
        page.hang(Text("! ", style="bold yellow"), Text(one_line(problem, _VALUE), style="yellow"))


def _by_weight(pair: tuple[Verdict, int]) -> int:
    return -list(Verdict).index(pair[0])


def _root_causes(page: _Page, report: RunReport) -> None:
    for number, group in enumerate(root_groups(report.summary.root_causes), 1):
        page.line()
        _group(page, report, group, f"{number:>2}. ")
    for outside in report.outside_causes:
        page.line()
        text = f"BLOCKED by {outside.cause}, which is not among the checks that ran: {_codes(outside.blocked)}"
        page.hang(Text("  - "), Text(one_line(text), style=_STYLE[Verdict.BLOCKED]))


def _unjudged(page: _Page, report: RunReport) -> None:
    found = groups([*report.summary.unjudged, *report.blocked_without_cause])
    if found:
        page.line()
        page.line(f"Could not be judged ({plural(len(found), 'reason')}):", "bold")
    for group in found:
        _group(page, report, group, f"  - {group.verdict.value} ")


def _warnings(page: _Page, report: RunReport) -> None:
    found = groups(report.warnings)
    if found:
        page.line()
        page.line(f"Warnings ({len(found)}):", "bold")
    for group in found:
        _group(page, report, group, "  - ")


def _group(page: _Page, report: RunReport, group: Group, lead: str) -> None:
    """One root cause, warning or question: what, where, why, how to mend it, what rests on it."""
    heading = f"{group.rule} {headline(report.title(group.rule))}".rstrip()
    page.hang(Text(lead, style=_STYLE[group.verdict]), Text(one_line(heading), style=_STYLE[group.verdict]))
    _where(page, group)
    if group.alike:
        _details(page, group.findings[0])
    else:
        for finding in group.findings[:_ROWS]:
            page.row("", f"{one_line(str(finding.where))}: {_sentence(finding)}")
        _more(page, len(group.findings) - _ROWS, "place")
    _fixes(page, group)
    sources = [_source(e) for e in group.evidence]
    for number, source in enumerate(sources[:3]):
        page.row("" if number else "evidence", source, "dim")
    _more(page, len(sources) - 3, "piece of evidence", "pieces of evidence")
    if group.blocked:
        page.row("blocks", f"{one_line(group.explains)}: {_codes(group.blocked)}")


def _where(page: _Page, group: Group) -> None:
    words = one_line(name_places(group.places))
    if len(words) <= _PLACES:
        page.row("where", words, "bold")
        return
    page.row("where", words[:_PLACES].rpartition(", ")[0] + ", ...", "bold")
    page.row("", f"{len(group.places)} places in all: see findings.json", "dim")


def _details(page: _Page, finding: Finding) -> None:
    if finding.message:
        page.row("found", one_line(finding.message, _VALUE))
    expected, observed = one_line(finding.expected, _VALUE), one_line(finding.observed, _VALUE)
    if expected and observed and len(expected) + len(observed) < page.width - _LABEL - 30:
        page.row("expected", f"{expected}   observed  {observed}")
        return
    if expected:
        page.row("expected", expected)
    if observed:
        page.row("observed", observed)


def _sentence(finding: Finding) -> str:
    parts = (
        finding.message,
        finding.expected and f"expected {finding.expected}",
        finding.observed and f"observed {finding.observed}",
    )
    return one_line(", ".join(p for p in parts if p), _VALUE)


def _fixes(page: _Page, group: Group) -> None:
    """Every fix on lines of its own, to be copied: never folded, never cut. What says where stands above it."""
    fixes = group.fixes
    written, last = 0, ""
    for number, (fix, places) in enumerate(fixes):
        block = lines(fix)
        if written and written + len(block) > _FIX_LINES:
            _more(page, len(fixes) - number, "fix", "fixes")
            return
        nodes = ", ".join(dict.fromkeys(p.node or "cluster" for p in places))
        default = "fix" if len(fixes) == 1 else f"fix for {one_line(nodes, 200)}"
        for line in block:
            told = _ON.fullmatch(line)
            heading, command = (f"fix on {told[1]}", told[2]) if told else (default, line)
            if heading != last:
                page.line(f"    {heading}", "dim")
                last = heading
            page.line(f"      {command}", "green")
        written += len(block)


def _more(page: _Page, count: int, noun: str, several: str = "") -> None:
    if count > 0:
        words = plural(count, f"more {noun}") if not several or count == 1 else f"{count} more {several}"
        page.row("", f"and {words}: see findings.json", "dim")


def _source(evidence: str) -> str:
    """Where in the run's folder a piece of evidence is: ``BATCH/NODE/COMMAND`` is a line of a file."""
    batch, _, rest = clean(evidence).partition("/")
    node, _, command = rest.partition("/")
    if batch == "http" and rest:
        return one_line(f"evidence/http/{rest}.json")
    if command:
        return one_line(f"evidence/{batch}/{node}.jsonl ({command})")
    return one_line(evidence)


def _codes(codes: Iterable[str]) -> str:
    known = list(codes)
    words = ", ".join(known[:_CODES])
    return words if len(known) <= _CODES else f"{words} and {len(known) - _CODES} more"


def _skips(page: _Page, report: RunReport) -> None:
    reasons: dict[str, list[str]] = {}
    for result in report.results:
        if result.verdict is Verdict.SKIP:
            reasons.setdefault(one_line(result.reason, _VALUE) or "no reason given", []).append(result.rule)
    if reasons:
        page.line()
        page.line(f"Skipped ({plural(sum(map(len, reasons.values())), 'check')}; a skip is not a pass):", "bold")
    for reason, codes in reasons.items():
        page.hang(Text(f"  {len(codes):>3} ", style=_STYLE[Verdict.SKIP]), Text(f"{reason}: {_codes(codes)}"))


def _notes(page: _Page, report: RunReport) -> None:
    told = [*report.notes, *(f"{r.rule}: {n}" for r in report.results for n in r.notes)]
    if told:
        page.line()
    for note in told:
        page.hang(Text("note  ", style="dim"), Text(one_line(note, _VALUE)))


def _paths(page: _Page, report: RunReport) -> None:
    page.line()
    timed = [f"{s.stage.replace('_', ' ')} {s.seconds:.1f} s" for s in report.stages if s.seconds is not None]
    open_stages = [f"{s.stage.replace('_', ' ')} not finished" for s in report.stages if s.end is None]
    if timed or open_stages:
        page.hang(Text("stages    ", style="dim"), Text(one_line(", ".join([*timed, *open_stages]))))
    page.line(Text.assemble(("run       ", "dim"), one_line(report.run_id)))
    if report.folder:
        folder = one_line(report.folder)
        page.line(
            Text.assemble(("reports   ", "dim"), f"{folder}/ (findings.json, junit.xml and {len(WRITTEN) - 2} more)")
        )
        page.line(Text.assemble(("page      ", "dim"), f"{folder}/report.html"))
        kept = f"in the folder of run {one_line(report.replay_of)}" if report.replay_of else f"{folder}/evidence/"
        page.line(Text.assemble(("evidence  ", "dim"), kept))
    causes = root_groups(report.summary.root_causes)
    if causes:
        page.line(Text.assemble(("more      ", "dim"), f"hakuna explain {causes[0].rule}"))
