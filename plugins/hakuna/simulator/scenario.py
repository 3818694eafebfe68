# SPDX-License-Identifier: Apache-2.0
"""An inventory with one fault in it: the simulated cluster's, or the file's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hakuna.inventory.model import Inventory
from hakuna.simulator.fault_kind import FaultKind, Scope, Shows
from hakuna.simulator.faults import default_place
from hakuna.where import Where


def with_settings(inventory: Inventory, settings: Mapping[str, Any]) -> Inventory:
    """The inventory with dotted entries changed; ``nodes.*.X`` is X of every node, ``nodes`` a number of nodes.

    Raises:
        ValueError: an entry that the model does not know, or a value that it refuses.
    """
    data = inventory.model_dump(mode="json")
    for path, value in settings.items():
        if path == "nodes":
            data["nodes"] = data["nodes"][:value]
            continue
        places: list[Any] = [data]
        *folders, name = path.split(".")
        for folder in folders:
            places = [p for place in places for p in (place if folder == "*" else [place[folder]])]
        for place in places:
            place[name] = value
    return Inventory.model_validate(data).model_copy(update={"api_key": inventory.api_key})


def scenario(kind: FaultKind, inventory: Inventory) -> Inventory:
    """The inventory with this fault, at its default place, and whatever else is needed to see it."""
    changed = with_settings(inventory, kind.settings)
    if kind.scope is Scope.INVENTORY:
        return changed
    simulation = changed.simulation.model_copy(update={"faults": (kind.name,)})
    return changed.model_copy(update={"simulation": simulation})


def places_of(kind: FaultKind, inventory: Inventory, at: Where | None = None) -> tuple[Where, ...]:
    """Where a fault must be told; ``at`` is the place it is at (by default the default one)."""
    place = at or default_place(kind.scope, inventory)
    before = Where(place.node, place.device - 1)
    return {
        Shows.HERE: (place,),
        Shows.HEAD: (inventory.head_node.where,),
        Shows.CLUSTER: (Where.cluster(),),
        Shows.NODES: tuple(n.where for n in inventory.nodes),
        Shows.LAST_DEVICE: (inventory.ordered_nodes[-1].devices[-1],),
        Shows.NEIGHBOUR: (before,),
        Shows.NEIGHBOUR_TOO: (before, place),
    }[kind.shows]
