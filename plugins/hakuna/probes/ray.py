# SPDX-License-Identifier: Apache-2.0
"""Ray: starting and stopping it as the guide does (section 2), ``ray status``, and Ray's own list of its nodes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hakuna.evidence import Command
from hakuna.inventory.model import Inventory, Node
from hakuna.probes.programs import program
from hakuna.probes.ray_status import RayStatus, parse_status
from hakuna.probes.texts import lines, program_answer, shaped, shown, unknown

__all__ = [
    "KEEP_ENVIRON",
    "RayCluster",
    "RayNode",
    "RayStatus",
    "Started",
    "head_address",
    "nodes",
    "parse_nodes",
    "parse_start",
    "parse_status",
    "start_head",
    "start_worker",
    "status",
    "stop",
]


#: Ray's agents and workers rename themselves (setproctitle), and by default they do it over their own environment:
#: /proc/PID/environ then lacks the run's label, and what a dead raylet leaves could not be told from a neighbour's.
KEEP_ENVIRON = {"SPT_NOENV": "1"}


@dataclass(frozen=True)
class Started:
    """What ``ray start`` said. ``message`` holds its words where it did not start."""

    ok: bool
    node_ip: str = ""
    message: str = ""


@dataclass(frozen=True)
class RayNode:
    """One member of the cluster; ``address`` is the node IP by which Ray, gloo and LMDeploy know it."""

    id: str
    alive: bool
    address: str
    hostname: str
    resources: Mapping[str, float]


@dataclass(frozen=True)
class RayCluster:
    """The cluster by Ray's own API. ``error`` is set, and there are no nodes, where it could not be asked."""

    ray: str = ""
    python: str = ""
    gcs: str = ""
    nodes: tuple[RayNode, ...] = field(default=())
    error: str = ""


def head_address(inventory: Inventory) -> str:
    """The address of the cluster ("10.0.0.1:6379")."""
    ip = inventory.head_node.node_ip
    return f"[{ip}]:{inventory.ray.port}" if ":" in ip else f"{ip}:{inventory.ray.port}"


def _start(inventory: Inventory, node: Node, env: Mapping[str, str], *words: str) -> Command:
    argv = ["ray", "start", *words, f"--node-ip-address={node.node_ip}"]
    if inventory.ray.object_store_memory:
        argv.append(f"--object-store-memory={inventory.ray.object_store_memory}")
    resources: dict[str, float] = {"NPU": len(node.device_ids)} if inventory.ray.npu_resource else {}
    resources |= inventory.ray.resources
    if resources:
        argv.append(f"--resources={json.dumps(resources)}")
    whole = {**KEEP_ENVIRON, **env}
    return Command("ray.start", tuple(argv), deadline=120.0, env=whole, mutates=True)


def start_head(inventory: Inventory, node: Node, env: Mapping[str, str]) -> Command:
    """Start the head (guide, 2.2), with its address named: on several networks Ray would choose one."""
    return _start(inventory, node, env, "--head", f"--port={inventory.ray.port}")


def start_worker(inventory: Inventory, node: Node, env: Mapping[str, str]) -> Command:
    """Join a worker (guide, 2.3)."""
    return _start(inventory, node, env, f"--address={head_address(inventory)}")


def status() -> Command:
    """``ray status``; without a GCS it would wait 20 s and more."""
    return Command("ray.status", ("ray", "status"), deadline=30.0)


def nodes(inventory: Inventory) -> Command:
    """Ask Ray's API for the members; RAY_ADDRESS keeps it from asking some other cluster of the machine."""
    return program("ray-nodes", id="ray.nodes", deadline=60.0, env={"RAY_ADDRESS": head_address(inventory)})


def stop() -> Command:
    """The guide's ``ray stop`` (2.4). It ends every Ray of its process namespace: only for a container of the run."""
    return Command("ray.stop", ("ray", "stop"), deadline=60.0, mutates=True)


#: Ray's words for what went wrong, the most telling ones first.
_TROUBLE = (
    r"Version mismatch",
    r"and Ray expects this IP address to be",
    r"(?:Unable|Failed) to connect to (?:the )?GCS",
    r"already running at",
    r"Address already in use",
    r"node has timed out during startup",
    r"Failed to register (?:worker|node)",
    r"Could not find any running Ray instance",
    r"(?:Invalid value|No such option|unrecognized arguments?)",
    r"\b\w*(?:Error|Exception)\b: ",
)


def parse_start(text: str) -> Started:
    """Read what ``ray start`` printed, in any of its dresses (plain, or with time and level before each line).

    Raises:
        UnparsedError: neither its success nor a known trouble.
    """
    flat = " ".join(lines(text))
    address = re.search(r"Local node IP:\s*(\S+)", flat)
    ip = address.group(1) if address else ""
    if "Ray runtime started." in flat:
        return Started(ok=True, node_ip=ip)
    for pattern in _TROUBLE:
        if match := re.search(pattern, flat):
            return Started(ok=False, node_ip=ip, message=_sentence(flat, match.start()))
    raise unknown("ray start", text)


def _sentence(flat: str, at: int) -> str:
    """The words around a match: wrapped lines joined, from the sentence's beginning on."""
    begin = max(flat.rfind(stop, 0, at) + len(stop) if stop in flat[:at] else 0 for stop in (". ", "! ", " -- "))
    return shown(flat[begin:], 240)


@shaped
def parse_nodes(text: str) -> RayCluster:
    """Read what ``hakuna-ray-nodes`` printed.

    Raises:
        UnparsedError: it printed something else.
    """
    answer = program_answer("hakuna-ray-nodes", text)
    if answer.get("error"):
        return RayCluster(error=str(answer["error"]))
    found = tuple(
        RayNode(
            str(n["id"]),
            bool(n["alive"]),
            str(n["address"]),
            str(n.get("hostname") or ""),
            {str(k): float(v) for k, v in n["resources"].items()},
        )
        for n in answer["nodes"]
    )
    return RayCluster(str(answer["ray"]), str(answer["python"]), str(answer["gcs"]), found)
