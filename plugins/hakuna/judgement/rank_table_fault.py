# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a rank table, and what a table is judged against."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hakuna.inventory.model import Chip, Node
from hakuna.where import Where


class Profile(enum.Enum):
    """Whose rules: HCCL's own, or those of LMDeploy's reader up to 0.14.0 (none from 0.15.0 on)."""

    HCCL = "hccl"
    LMDEPLOY = "lmdeploy"


class FaultCode(enum.Enum):
    """One kind of fault each."""

    NOT_JSON = "not-json"
    NOT_STRING = "not-string"
    STATUS = "status"
    VERSION = "version"
    SERVER_COUNT = "server-count"  # also: server_list is missing or no list
    SERVER_ID_EMPTY = "server-id-empty"  # also: longer than HCCL takes
    SERVER_ID_DUPLICATE = "server-id-duplicate"
    SERVER_ID_NOT_NODE_IP = "server-id-not-node-ip"
    HEAD_NOT_FIRST = "head-not-first"
    DEVICE_LIST = "device-list"
    DEVICE_ID_DUPLICATE = "device-id-duplicate"
    DEVICE_ID_RANGE = "device-id-range"  # also: missing, or not a whole number
    DEVICE_IP_MISSING = "device-ip-missing"
    DEVICE_IP_INVALID = "device-ip-invalid"  # also: host_ip and backup_device_ip
    DEVICE_IP_DUPLICATE = "device-ip-duplicate"
    DEVICE_IP_FAMILY = "device-ip-family"
    DEVICE_IP_STALE = "device-ip-stale"
    DEVICE_PORT = "device-port"  # also: the other ports
    RANK_DUPLICATE = "rank-duplicate"
    RANK_GAP = "rank-gap"
    RANK_NOT_INT = "rank-not-int"  # also: missing
    RANK_INTERLEAVED = "rank-interleaved"
    WORLD_SIZE = "world-size"
    DEVICE_ORDER = "device-order"
    SUPER_DEVICE_ID = "super-device-id"
    SUPER_POD = "super-pod"
    LEGACY_LAYOUT = "legacy-layout"
    SUFFIX = "suffix"


@dataclass(frozen=True)
class TableContext:
    """What is known of the deployment; what is None or empty is not judged.

    ``node_ips`` in order, head first. ``world_size`` is tp. ``live`` holds the devices' real addresses by node IP
    and device_id. ``lmdeploy_version`` None means not known: the strictest release's rules apply.
    """

    chip: Chip | None = None
    node_ips: tuple[str, ...] = ()
    world_size: int | None = None
    live: Mapping[tuple[str, int], str] | None = None
    lmdeploy_version: str | None = None
    path: str = ""


@dataclass(frozen=True)
class TableFault:
    """One fault. ``path`` is its place in the JSON (``server_list[1].device[3].rank_id``), ``line`` counts from 1.

    ``where`` is (index in server_list, index in that server's device list or None for the server itself).
    ``server_id`` and ``device_id`` are what the table itself says there.
    """

    code: FaultCode
    line: int | None
    path: str
    where: tuple[int, int | None] | None
    message: str
    expected: str = ""
    observed: str = ""
    fix: str = ""
    server_id: str = ""
    device_id: int | None = None


def place_of(fault: TableFault, nodes: Sequence[Node]) -> Where:
    """Where in the cluster a fault is; ``nodes`` are in the order of the table, head first.

    The node is the one whose IP is the entry's server_id, or else the one at its index.
    """
    if fault.where is None:
        return Where.cluster()
    server, device = fault.where
    node = next((n for n in nodes if n.node_ip == fault.server_id), nodes[server] if server < len(nodes) else None)
    if node is None:
        return Where.cluster()
    if fault.device_id in node.device_ids and device is not None:
        return Where(node.name, fault.device_id)
    return (
        Where(node.name, node.device_ids[device])
        if device is not None and device < len(node.device_ids)
        else node.where
    )
