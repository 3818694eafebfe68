# SPDX-License-Identifier: Apache-2.0
"""What a simulated cluster is like before anything happens on it: a pure function of the inventory and the faults."""

from __future__ import annotations

import hashlib
import ipaddress
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hakuna.inventory.model import Chip, Inventory, Layout, Node
from hakuna.simulator.faults import Fault
from hakuna.where import Where

#: From here on one /16 has no room for a /24 per node.
_NODES_PER_BLOCK = 256


@dataclass(frozen=True)
class ChipKind:
    """How npu-smi and the driver see a chip. ``dies`` are the chips per card: on A3 a device is one die."""

    name: str
    hbm_mb: int
    dies: int
    soc: str


CHIPS = {
    Chip.ATLAS_800T_A2: ChipKind("910B3", 65536, 1, "Ascend910B3"),
    Chip.ATLAS_800T_A3: ChipKind("Ascend910", 65536, 2, "Ascend910_9382"),
    Chip.ATLAS_300I_DUO: ChipKind("310P3", 44280, 1, "Ascend310P3"),
}

DRIVER = "25.2.0"
OTHER_DRIVER = "24.1.rc3"
FIRMWARE = "7.7.0.1.231"
OTHER_FIRMWARE = "7.5.0.3.220"
CANN = "8.5.1"
OTHER_CANN = "8.3.RC1"

#: The model's directory: file name -> size in bytes.
MODEL_FILES = {
    "config.json": 663,
    "generation_config.json": 243,
    "merges.txt": 1671839,
    "model-00001-of-00004.safetensors": 3945426872,
    "model-00002-of-00004.safetensors": 3864726352,
    "model-00003-of-00004.safetensors": 3864726408,
    "model-00004-of-00004.safetensors": 3556377672,
    "model.safetensors.index.json": 27752,
    "tokenizer.json": 7031645,
    "tokenizer_config.json": 7305,
    "vocab.json": 2776833,
}


@dataclass(frozen=True)
class Device:
    """One device on its own network. ``ip`` None: none is set. ``conf`` is its line in /etc/hccn.conf.

    ``mask`` is a netmask for IPv4 and a prefix length for IPv6.
    """

    where: Where
    index: int
    ip: str | None
    conf: str | None
    mask: str
    gateway: str | None
    port: str | None
    link_up: bool
    tls: bool

    @property
    def ipv6(self) -> bool:
        return self.ip is not None and ":" in self.ip


class ClusterSpec:
    """The simulated cluster as it was built. Nothing in it changes."""

    def __init__(self, inventory: Inventory, faults: Sequence[Fault] = ()) -> None:
        self.inventory = inventory
        self.faults = tuple(faults)
        self.chip = CHIPS[inventory.chip]
        self._by_name: dict[str, list[Where]] = {}
        for fault in faults:
            self._by_name.setdefault(fault.name, []).append(fault.where)
        self._nodes = {n.name: n for n in inventory.nodes}
        self._numbers = {n.name: i for i, n in enumerate(inventory.nodes)}
        self._devices: dict[tuple[str, int], Device] = {}

    # --- faults -------------------------------------------------------------------------------------------------------

    def has(self, name: str, node: str = "", device: int = -1) -> bool:
        """Whether that fault is at this place. A device has its node's faults; a node has not its devices'."""
        places = self._by_name.get(name)
        if places is None:
            return False
        where = Where(node, device)
        return any(place.covers(where) for place in places)

    @cached_property
    def by_rail(self) -> bool:
        """Whether devices of one index only are wired to each other: so declared, or so built against the inventory."""
        return self.inventory.layout is Layout.RAIL or self.has("wired-by-rail")

    def has_pair(self, name: str, source: Where, target: Where) -> bool:
        """Whether that fault is on the way from ``source`` to ``target``."""
        return Where.pair(source, target) in self._by_name.get(name, ())

    def faulty_devices(self, name: str, node: str) -> tuple[int, ...]:
        """The devices of a node that have the fault."""
        if name not in self._by_name:
            return ()
        return tuple(i for i in self._nodes[node].device_ids if self.has(name, node, i))

    # --- nodes --------------------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        """The inventory's node of that name; KeyError when there is none."""
        return self._nodes[name]

    def number(self, node: str) -> int:
        """The node's place in the inventory, from 0."""
        return self._numbers[node]

    def node_of_ip(self, ip: str) -> str | None:
        """The node that has this address (or name) on the host network."""
        return self._hosts.get(ip)

    @cached_property
    def _hosts(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for node in self.inventory.nodes:
            for key in (node.node_ip, node.address, node.name, self.hostname(node.name)):
                found.setdefault(key, node.name)
        return found

    def ray_address(self, node: str) -> str:
        """The address by which a node joins Ray without being told one."""
        return "198.51.100.7" if self.has("wrong-ray-address", node) else self._nodes[node].node_ip

    def hostname(self, node: str) -> str:
        if self.has("hostname-duplicate", node):
            return self.inventory.nodes[0].name
        return node

    def hostname_address(self, node: str) -> str:
        """What the node's own hostname resolves to on it."""
        return "127.0.1.1" if self.has("hostname-loopback", node) else self._nodes[node].node_ip

    def interface(self, node: str) -> str:
        """The host network's interface that carries the node's address."""
        return "bond0" if self.has("interface-missing", node) else self._nodes[node].interface

    def boot_id(self, node: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"boot.{node}.{self.inventory.cluster}.hakuna"))

    def driver(self, node: str, *, inside: bool = False) -> str:
        """The driver's version; ``inside`` is what a container sees."""
        if inside and self.has("driver-inside-differs", node):
            return OTHER_DRIVER
        return OTHER_DRIVER if self.has("driver-differs", node) else self._driver

    @property
    def _driver(self) -> str:
        return self.inventory.simulation.driver or DRIVER

    def npu_smi(self, node: str) -> str:
        return OTHER_DRIVER if self.has("npu-smi-differs", node) else self._driver

    def firmware(self, node: str) -> str:
        return OTHER_FIRMWARE if self.has("firmware-differs", node) else FIRMWARE

    def cann(self, node: str, *, inside: bool = False) -> str:
        return OTHER_CANN if self.has("cann-inside-differs" if inside else "host-cann-differs", node) else CANN

    def image_digest(self, node: str) -> str:
        """The image's digest in the registry ("sha256:...")."""
        return _sha256("digest", self.inventory.container.image, self._image_variant(node))

    def image_id(self, node: str) -> str:
        return _sha256("image", self.inventory.container.image, self._image_variant(node))

    def _image_variant(self, node: str) -> str:
        return "other" if self.has("image-differs", node) else ""

    def running_image_id(self, node: str) -> str:
        """The image that the containers really run."""
        return _sha256("image", "before") if self.has("old-image-runs", node) else self.image_id(node)

    def model_files(self, node: str, *, inside: bool = False) -> dict[str, int] | None:
        """The files of the model's directory with their sizes; None when there is no directory."""
        if self.has("model-missing", node) or (inside and self.has("model-not-inside", node)):
            return None
        if self.has("model-differs", node):
            return MODEL_FILES | {"model-00002-of-00004.safetensors": 3221225472}
        return MODEL_FILES

    # --- devices ------------------------------------------------------------------------------------------------------

    def present_devices(self, node: str) -> tuple[int, ...]:
        """The device ids that the driver sees."""
        ids = self._nodes[node].device_ids
        return tuple(i for i in ids if not self.has("npu-missing", node, i)) if "npu-missing" in self._by_name else ids

    def device(self, node: str, index: int) -> Device:
        """One device.

        Raises:
            KeyError: the inventory has no such node or device.
        """
        key = (node, index)
        found = self._devices.get(key)
        if found is None:
            if index not in self._nodes[node].device_ids:
                raise KeyError(f"{node}/{index}")
            found = self._devices[key] = self._build(node, index)
        return found

    def _build(self, node: str, index: int) -> Device:
        ipv6 = self.inventory.simulation.ipv6 is not self.has("mixed-families", node, index)
        ip: str | None = self._address(node, index, ipv6=ipv6)
        if self.has("duplicate-device-ip", node, index):
            first = self.inventory.nodes[0]
            ip = self._address(first.name, first.device_ids[0], ipv6=ipv6)
        conf = ip
        if self.has("stale-hccn-conf", node, index):
            conf = str(ipaddress.ip_address(str(ip)) + 100)
        if self.has("no-device-ip", node, index):
            ip = conf = None
        link_up = not self.has("link-down", node, index)
        return Device(
            where=Where(node, index),
            index=index,
            ip=ip,
            conf=conf,
            mask=self._mask(node, index, ipv6=ipv6),
            gateway=None if self.has("gateway-missing", node, index) else self._gateway(node, ipv6=ipv6),
            port=None if self.has("lldp-silent", node, index) or not link_up else self._port(node, index),
            link_up=link_up,
            tls=self.has("tls-differs", node, index),
        )

    def _address(self, node: str, index: int, *, ipv6: bool) -> str:
        block, row = divmod(self._numbers[node], _NODES_PER_BLOCK)
        if ipv6:
            return f"fd00:20:{block:x}:{row:x}::{index + 16:x}"
        return f"10.{20 + block}.{row}.{10 + index}"

    def _mask(self, node: str, index: int, *, ipv6: bool) -> str:
        wrong = self.has("wrong-netmask", node, index)
        if ipv6:
            return "48" if wrong else "64"
        return "255.255.0.0" if wrong else "255.255.255.0"

    def _gateway(self, node: str, *, ipv6: bool) -> str:
        block, row = divmod(self._numbers[node], _NODES_PER_BLOCK)
        return f"fd00:20:{block:x}:{row:x}::1" if ipv6 else f"10.{20 + block}.{row}.1"

    def _port(self, node: str, index: int) -> str:
        """The switch's port, as the switches of the published logs name theirs."""
        return f"400GE1/{1 + index // 2}/{1 + self._numbers[node]}:{1 + index % 2}"

    def devices_at(self, ip: str) -> tuple[Device, ...]:
        """The devices that have this address, in the inventory's order. An address may be written in any way."""
        found = self.by_address.get(ip)
        return self.by_address.get(str(ipaddress.ip_address(ip)), ()) if found is None else found

    @cached_property
    def by_address(self) -> Mapping[str, tuple[Device, ...]]:
        """The devices that have an address, in its usual spelling."""
        found: dict[str, tuple[Device, ...]] = {}
        for where in self.inventory.devices:
            device = self.device(where.node, where.device)
            if device.ip is not None:
                key = str(ipaddress.ip_address(device.ip))
                found[key] = (*found.get(key, ()), device)
        return found


def _sha256(*words: str) -> str:
    return "sha256:" + hashlib.sha256("\0".join(words).encode()).hexdigest()
