# SPDX-License-Identifier: Apache-2.0
"""What a site's own script makes of the rank table when one of the table faults is in."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from typing import Any

from hakuna.inventory.model import Chip
from hakuna.simulator.cluster import ClusterSpec

Table = dict[str, Any]
Entries = list[dict[str, Any]]


def _rename(table: Table, servers: Entries, devices: Entries) -> None:
    """Call the servers as the guide's example does, in the list of super pods too."""
    del devices
    names = {s["server_id"]: f"node_{i}" for i, s in enumerate(servers)}
    for server in servers:
        server["server_id"] = names[server["server_id"]]
    for pod in table.get("super_pod_list", ()):
        for server in pod.get("server_list", ()):
            server["server_id"] = names.get(server["server_id"], server["server_id"])


def _other_address(table: Table, servers: Entries, devices: Entries) -> None:
    del table, servers
    ip = devices[-1].get("device_ip") or "192.0.2.1"
    devices[-1]["device_ip"] = str(ipaddress.ip_address(ip) + 100)


#: What each fault makes of the table: (table, its servers, all their devices).
_FAULTS: Mapping[str, Callable[[Table, Entries, Entries], object]] = {
    "duplicate-rank-id": lambda _t, _s, d: d[-1].update(rank_id=d[len(d) // 2 - 1]["rank_id"]),
    "rank-gap": lambda _t, _s, d: d[-1].update(rank_id=str(len(d))),
    "wrong-server-id": _rename,
    "server-count-wrong": lambda t, s, _d: t.update(server_count=str(len(s) + 1)),
    "stale-table": _other_address,
    "table-double-address": lambda _t, _s, d: d[-1].update(device_ip=d[0]["device_ip"]),
    "table-not-completed": lambda t, _s, _d: t.update(status="initializing"),
    "table-version-wrong": lambda t, _s, _d: t.update(version="2.0"),
    "table-misses-device": lambda _t, s, _d: s[-1]["device"].pop(),
    "table-differs": _other_address,
}
_CUT = "table-cut"
_LOST_END = 40  # characters


def site_table(spec: ClusterSpec, node: str) -> bytes | None:
    """The table that a site's own script has put on a node (``rank_table.generate: false``); None: it has not."""
    if spec.has("table-missing", node) or spec.inventory.chip is Chip.ATLAS_800T_A3:
        return None
    nodes = spec.inventory.ordered_nodes
    ranks = {place: str(rank) for rank, place in enumerate(d for n in nodes for d in n.devices)}
    servers = [
        {
            "server_id": n.node_ip,
            "device": [
                {"device_id": str(d.device), "device_ip": spec.device(d.node, d.device).ip, "rank_id": ranks[d]}
                for d in n.devices
            ],
        }
        for n in nodes
    ]
    table = {"version": "1.0", "server_count": str(len(servers)), "status": "completed", "server_list": servers}
    return rewritten(spec, node, (json.dumps(table, indent=2) + "\n").encode())


def rewritten(spec: ClusterSpec, node: str, content: bytes) -> bytes:
    """The table as it ends up on ``node``; unchanged without a fault, or when it is no table."""
    found = [name for name in (*_FAULTS, _CUT) if spec.has(name) or spec.has(name, node)]
    if not found:
        return content
    try:
        table: Table = json.loads(content)
        servers: Entries = table["server_list"]
        devices: Entries = [d for s in servers for d in s["device"]]
    except (ValueError, KeyError, TypeError):
        return content
    for name in found:
        if name != _CUT:
            _FAULTS[name](table, servers, devices)
    text = json.dumps(table, indent=2) + "\n"
    return (text[:-_LOST_END] if _CUT in found else text).encode()
