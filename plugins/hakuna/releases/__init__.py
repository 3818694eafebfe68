# SPDX-License-Identifier: Apache-2.0
"""What LMDeploy's releases do differently: one table by release, chip and number of nodes, each row with its source.

Rules, stages and the simulator read it, nobody repeats it; docs/versions.md is made of it. The rows of one behaviour
cover every release, chip and topology, each exactly once. Standard library only: the simulated server's own process
loads it by path.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .assumed import ASSUMED, Assumed
from .row import A2, A3, CHIPS, DUO, Behaviour, DeviceChoice, EagerDemand, Row, TableUse, Topology, V
from .rows_http import ROWS as _HTTP
from .rows_launch import ROWS as _LAUNCH
from .rows_table import ROWS as _TABLE

__all__ = [
    "A2",
    "A3",
    "ASSUMED",
    "CHIPS",
    "DUO",
    "ROWS",
    "Assumed",
    "Behaviour",
    "DeviceChoice",
    "EagerDemand",
    "Row",
    "TableUse",
    "Topology",
    "number",
    "row_of",
    "rows_of",
]

ROWS: tuple[Row, ...] = (*_TABLE, *_LAUNCH, *_HTTP)


def rows_of(behaviour: Behaviour, chip: str | None = None, topology: Topology | None = None) -> tuple[Row, ...]:
    """The rows of a behaviour that speak of this chip and topology."""
    return tuple(r for r in ROWS if r.behaviour is behaviour and r.fits(chip, topology))


def row_of(
    behaviour: Behaviour,
    release: V,
    read: Callable[[str], V],
    chip: str | None = None,
    topology: Topology | None = None,
) -> Row:
    """The one row that holds. Leave out only what the behaviour does not depend on.

    Raises:
        LookupError: none does, or several do.
    """
    found = [r for r in rows_of(behaviour, chip, topology) if r.holds(release, read)]
    if len(found) != 1:
        told = f"{behaviour.value} for {release}, {chip}, {topology}"
        msg = f"{len(found)} rows of the table of releases say something of {told}"
        raise LookupError(msg)
    return found[0]


def number(text: str) -> tuple[int, int, int]:
    """A release's number, without what may stand behind it.

    Raises:
        ValueError: the text is no release.
    """
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise ValueError(f"not a version: {text!r}")
    return int(found[1]), int(found[2]), int(found[3] or 0)
