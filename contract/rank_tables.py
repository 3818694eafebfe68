# SPDX-License-Identifier: Apache-2.0
"""The tables that a release's own rank-table code is given, and what Hakuna says of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hakuna.inventory.model import Inventory
from hakuna.judgement.rank_table import from_inventory
from hakuna.judgement.rank_table_rules import Profile, TableContext, judge
from hakuna.simulator.catalogue import CATALOGUE
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.faults import parse_fault
from hakuna.simulator.table_faults import rewritten

GOOD = "as Hakuna makes it"


@dataclass(frozen=True)
class Verdict:
    """What the release made of a table, and what Hakuna foretold. ``words`` are the release's own."""

    name: str
    refused: bool
    foretold: bool
    words: str = ""

    @property
    def right(self) -> bool:
        return self.refused == self.foretold


def _head_second(table: Any) -> None:
    table["server_list"].reverse()


def _interleaved(table: Any) -> None:
    """Ranks go round the servers, as somebody who thinks of bandwidth might write it."""
    servers = table["server_list"]
    for which, server in enumerate(servers):
        for index, device in enumerate(server["device"]):
            device["rank_id"] = str(index * len(servers) + which)


def _devices_reversed(table: Any) -> None:
    """The device list runs backwards; ranks and device ids still belong together."""
    for server in table["server_list"]:
        server["device"].reverse()


def _hostname(table: Any) -> None:
    table["server_list"][0]["server_id"] = "node-a"


def _double_device(table: Any) -> None:
    devices = table["server_list"][1]["device"]
    devices[-1]["device_id"] = devices[0]["device_id"]


_OWN: dict[str, Callable[[Any], None]] = {
    "the head second": _head_second,
    "ranks round the servers": _interleaved,
    "devices listed backwards": _devices_reversed,
    "a host name for server_id": _hostname,
    "a device_id twice": _double_device,
}


def cases(inventory: Inventory) -> dict[str, str]:
    """The tables' texts by name: Hakuna's own, the simulator's table faults, and some of a careless editor."""
    devices = [d for n in inventory.ordered_nodes for d in n.devices]
    addresses = {d: f"192.168.{1 + i // 8}.{8 + i % 8}" for i, d in enumerate(devices)}
    good = from_inventory(inventory, addresses)
    found = {GOOD: good}
    node = inventory.ordered_nodes[-1].name
    for name in CATALOGUE:
        spec = ClusterSpec(inventory, (parse_fault(name, inventory),))
        text = rewritten(spec, node, good.encode()).decode()
        if text != good:
            found[name] = text
    for name, change in _OWN.items():
        table = json.loads(good)
        change(table)
        found[name] = json.dumps(table, indent=2)
    return found


def verdicts(inventory: Inventory, version: str, told: dict[str, Any]) -> list[Verdict]:
    """The release's answers beside what Hakuna foretells for that release (its LMDeploy profile, not HCCL's)."""
    ips = tuple(n.node_ip for n in inventory.ordered_nodes)
    context = TableContext(inventory.chip, ips, inventory.tp, lmdeploy_version=version)
    found = []
    for name, text in cases(inventory).items():
        answer = told["tables"][name]
        words = answer.get("error") or _misplaced(text, [(ip, device) for ip, device in answer["devices"]])
        foretold = bool(judge(text, Profile.LMDEPLOY, context))
        found.append(Verdict(name, bool(words), foretold, words))
    return found


def _misplaced(text: str, placed: list[tuple[str, int]]) -> str:
    """What is wrong with where the ranks are, although the release took the table; "" when each is where it says."""
    if len(set(placed)) < len(placed):
        return f"{len(placed) - len(set(placed))} workers on a device that has one already"
    said = {
        int(device["rank_id"]): (server["server_id"], int(device["device_id"]))
        for server in json.loads(text)["server_list"]
        for device in server["device"]
    }
    wrong = [rank for rank, place in enumerate(placed) if said.get(rank) != place]
    return f"rank {wrong[0]} is at {placed[wrong[0]]}, the table says {said.get(wrong[0])}" if wrong else ""
