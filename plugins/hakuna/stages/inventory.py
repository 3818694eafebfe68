# SPDX-License-Identifier: Apache-2.0
"""Stage ``inventory``: the file itself, with the line of every entry (guide, section 0)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from hakuna.inventory.model import Inventory
from hakuna.judgement.past import Past
from hakuna.probes.reading import CONSULTED, INVENTORY, Reading, ReadingState
from hakuna.stages.run import Mode, Plan, Run
from hakuna.where import Where


@dataclass(frozen=True)
class InventoryFacts:
    """``model`` is what the file says; reading it counts as evidence. ``at`` names file and line of an entry.

    ``past`` is what the last good runs found, as it was known when the run began.
    """

    loaded: Inventory
    lines: Mapping[str, int]
    name: str
    plan: Plan
    past: Past = field(default_factory=Past)

    @property
    def model(self) -> Inventory:
        consulted = CONSULTED.get()
        if consulted is not None:
            consulted.add(Reading(Where.cluster(), ReadingState.READ, self.name, "", f"{INVENTORY}{self.name}"))
        return self.loaded

    @property
    def attached(self) -> bool:
        """Whether the run only looks at what is already up."""
        return self.plan.mode is Mode.ATTACH

    def at(self, path: str) -> str:
        """``file:line`` of an entry ("server.tp"), or of the nearest entry around it that is in the file."""
        while path:
            if path in self.lines:
                return f"{self.name}:{self.lines[path]}"
            path = path.rpartition(".")[0]
        return self.name


def collect(run: Run) -> InventoryFacts:
    """Nothing is asked of any node."""
    data = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    past = Past.from_json(data["past"]) if "past" in data else Past()
    if not past.run:
        past = Past.simulated(run.inventory.simulation.past)
    return InventoryFacts(run.inventory, data.get("lines", {}), run.inventory_name, run.plan, past)
