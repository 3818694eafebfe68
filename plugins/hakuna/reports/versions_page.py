# SPDX-License-Identifier: Apache-2.0
"""The table of LMDeploy's releases as docs/versions.md: ``python -m hakuna.reports.versions_page``."""

from __future__ import annotations

import enum
import sys

from hakuna.judgement.rules import RuleBook
from hakuna.releases import ASSUMED, Behaviour, Row, rows_of
from hakuna.suites import load_rules

_HEAD = """# LMDeploy's releases

Generated from the table in `plugins/hakuna/releases/` (`make docs`): change it there. Rules, stages and the simulator
go by these rows. For each of the behaviours every release, chip and number of nodes has exactly one row
(`tests/releases/`, which also shows each row in what it decides). Releases are ordered as PEP 440 says: a pre-release
of 0.15.0 is judged as what came before.
"""


def page(book: RuleBook) -> str:
    """The whole page."""
    parts = [_HEAD, *(_behaviour(b, book) for b in Behaviour)]
    return "\n".join(parts)


def _behaviour(behaviour: Behaviour, book: RuleBook) -> str:
    rules = [f"[{r.code}](rules.md#{r.code.lower()})" for r in book if behaviour in r.releases]
    lines = [
        f"## {behaviour.value[0].upper()}{behaviour.value[1:]}",
        "",
        "| row | releases | chips | nodes | value | what holds | source |",
        "|---|---|---|---|---|---|---|",
        *(_row(row) for row in rows_of(behaviour)),
        "",
    ]
    if behaviour in ASSUMED:
        lines += [f"While the release is not known, {_escaped(ASSUMED[behaviour].says)}.", ""]
    rest = ", ".join(rules) if rules else "none; the simulator does as the rows say"
    return "\n".join([*lines, f"Rules that rest on these rows: {rest}.", ""])


def _row(row: Row) -> str:
    chips = "all" if len(row.chips) > 2 else ", ".join(row.chips)  # noqa: PLR2004  # all there are
    nodes = row.topology.value if row.topology else "any"
    name = f'<a id="{row.key}"></a>`{row.key}`'
    cells = (name, row.releases, chips, nodes, _value(row.value), _escaped(row.says), _escaped(row.source))
    return "| " + " | ".join(cells) + " |"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value.value if isinstance(value, enum.Enum) else value)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(page(load_rules()))
