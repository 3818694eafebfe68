# SPDX-License-Identifier: Apache-2.0
"""What simulated Ray knows: the raylets of a cluster and what they offer, read from the processes in the state."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hakuna.simulator import processes
from hakuna.simulator.state import Data
from hakuna.simulator.tools import Call

RAYLET = "raylet"
GCS = "gcs_server"
SITE = "/usr/local/python3.11.10/lib/python3.11/site-packages"
NOT_RUNNING = (
    "Could not find any running Ray instance. Please specify the one to connect to by setting `--address` flag "
    "or `RAY_ADDRESS` environment variable."
)


@dataclass(frozen=True)
class Member:
    """One raylet. ``address`` is its node IP as Ray knows it; ``node`` and ``container`` say where it really runs."""

    id: str
    node: str
    container: str | None
    pid: int
    address: str
    hostname: str
    head: bool
    env: Mapping[str, str]
    resources: Mapping[str, float]
    used: float = 0.0

    @property
    def npus(self) -> int:
        return int(self.resources.get("NPU", 0))


@dataclass(frozen=True)
class RayCluster:
    """The members that the GCS at ``address`` ("10.0.0.1:6379") knows, head first."""

    address: str
    members: tuple[Member, ...] = field(default=())

    @property
    def npus(self) -> int:
        return sum(m.npus for m in self.members)

    @property
    def free_npus(self) -> int:
        return self.npus - sum(int(m.used) for m in self.members)


def node_id(address: str, gcs: str, number: int) -> str:
    """28 bytes in hex, as Ray's node ids are."""
    return hashlib.sha224(f"{gcs} {address} {number}".encode()).hexdigest()


def gcs_at(data: Data, node: str | None, port: int) -> dict[str, Any] | None:
    """The GCS process that listens on that port of a node."""
    if node is None:
        return None
    for process in processes.of_node(data, node):
        if process["kind"] == GCS and port in process["ports"]:
            return process
    return None


def local(call: Call, data: Data) -> str:
    """The GCS address that a Ray program finds here: RAY_ADDRESS, or that of a raylet beside it; else empty."""
    address = call.env.get("RAY_ADDRESS", "")
    if address and address != "auto":
        return address
    for process in processes.of_node(data, call.node.name):
        if process["kind"] == RAYLET and process["container"] == call.container:
            return str(process["gcs"])
    return ""


def cluster_at(call: Call, data: Data, address: str) -> RayCluster | None:
    """The cluster of the GCS at ``address``; None when no GCS answers there."""
    host, _, port = address.rpartition(":")
    node = call.node.spec.node_of_ip(host.strip("[]"))
    gcs = gcs_at(data, node, int(port)) if port.isdigit() else None
    if gcs is None:
        return None
    members = [
        _member(call, process)
        for node in data["processes"]
        for process in processes.of_node(data, node)
        if process["kind"] == RAYLET and process["gcs_pid"] == gcs["pid"] and process["joined"]
    ]
    members.sort(key=lambda m: (not m.head, m.pid))
    taken = Counter(
        process["raylet"]
        for node in data["processes"]
        for process in processes.of_node(data, node)
        if "raylet" in process
    )
    return RayCluster(address, tuple(replace(m, used=float(taken[m.pid])) for m in members))


def _member(call: Call, process: Mapping[str, Any]) -> Member:
    return Member(
        id=process["node_id"],
        node=process["node"],
        container=process["container"],
        pid=process["pid"],
        address=process["address"],
        hostname=call.node.spec.hostname(process["node"]),
        head=process["head"],
        env=process["env"],
        resources=process["resources"],
    )
