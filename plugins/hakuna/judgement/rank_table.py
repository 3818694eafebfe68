# SPDX-License-Identifier: Apache-2.0
"""The HCCL rank table, versions 1.0 (A2) and 1.2 (A3): what it holds, and its text made from live addresses.

Format: hicann/hccl docs/zh/user_guide/cluster_info_config/rank_table_config_a2.md and _a3.md. The text made here also
suits LMDeploy up to 0.14.0: head first, ``server_id`` is the node IP, devices in order of ``device_id``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hakuna.inventory.model import Inventory, Node
from hakuna.judgement.versions import rank_table_format
from hakuna.probes.texts import ip_of
from hakuna.where import Where

VERSION_A2 = "1.0"
VERSION_A3 = "1.2"


class RankTableError(ValueError):
    """No valid table can be made from what is there; the message says what is missing, and where.

    ``places`` are the devices that something is missing of; empty when it is not about single ones.
    """

    def __init__(self, message: str, places: Sequence[Where] = ()) -> None:
        super().__init__(message)
        self.places = tuple(places)


@dataclass(frozen=True)
class DeviceEntry:
    """One device of a server. ``super_device_id`` (SDID) is for version 1.2 only."""

    device_id: int
    device_ip: str
    super_device_id: int | str | None = None


@dataclass(frozen=True)
class ServerEntry:
    """One server. ``super_pod_id`` is for version 1.2 only; ``host_ip`` is written there (default: ``server_id``)."""

    server_id: str
    devices: Sequence[DeviceEntry]
    super_pod_id: str | None = None
    host_ip: str | None = None


def generate(nodes: Sequence[ServerEntry], version: str, device_port: int | None) -> str:
    """The table's text: JSON with an indent of 2, every value a string, ranks 0 to N-1 in the order given.

    The head must be the first of ``nodes``. ``device_port`` None leaves the field out.

    Raises:
        RankTableError: HCCL would refuse the table (a missing, double or malformed entry).
    """
    _refuse_bad(nodes, version)
    rank = 0
    servers: list[dict[str, object]] = []
    for node in nodes:
        devices: list[dict[str, str]] = []
        for device in node.devices:
            devices.append(_device(device, rank, version, device_port))
            rank += 1
        server: dict[str, object] = {"server_id": node.server_id}
        host_ip = node.host_ip or (node.server_id if ip_of(node.server_id) else "")
        if version == VERSION_A3 and host_ip:
            server["host_ip"] = host_ip
        servers.append({**server, "device": devices})
    table: dict[str, object] = {
        "status": "completed",
        "version": version,
        "server_count": str(len(servers)),
        "server_list": servers,
    }
    if version == VERSION_A3:
        pods: dict[str, list[dict[str, str]]] = {}
        for node in nodes:
            pods.setdefault(str(node.super_pod_id), []).append({"server_id": node.server_id})
        table["super_pod_list"] = [{"super_pod_id": pod, "server_list": members} for pod, members in pods.items()]
    return json.dumps(table, indent=2, ensure_ascii=False) + "\n"


def from_inventory(
    inventory: Inventory,
    addresses: Mapping[Where, str],
    super_device_ids: Mapping[Where, int | str] | None = None,
    super_pod_ids: Mapping[str, str] | None = None,
) -> str:
    """The table of a deployment, from the live ``addresses`` of its devices.

    The version is the inventory's or else the chip's. For 1.2, ``super_device_ids`` are needed for every device
    (``npu-smi info -t spod-info -i CARD -c CHIP``: SDID); ``super_pod_ids`` go by node name, by default all are "0".

    Raises:
        RankTableError: a device has no address, or no super_device_id where one is needed.
    """
    version = inventory.rank_table.version or rank_table_format(inventory.chip)
    devices = [d for n in inventory.ordered_nodes for d in n.devices]
    _refuse_gaps("device IP", "hccn_tool -i N -ip -g", (d for d in devices if not addresses.get(d)))
    sdids: Mapping[Where, int | str] = super_device_ids or {}
    if version == VERSION_A3:
        _refuse_gaps(
            "super_device_id", "npu-smi info -t spod-info -i CARD -c CHIP", (d for d in devices if d not in sdids)
        )

    def entry(node: Node) -> ServerEntry:
        # LMDeploy 0.11.1 takes the position in the list for the device id: the list is sorted by it.
        own = [DeviceEntry(d.device, addresses[d], sdids.get(d)) for d in sorted(node.devices)]
        return ServerEntry(node.node_ip, own, (super_pod_ids or {}).get(node.name, "0"), node.node_ip)

    return generate([entry(n) for n in inventory.ordered_nodes], version, inventory.rank_table.device_port)


def _device(device: DeviceEntry, rank: int, version: str, port: int | None) -> dict[str, str]:
    entry = {"device_id": str(device.device_id)}
    if version == VERSION_A3:
        entry["super_device_id"] = str(device.super_device_id)
    entry["device_ip"] = device.device_ip
    if port is not None:
        entry["device_port"] = str(port)
    entry["rank_id"] = str(rank)
    return entry


def _refuse_gaps(what: str, command: str, places: Iterable[Where]) -> None:
    missing = list(places)
    if missing:
        raise RankTableError(f"no {what} is known of {', '.join(map(str, missing))} ({command})", missing)


def _refuse_bad(nodes: Sequence[ServerEntry], version: str) -> None:
    if version not in (VERSION_A2, VERSION_A3):
        raise RankTableError(f"rank table version {version!r} is not one of {VERSION_A2}, {VERSION_A3}")
    if not nodes or not all(n.devices for n in nodes):
        raise RankTableError("a rank table needs servers, and every server devices")
    if not all(n.server_id for n in nodes):
        raise RankTableError("a server has no server_id")
    _refuse_doubles("server_id", [n.server_id for n in nodes])
    for node in nodes:
        _refuse_doubles(f"device_id of server {node.server_id}", [d.device_id for d in node.devices])
    devices = [d for n in nodes for d in n.devices]
    parsed = [(d.device_ip, ip_of(d.device_ip)) for d in devices]
    for text, address in parsed:
        if address is None:
            raise RankTableError(f"device_ip {text!r} is not an IP address")
    _refuse_doubles("device_ip", [address for _, address in parsed])
    if len({address.version for _, address in parsed if address is not None}) > 1:
        raise RankTableError("device_ip are of both families, IPv4 and IPv6: HCCL takes one only")
    if version == VERSION_A3:
        _refuse_bad_pods(nodes)


def _refuse_bad_pods(nodes: Sequence[ServerEntry]) -> None:
    order: list[str] = []
    for node in nodes:
        if not node.super_pod_id:
            raise RankTableError(f"server {node.server_id} has no super_pod_id, which version 1.2 needs")
        if not order or order[-1] != node.super_pod_id:
            order.append(node.super_pod_id)
    _refuse_doubles("place of super pod", order)
    for pod in order:
        ids = [str(d.super_device_id) for n in nodes if n.super_pod_id == pod for d in n.devices]
        for text in ids:
            if not (text.isascii() and text.isdigit()):
                raise RankTableError(f"super_device_id {text!r} of super pod {pod} is not a whole number")
        _refuse_doubles(f"super_device_id of super pod {pod}", ids)


def _refuse_doubles(what: str, values: Sequence[Hashable]) -> None:
    doubles = [str(v) for v, count in Counter(values).items() if count > 1]
    if doubles:
        raise RankTableError(f"{what} is used more than once: {', '.join(doubles)}")
