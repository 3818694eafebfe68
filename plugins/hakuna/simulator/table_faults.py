# SPDX-License-Identifier: Apache-2.0
"""What a site's own script makes of the rank table when one of the table faults is in."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from hakuna.simulator.cluster import ClusterSpec


_CLUSTER_WIDE = (
    "duplicate-rank-id",
    "rank-gap",
    "wrong-server-id",
    "server-count-wrong",
    "stale-table",
    "table-double-address",
    "table-not-completed",
    "table-version-wrong",
    "table-cut",
    "table-misses-device",
)


def rewritten(spec: ClusterSpec, node: str, content: bytes) -> bytes:
    """The table as it ends up on ``node``; unchanged without a fault, or when it is no table."""
    cluster_wide = [name for name in _CLUSTER_WIDE if spec.has(name)]
    differs = spec.has("table-differs", node)
    if not cluster_wide and not differs:
        return content
    try:
        table: dict[str, Any] = json.loads(content)
        servers: list[dict[str, Any]] = table["server_list"]
        devices: list[dict[str, Any]] = [d for s in servers for d in s["device"]]
    except (ValueError, KeyError, TypeError):
        return content
    if "duplicate-rank-id" in cluster_wide:
        devices[-1]["rank_id"] = devices[len(devices) // 2 - 1]["rank_id"]
    if "rank-gap" in cluster_wide:
        devices[-1]["rank_id"] = str(len(devices))
    if "wrong-server-id" in cluster_wide:
        _rename(table, servers)
    if "server-count-wrong" in cluster_wide:
        table["server_count"] = str(len(servers) + 1)
    if "stale-table" in cluster_wide:
        devices[-1]["device_ip"] = str(ipaddress.ip_address(devices[-1]["device_ip"]) + 100)
    if "table-double-address" in cluster_wide:
        devices[-1]["device_ip"] = devices[0]["device_ip"]
    if "table-not-completed" in cluster_wide:
        table["status"] = "initializing"
    if "table-version-wrong" in cluster_wide:
        table["version"] = "2.0"
    if "table-misses-device" in cluster_wide:
        servers[-1]["device"].pop()
    if "table-cut" in cluster_wide:
        return json.dumps(table, indent=2).encode()[:-40]
    if differs:
        ip = devices[-1].get("device_ip") or "192.0.2.1"
        devices[-1]["device_ip"] = str(ipaddress.ip_address(ip) + 100)
    return (json.dumps(table, indent=2) + "\n").encode()


def _rename(table: dict[str, Any], servers: list[dict[str, Any]]) -> None:
    """Call the servers as the guide's example does, in the list of super pods too."""
    names = {s["server_id"]: f"node_{i}" for i, s in enumerate(servers)}
    for server in servers:
        server["server_id"] = names[server["server_id"]]
    for pod in table.get("super_pod_list", ()):
        for server in pod.get("server_list", ()):
            server["server_id"] = names.get(server["server_id"], server["server_id"])
