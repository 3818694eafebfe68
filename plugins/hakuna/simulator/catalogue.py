# SPDX-License-Identifier: Apache-2.0
"""The catalogue of faults: what each one does to a simulated cluster, and which rule is to find it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hakuna.simulator import (
    catalogue_container,
    catalogue_drift,
    catalogue_generation,
    catalogue_host,
    catalogue_inventory,
    catalogue_logs,
    catalogue_network,
    catalogue_ray,
    catalogue_service,
    catalogue_table,
)
from hakuna.simulator.catalogue_combined import COMBINED
from hakuna.simulator.fault_kind import Combination, FaultKind, Scope, Shows

__all__ = ["CATALOGUE", "COMBINED", "VARIANTS", "Combination", "FaultKind", "Scope", "Shows", "markdown"]

_PARTS = (
    catalogue_host,
    catalogue_network,
    catalogue_container,
    catalogue_table,
    catalogue_ray,
    catalogue_logs,
    catalogue_service,
    catalogue_generation,
)
#: Every fault of a simulated cluster by its name, in the order of the stages.
CATALOGUE: Mapping[str, FaultKind] = MappingProxyType({kind.name: kind for part in _PARTS for kind in part.FAULTS})

#: Every fault of the inventory itself by its name: no cluster has it, the file has.
VARIANTS: Mapping[str, FaultKind] = MappingProxyType(
    {kind.name: kind for part in (catalogue_inventory, catalogue_drift) for kind in part.FAULTS}
)


def markdown() -> str:
    """The catalogue as a page: fault, rule and place that it must give, and the real case that it stands for."""
    count = len(CATALOGUE) + len(VARIANTS)
    rows = [
        "# Faults",
        "",
        f"{count} faults that Hakuna is proven against. `--fault NAME[@PLACE]` puts one of the simulated cluster's in.",
        "`tests/simulated/` holds that each gives exactly its rule at its place, and that what depends on it",
        "is BLOCKED by it. `make proof` prints the figures; `docs/detection.md` is the matrix. Sources are threads",
        "(`vllm-ascend #168`), projects' files and manuals; `guide N` is section N of dlinfer's",
        "`docs/ascend_multinodes.md` (4c329c9).",
        "",
        "## Of the simulated cluster",
        "",
        "| fault | at | what is wrong | rule | verdict | told at | blocks | source |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(kind) for kind in CATALOGUE.values()),
        "",
        "Some are seen only with other settings of the inventory: "
        + "; ".join(f"`{k.name}`: {_settings(k)}" for k in CATALOGUE.values() if k.settings)
        + ".",
        "",
        "## Of the inventory",
        "",
        "| fault | entry | what is wrong | rule | verdict | told at | blocks | source |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(kind) for kind in VARIANTS.values()),
        "",
        "## Several at once",
        "",
        "Independent faults are as many causes; what one hides is not guessed at.",
        "",
        "| name | faults | causes | why | source |",
        "|---|---|---|---|---|",
        *(_combined(c) for c in COMBINED),
    ]
    return "\n".join(rows) + "\n"


def _row(kind: FaultKind) -> str:
    at = _settings(kind) if kind.scope is Scope.INVENTORY else kind.scope.value
    cells = (f"`{kind.name}`", at, kind.summary, kind.rule, kind.verdict, kind.shows.value, kind.blocks, kind.source)
    return "| " + " | ".join(cell or "-" for cell in cells) + " |"


def _combined(combination: Combination) -> str:
    faults = ", ".join(f"`{fault}`" for fault in combination.faults)
    settings = ", ".join(f"`{path}: {value}`" for path, value in combination.settings.items())
    cells = (
        f"`{combination.name}`",
        faults + (f" with {settings}" if settings else ""),
        ", ".join(combination.causes),
        combination.why,
        combination.source,
    )
    return "| " + " | ".join(cells) + " |"


def _settings(kind: FaultKind) -> str:
    return ", ".join(f"`{path}: {value}`" for path, value in kind.settings.items())
