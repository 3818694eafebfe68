# SPDX-License-Identifier: Apache-2.0
"""Earlier runs as a strip of verdicts, and each measured figure as a line over them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from hakuna.judgement.verdict import RunVerdict
from hakuna.reports.facts.exhibits import Measure, Night
from hakuna.reports.page.words import Words
from hakuna.reports.text import one_line

_STYLE = {RunVerdict.READY.value: "r", RunVerdict.NOT_READY.value: "f", RunVerdict.INCONCLUSIVE.value: "i"}
_WIDE, _HIGH, _EDGE = 240.0, 36.0, 4.0


@dataclass(frozen=True)
class Trend:
    """One figure over the runs: its extremes, its last value, and the line."""

    name: str
    unit: str
    lowest: float
    highest: float
    last: float
    line: Markup


def strip(nights: Sequence[Night], words: Words) -> Markup:
    """One cell for each run, the oldest first."""
    label = escape(words("nights_label", len(nights)))
    parts = [f'<svg class="nights" viewBox="0 0 {len(nights) * 10} 16" preserveAspectRatio="xMinYMid" role="img" aria-label="{label}">']
    for number, night in enumerate(nights):
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(night.started))
        told = escape(one_line(f"{when} {night.verdict} {night.run}", 200))
        style = _STYLE.get(night.verdict, "i")
        parts.append(f'<rect class="{style}" x="{number * 10 + 1}" width="8" height="16"><title>{told}</title></rect>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704  # all that came from nodes went through escape


def trends(nights: Sequence[Night], measures: Sequence[Measure]) -> list[Trend]:
    """Every figure of the last run that others measured as well."""
    found = []
    for measure in measures:
        points = [(n, night.measures[measure.name]) for n, night in enumerate(nights) if measure.name in night.measures]
        values = [v for _, v in points]
        if len(values) > 1:
            line = _line(points, len(nights), measure.name)
            found.append(Trend(measure.name, measure.unit, min(values), max(values), values[-1], line))
    return found


def _line(points: Sequence[tuple[int, float]], count: int, name: str) -> Markup:
    low, high = min(v for _, v in points), max(v for _, v in points)
    if high == low:  # a figure that never moves is a line in the middle
        low, high = low - 1, high + 1
    span = high - low
    step = (_WIDE - 2 * _EDGE) / max(1, count - 1)
    at = [(_EDGE + n * step, _HIGH - _EDGE - (_HIGH - 2 * _EDGE) * (v - low) / span) for n, v in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    x, y = at[-1]
    label = escape(f"{name}: {', '.join(f'{v:.4g}' for _, v in points)}")
    return Markup(  # noqa: S704  # numbers and our own names
        f'<svg class="trend" viewBox="0 0 {_WIDE:g} {_HIGH:g}" role="img" aria-label="{label}">'
        f'<polyline points="{path}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="3"/></svg>'
    )
