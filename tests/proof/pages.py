# SPDX-License-Identifier: Apache-2.0
"""The detection matrix as docs/detection.md: a table of faults, and a grid of faults x rules for every stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from share import KINDS, NOT_ENTERED, QUIET

from hakuna.judgement.rules import Rule
from hakuna.judgement.stage import Stage

_HEAD = """# Detection

Made by `make proof` (`tests/proof/prove.py --write`), on the simulated 2 x 8 cluster. [By fault](#by-fault): the rule that
reports it and where, then what it blocks. [Faults and rules](#faults-and-rules): the same as a grid for every stage. All
other checks keep the verdict that they have without the fault. Several faults at once: see [faults](faults.md#several-at-once).

## By fault

Checks of stages that are not entered are counted together.

| fault | reported by | verdict | at | blocked in the stages entered | blocked in later stages |
|---|---|---|---|---|---|"""
_GRID = """
## Faults and rules

One row per fault that changes something in the stage; a stage that is not entered because of an earlier one has no row. `F`
fails, `W` warns, `U` is UNPARSED, `E` is an ERROR, `b` is BLOCKED by the fault's cause, `x` is not begun (the stage was not
entered), `.` is as without the fault. Every column has a letter that is neither `b` nor `x`: every rule is tripped.
"""


def page(rows: Mapping[str, str], grid: Mapping[str, str], rules: Iterable[Rule]) -> str:
    """The whole page; ``rows`` are those of the table, ``grid`` has a letter for each rule, both by fault."""
    codes = [(r.stage, r.code) for r in rules]
    parts = [_HEAD, *(rows[name] for name in KINDS), _GRID]
    for stage in dict.fromkeys(stage for stage, _ in codes):
        parts += _stage(stage, [i for i, (s, _) in enumerate(codes) if s is stage], [c for _, c in codes], grid)
    return "\n".join(parts) + "\n"


def _stage(stage: Stage, columns: list[int], codes: list[str], grid: Mapping[str, str]) -> list[str]:
    cells = {name: "".join(grid[name][i] for i in columns) for name in KINDS}
    shown = {name: row for name, row in cells.items() if set(row) - {QUIET, NOT_ENTERED}}
    width = max((len(name) for name in shown), default=0)
    numbers = [codes[i] for i in columns]
    letters = numbers[0][:3]
    head = [f"{letters if n == 0 else '':<{width}}  {''.join(c[3 + n] for c in numbers)}" for n in range(3)]
    rows = [f"{name:<{width}}  {row}" for name, row in shown.items()]
    return [f"### {stage.title.capitalize()}", "", "```text", *head, "", *rows, "```", ""]
