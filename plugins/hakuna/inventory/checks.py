# SPDX-License-Identifier: Apache-2.0
"""What the model can not see in one value alone: settings that contradict each other, or the files they name."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hakuna.inventory.arguments import check_arguments
from hakuna.inventory.model import Chip, Engine, Inventory, Node, TransportKind
from hakuna.inventory.problems import Problems, Spot, nearest, one_of
from hakuna.inventory.validation import Refused
from hakuna.where import Where

#: Devices of one machine (sources: vendors' product pages; the ids are 0 up to one less).
_DEVICES_OF = {Chip.ATLAS_800T_A2: 8, Chip.ATLAS_800T_A3: 16}
_NOSET = "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Context:
    """An inventory as far as it can be used, where its settings stand, and what was refused of it."""

    inventory: Inventory
    spots: Mapping[str, Spot]
    refused: Refused
    problems: Problems

    def spot(self, path: str) -> Spot:
        """Where the setting stands, or else the innermost section around it."""
        while path and path not in self.spots:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.spots[path]

    def add(self, path: str, message: str, hint: str, *, value: object = "") -> None:
        spot = self.spot(path)
        self.problems.add(spot, message, hint, value=value, where=None if path in self.spots else path)


def check(context: Context) -> None:
    """Add a problem for every contradiction found."""
    for index, node in enumerate(context.inventory.nodes):
        _node(context, f"nodes[{index}]", node)
    _unique(context)
    _families(context)
    _sizes(context)
    _environment(context)
    _container(context)
    _faults(context)
    check_arguments(context.inventory, context.add)


def usable_ip(text: str) -> str:
    """Why the text can not be a node's address; "" when it can."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return "not an IP address"
    kinds = {"loopback": ip.is_loopback, "unspecified": ip.is_unspecified, "multicast": ip.is_multicast}
    kinds["link-local"] = ip.is_link_local
    return next((f"a {kind} address: other nodes can not reach it" for kind, yes in kinds.items() if yes), "")


def _node(context: Context, path: str, node: Node) -> None:
    if not context.refused.touches(f"{path}.node_ip"):
        reason = usable_ip(node.node_ip)
        if reason:
            hint = "the host network's address on this node, as `ip addr` shows it"
            context.add(f"{path}.node_ip", reason, hint, value=node.node_ip)
    if not context.refused.touches(f"{path}.address"):
        _address(context, f"{path}.address", node.address)
    seen: set[int] = set()
    limit = _DEVICES_OF.get(context.inventory.chip, 64)
    chip = context.inventory.chip.value
    for place, device in enumerate(node.device_ids):
        where = f"{path}.device_ids[{place}]"
        if device in seen:
            context.add(where, f"device {device} is listed twice on {node.name}", "list each device once")
        elif device >= limit and not context.refused.touches("chip"):
            hint = f"0 to {limit - 1}, or another chip:"
            context.add(where, f"{chip} has {limit} devices", hint, value=device)
        seen.add(device)
    if context.inventory.transport is TransportKind.SSH and not context.refused.touches("transport"):
        for key in ("key", "known_hosts"):
            _readable(context, f"{path}.ssh.{key}", getattr(node.ssh, key))


def _address(context: Context, path: str, address: str) -> None:
    if "@" in address:
        context.add(path, "holds a user name", "set ssh.user instead", value=address)
    elif address.startswith("[") or re.fullmatch(r"[^:]+:\d+", address):
        context.add(path, "holds a port or brackets", "write the address alone, and set ssh.port", value=address)
    elif not re.fullmatch(r"[\w.:%-]+", address) or address.startswith(("-", ".")):
        context.add(path, "not a host name or IP address", "e.g. node-a.example.com or 192.0.2.11", value=address)
    elif re.fullmatch(r"[\d.]+", address) or ":" in address:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            context.add(path, "not an IP address", "four numbers from 0 to 255, or an IPv6 address", value=address)


def _readable(context: Context, path: str, name: str) -> None:
    if not name:
        return
    reason, hint = unreadable(Path(name)), "check the path, or leave it out: ~/.ssh/config and the agent are used"
    if reason:
        context.add(path, reason, hint, value=name)


def unreadable(path: Path) -> str:
    """Why a file of this machine can not be read; "" when it can."""
    try:
        if not path.exists():
            return "there is no such file"
        if path.is_dir():
            return "this is a directory"
    except OSError as error:
        return f"can not be read: {(error.strerror or str(error)).lower()}"
    return "" if os.access(path, os.R_OK) else "can not be read by this user"


def _unique(context: Context) -> None:
    nodes = context.inventory.nodes
    kinds: list[tuple[str, Iterable[object]]] = [
        ("name", [n.name for n in nodes]),
        ("address", [(n.address.lower(), n.ssh.port or 22, n.ssh.jump) for n in nodes]),
        ("node_ip", [n.node_ip for n in nodes]),
    ]
    for key, values in kinds:
        first: dict[object, int] = {}
        for index, value in enumerate(values):
            path = f"nodes[{index}].{key}"
            if context.refused.touches(path) or not value:
                continue
            if value in first:
                other = f"nodes[{first[value]}].{key}"
                line = context.spot(other).line
                owner = f", {nodes[first[value]].name}" if key != "name" else ""
                message = f"the same {key} as in line {line}{owner}"
                context.add(path, message, f"give each node its own {key}", value=getattr(nodes[index], key))
            else:
                first[value] = index
    _head(context)


def _head(context: Context) -> None:
    head, names = context.inventory.head, [n.name for n in context.inventory.nodes]
    if (
        head
        and head not in names
        and not context.refused.touches("head", *(f"nodes[{i}].name" for i in range(len(names))))
    ):
        context.add("head", "no node has this name", one_of(head, names), value=head)


def _families(context: Context) -> None:
    versions: dict[int, int] = {}
    for index, node in enumerate(context.inventory.nodes):
        if usable_ip(node.node_ip):
            continue
        version = ipaddress.ip_address(node.node_ip).version
        versions.setdefault(version, index)
        if version != next(iter(versions)):
            other = context.inventory.nodes[next(iter(versions.values()))]
            message = f"IPv{version}, but {other.name} has IPv{next(iter(versions))}"
            context.add(f"nodes[{index}].node_ip", message, "use one address family for all nodes", value=node.node_ip)


def _sizes(context: Context) -> None:
    inventory = context.inventory
    tp, world = inventory.server.tp, inventory.world_size
    devices = (f"nodes[{i}].device_ids" for i in range(len(inventory.nodes)))
    if (
        tp is not None
        and tp != world
        and not context.refused.touches("server.tp", *devices)
        and not _incomplete(context)
    ):
        counts = sorted({len(n.device_ids) for n in inventory.nodes})
        product = f"{len(inventory.nodes)} x {counts[0]}" if len(counts) == 1 else "in all"
        message = f"the inventory has {world} devices ({product})"
        context.add("server.tp", message, f"tp: {world}, or leave it out", value=tp)
    if inventory.ray.port == inventory.server.port and not context.refused.touches("ray.port", "server.port"):
        context.add(
            "server.port",
            "Ray's port as well",
            "give ray.port and server.port different numbers",
            value=inventory.server.port,
        )
    if (
        inventory.chip is Chip.ATLAS_300I_DUO
        and inventory.server.eager_mode
        and not context.refused.touches("chip", "server.eager_mode")
    ):
        path = "server.eager_mode" if "server.eager_mode" in context.spots else "chip"
        context.add(path, "atlas-300i-duo runs in graph mode only", "set server.eager_mode: false")


def _incomplete(context: Context) -> bool:
    """Whether nodes are missing because what names them could not be used."""
    return context.refused.covers("nodes") or any(
        re.fullmatch(r"nodes\[\d+\](\.name)?", p) for p in context.refused.paths
    )


def _environment(context: Context) -> None:
    """The loader's part of section 2.1 of the guide: one value for all nodes must fit every node."""
    inventory = context.inventory
    for section, env in (("env", inventory.env), ("server.env", inventory.server.env)):
        for name, value in env.items():
            path = f"{section}.{name}"
            if name in ("GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME"):
                odd = [
                    n
                    for i, n in enumerate(inventory.nodes)
                    if n.interface != value and not context.refused.touches(f"nodes[{i}].interface")
                ]
                if odd:
                    message = f"{odd[0].name} has interface {odd[0].interface}"
                    context.add(path, message, "remove it: it is set from each node's interface", value=value)
            elif name == "HCCL_IF_IP":
                if any(n.node_ip != value for n in inventory.nodes):
                    hint = "remove it: it is set from each node's node_ip"
                    context.add(path, "one address for all nodes, but each needs its own", hint, value=value)
            elif name == _NOSET and value != "1":
                context.add(path, "must be 1, or Ray hides devices from LMDeploy", "remove it: it is set", value=value)
            elif name == "ASCEND_RANK_TABLE_FILE_PATH" and value != inventory.rank_table.path:
                hint = "remove it, and set rank_table.path"
                context.add(path, f"rank_table.path is {inventory.rank_table.path}", hint, value=value)
            elif name == "HAKUNA_RUN":
                context.add(path, "set by every run for its own processes", "remove it")


def _container(context: Context) -> None:
    container = context.inventory.container
    if container.engine is Engine.NONE:
        return
    if not context.refused.touches("container.image") and not re.fullmatch(r"[^\s-]\S*", container.image):
        hint = "name an image, or set container.engine: none to run on the hosts"
        message = "no image reference" if container.image.strip() else "is empty"
        context.add("container.image", message, hint, value=container.image)
    for key in ("guide_mounts", "mounts"):
        for index, mount in enumerate(getattr(container, key)):
            if not re.fullmatch(r"/[^:]*:/[^:]*(:[\w,]+)?", mount):
                hint = "HOST_PATH:CONTAINER_PATH, both absolute, e.g. /data/models:/models"
                context.add(f"container.{key}[{index}]", "not a mount", hint, value=mount)


def _faults(context: Context) -> None:
    """Places of the simulated faults; their names are the simulator's business."""
    nodes = {n.name: n for n in context.inventory.nodes}
    for index, fault in enumerate(context.inventory.simulation.faults):
        name, at, place = fault.partition("@")
        path = f"simulation.faults[{index}]"
        if not name or (at and not place):
            context.add(path, "not a fault", "NAME, NAME@node or NAME@node/device", value=fault)
            continue
        try:
            where = Where.parse(place) if place else Where.cluster()
        except ValueError:
            context.add(path, "not a place", "NAME@node or NAME@node/device", value=fault)
            continue
        for end in (where.source, where.target):
            if end.node and end.node not in nodes and not _incomplete(context):
                close = nearest(end.node, nodes)
                hint = f'did you mean "{close}"?' if close else "one of: " + ", ".join(nodes)
                context.add(path, f"no node is called {end.node}", hint, value=fault)
            elif end.node in nodes and end.device >= 0 and end.device not in nodes[end.node].device_ids:
                context.add(path, f"{end.node} has no device {end.device}", "one of its device_ids", value=fault)
