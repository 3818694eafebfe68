# SPDX-License-Identifier: Apache-2.0
"""What ``hakuna history`` and ``hakuna diff`` print."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from hakuna.judgement.verdict import RunVerdict, Verdict
from hakuna.reports.drift import Change, compare, out_of_line
from hakuna.reports.history import Entry, good_before
from hakuna.reports.text import one_line

_BARS = "▁▂▃▄▅▆▇█"
_RED = ("FAIL", "ERROR", "UNPARSED")
_COLORS = {RunVerdict.READY.value: "32", RunVerdict.NOT_READY.value: "1;31", RunVerdict.INCONCLUSIVE.value: "33"}
_HEADINGS = (
    ("verdict", "verdict"),
    ("check", "checks"),
    ("fact", "versions, digests, addresses"),
    ("figure", "figures"),
)


def table(runs: Sequence[Entry], *, color: bool = False) -> str:
    """One line for each run, oldest first, then one sparkline for each figure."""
    if not runs:
        return "no run is remembered yet\n"
    out = [f"{'run':<26} {'started (UTC)':<17} {'cluster':<14} {'verdict':<13} what was not green"]
    for run in runs:
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(run.started)) if run.started else "-"
        red = [rule for rule, check in run.checks.items() if check.verdict in _RED]
        red += [f"{rule} (WARN)" for rule, check in run.checks.items() if check.verdict == Verdict.WARN.value]
        words = ", ".join(red[:4]) + (f" and {len(red) - 4} more" if len(red) > 4 else "")  # noqa: PLR2004  # a line
        mode = "" if run.whole else f"  ({run.mode}, not all checks)"
        sim = "  SIMULATED" if run.simulated else ""
        sim += "  accepted" if run.accepted else ""
        line = f"{run.id:<26} {when:<17} {run.cluster[:14]:<14} {run.verdict:<13} {words or '-'}{mode}{sim}"
        row = one_line_kept(line)
        code = _COLORS.get(run.verdict, "") if color else ""
        out.append(row.replace(run.verdict, f"\x1b[{code}m{run.verdict}\x1b[0m", 1) if code else row)
    figures = sorted({name for run in runs for name in run.measures})
    if figures:
        out += ["", f"{'figure':<24} {'lowest':>9} {'last':>9} {'highest':>9}  over the runs above"]
    for name in figures:
        values = [run.measures[name].value if name in run.measures else None for run in runs]
        known = [v for v in values if v is not None]
        unit = next(run.measures[name].unit for run in runs if name in run.measures)
        out.append(
            f"{one_line(name, 24):<24} {min(known):>9.4g} {known[-1]:>9.4g} {max(known):>9.4g}  "
            f"{sparkline(values)}  {one_line(unit, 12)}"
        )
    return "\n".join(line.rstrip() for line in out) + "\n"


def sparkline(values: Iterable[float | None]) -> str:
    """One character for each value, a dot where there is none."""
    listed = list(values)
    known = [v for v in listed if v is not None]
    if not known:
        return "·" * len(listed)
    low, span = min(known), max(known) - min(known)
    top = len(_BARS) - 1
    return "".join("·" if v is None else _BARS[round(top * (v - low) / span) if span else 0] for v in listed)


def difference(before: Entry, after: Entry, runs: Sequence[Entry]) -> str:
    """Every difference between two runs, and the figures of the second that are out of line with good runs."""
    changes = compare(before, after)
    out = [f"{before.id} {before.verdict} -> {after.id} {after.verdict}"]
    for kind, heading in _HEADINGS:
        found = [c for c in changes if c.what == kind and kind != "verdict"]
        out += ["", f"{heading}:"] * bool(found) + [_line(c) for c in _grouped(found)]
    drifted = out_of_line(good_before(list(runs), after), after)
    out += ["", "out of line with the last good runs:"] * bool(drifted) + [_line(c) for c in drifted]
    if len(out) == 1:
        out.append("no difference")
    return "\n".join(out) + "\n"


def _line(change: Change) -> str:
    mark = "!" if change.worse else " "
    return f" {mark} {one_line(str(change), 300)}"


def _grouped(changes: Sequence[Change]) -> list[Change]:
    """Checks that only follow another one (BLOCKED, SKIP, not asked for), or no longer do, are counted in one line."""
    following = {Verdict.BLOCKED.value, Verdict.SKIP.value, "-"}
    found: dict[tuple[str, str], list[Change]] = {}
    out = []
    for change in changes:
        words = (change.before.split(" ", 1)[0], change.after.split(" ", 1)[0])
        if change.what == "check" and following & set(words) and words[1] not in _RED:
            found.setdefault(words, []).append(change)
        else:
            out.append(change)
    for (before, after), group in found.items():
        name = group[0].name if len(group) == 1 else f"{len(group)} checks ({group[0].name} ... {group[-1].name})"
        out.append(Change("check", name, before, after))
    return out


def one_line_kept(text: str) -> str:
    """A row of a table: cleaned of what a terminal would obey, its columns kept."""
    return "".join(c for c in text if c.isprintable())
