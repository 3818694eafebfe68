# SPDX-License-Identifier: Apache-2.0
"""HCCL's own rules for a rank table.

Sources: hicann/hccl rank_table_config_a2.md and _a3.md, rank_table_load_fail.md, cluster_info_verify_fail.md;
HCCL's parser (topoinfo_ranktableParser.cc, topoinfo_ranktableConcise.cc).
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from hakuna.inventory.model import Chip
from hakuna.judgement import rank_table_pods
from hakuna.judgement.rank_table_fault import FaultCode, TableContext, TableFault
from hakuna.judgement.rank_table_json import Kind
from hakuna.judgement.rank_table_shared import (
    REMAKE,
    device_id_faults,
    list_faults,
    rank_faults,
    server_id_faults,
)
from hakuna.judgement.rank_table_view import Device, Entry, View, bounded, scalars, whole
from hakuna.judgement.versions import rank_table_format

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

VERSIONS = ("1.0", "1.1", "1.2")
SERVER_ID_LIMIT = 64
PATH_LIMIT = 4096
PORTS = range(1, 65536)
DEVICES = {Chip.ATLAS_800T_A2: 8, Chip.ATLAS_800T_A3: 16}
LIVE = "make the table again from the live addresses: hakuna rank-table --inventory INVENTORY -o FILE"


def path_faults(path: str) -> Iterator[TableFault]:
    """The file's own name: HCCL takes ``.json`` only."""
    if path and not path.endswith(".json"):
        message = "HCCL reads a rank table only from a path that ends in .json (EI0004)"
        yield TableFault(FaultCode.SUFFIX, None, "(path)", None, message, "*.json", bounded(path), "rename the file")
    elif len(path) > PATH_LIMIT:
        message, expected = "the path is too long", f"at most {PATH_LIMIT} characters"
        yield TableFault(FaultCode.SUFFIX, None, "(path)", None, message, expected, str(len(path)), "move the file")


def faults(view: View, context: TableContext) -> Iterator[TableFault]:
    """All that HCCL would object to in a table of the server_list layout."""
    yield from _not_strings(view)
    yield from _head(view, context)
    if view.top.text("status") != "initializing" or view.top.has("server_list"):
        yield from list_faults(view)  # a table that is not ready yet may well be without its list
    yield from _server_count(view)
    yield from server_id_faults(view)
    yield from _long_ids(view)
    yield from _device_counts(view, context)
    yield from device_id_faults(view, DEVICES.get(context.chip) if context.chip is not None else None)
    yield from _Addresses.of(view).faults(view, context)
    yield from _other_addresses(view)
    yield from _ports(view)
    yield from rank_faults(view)
    if view.top.text("version") == "1.2" and context.chip in (None, Chip.ATLAS_800T_A3):
        yield from rank_table_pods.faults(view)


def _not_strings(view: View) -> Iterator[TableFault]:
    for path, element in scalars(view.top.element):
        if element.kind is Kind.STRING:
            continue
        shown = bounded(path)
        server, device = view.at(path)
        place = device.entry.where if device is not None else server.entry.where if server is not None else None
        yield TableFault(
            code=FaultCode.NOT_STRING,
            line=element.line,
            path=shown,
            where=place,
            message=f"{shown} is {element.kind.value}: HCCL wants every value as a string",
            expected=f'"{bounded(element.text)}"',
            observed=bounded(element.text),
            fix="put it in double quotes",
            server_id=server.server_id if server is not None else "",
            device_id=device.device_id if device is not None else None,
        )


def _head(view: View, context: TableContext) -> Iterator[TableFault]:
    top = view.top
    status = top.text("status")
    if status != "completed" and not top.misfit("status"):
        message = {
            None: "status is missing",
            "initializing": "the table is not ready: HCCL waits up to 1800 s for it to be completed",
        }.get(status, "HCCL does not know this status")
        yield view.fault(FaultCode.STATUS, top, "status", message, "completed", REMAKE)
    version = top.text("version")
    wanted = rank_table_format(context.chip) if context.chip is not None else ""
    if top.misfit("version"):
        return
    expected = wanted or " or ".join(VERSIONS)
    if version is None:
        message = "without a version HCCL takes the table for the oldest layout (group_list)"
        yield view.fault(FaultCode.VERSION, top, "version", message, expected, f'set version to "{wanted or "1.0"}"')
    elif version not in VERSIONS:
        message = "HCCL does not support this rank table version"
        yield view.fault(FaultCode.VERSION, top, "version", message, expected, REMAKE)
    elif wanted and version != wanted:
        message = f"version {version} is for another chip generation (EI0014)"
        yield view.fault(FaultCode.VERSION, top, "version", message, expected, REMAKE)


def _server_count(view: View) -> Iterator[TableFault]:
    top = view.top
    real = top.element.get("server_list")
    if real is None or not real.items or top.misfit("server_count"):
        return
    if not top.has("server_count"):
        if top.text("version") != "1.2":
            message = "server_count is missing"
            yield view.fault(FaultCode.SERVER_COUNT, top, "server_count", message, str(len(real.items)), "add it")
    elif top.number("server_count") != len(real.items):
        message = f"server_list holds {len(real.items)} servers (EI0014)"
        fix = f'set server_count to "{len(real.items)}", or complete server_list'
        yield view.fault(FaultCode.SERVER_COUNT, top, "server_count", message, str(len(real.items)), fix)


def _long_ids(view: View) -> Iterator[TableFault]:
    for server in view.servers:
        if len(server.server_id) > SERVER_ID_LIMIT:
            expected = f"at most {SERVER_ID_LIMIT} characters"
            fix = "write the node IP as server_id"
            yield view.fault(
                FaultCode.SERVER_ID_EMPTY, server.entry, "server_id", "server_id is too long", expected, fix
            )


def _device_counts(view: View, context: TableContext) -> Iterator[TableFault]:
    """On A2 and A3 servers may have different numbers of devices, on other chips they must not."""
    if context.chip is not Chip.ATLAS_300I_DUO or not view.servers:
        return
    counts = Counter(len(s.devices) for s in view.servers)
    usual = counts.most_common(1)[0][0]
    for server in view.servers:
        if len(server.devices) != usual:
            message = f"{len(server.devices)} devices, other servers have {usual}"
            yield view.fault(FaultCode.DEVICE_LIST, server.entry, "device", message, f"{usual} devices", REMAKE)


@dataclass(frozen=True)
class _Addresses:
    """The device IPs of a table: each device's list (mostly of one), empty where there is none that can be read."""

    by_device: tuple[tuple[Device, tuple[Address, ...]], ...]

    @classmethod
    def of(cls, view: View) -> _Addresses:
        return cls(tuple((d, _addresses(d.entry.text("device_ip") or "")) for d in view.devices))

    def faults(self, view: View, context: TableContext) -> Iterator[TableFault]:
        yield from self._missing_or_bad(view)
        yield from self._uneven(view)
        yield from self._duplicates(view)
        yield from self._families(view)
        yield from self._stale(view, context)

    def _missing_or_bad(self, view: View) -> Iterator[TableFault]:
        one_pod = view.top.text("version") == "1.2" and len(view.top.children("super_pod_list", placed=False)) <= 1
        needed = len(view.servers) > 1 and not one_pod
        for device, found in self.by_device:
            if device.entry.misfit("device_ip") or found:
                continue
            if device.entry.text("device_ip"):
                message = "device_ip is not an IP address"
                yield view.fault(FaultCode.DEVICE_IP_INVALID, device.entry, "device_ip", message, "the live IP", LIVE)
            elif needed:
                message = "device_ip is missing: across servers HCCL needs it"
                yield view.fault(FaultCode.DEVICE_IP_MISSING, device.entry, "device_ip", message, "the live IP", LIVE)

    def _uneven(self, view: View) -> Iterator[TableFault]:
        lengths = Counter(len(found) for _, found in self.by_device if found)
        usual = lengths.most_common(1)[0][0] if lengths else 0
        for device, found in self.by_device:
            if found and len(found) != usual:
                message = f"{len(found)} addresses, other devices have {usual}"
                expected = f"{usual} addresses"
                yield view.fault(FaultCode.DEVICE_IP_INVALID, device.entry, "device_ip", message, expected, LIVE)

    def _duplicates(self, view: View) -> Iterator[TableFault]:
        first: dict[Address, Device] = {}
        for device, found in self.by_device:
            taken = next((a for a in found if a in first), None)
            if taken is not None:
                line = first[taken].entry.line("device_ip")
                message = f"{taken} stands in line {line} already: two devices cannot have one address"
                expected = "an address of its own"
                yield view.fault(FaultCode.DEVICE_IP_DUPLICATE, device.entry, "device_ip", message, expected, LIVE)
            for address in found:
                first.setdefault(address, device)

    def _families(self, view: View) -> Iterator[TableFault]:
        families = Counter(a.version for _, found in self.by_device for a in found)
        if len(families) < len((4, 6)):
            return
        usual = families.most_common(1)[0][0]
        for device, found in self.by_device:
            if any(a.version != usual for a in found):
                message = "the devices' addresses mix IPv4 and IPv6 (EI0001)"
                expected = f"an IPv{usual} address"
                yield view.fault(FaultCode.DEVICE_IP_FAMILY, device.entry, "device_ip", message, expected, LIVE)

    def _stale(self, view: View, context: TableContext) -> Iterator[TableFault]:
        ids = Counter((device.server.index, device.device_id) for device, _ in self.by_device)
        for device, found in self.by_device:
            if ids[device.server.index, device.device_id] > 1:
                continue  # which of the two has the wrong id is not known: DEVICE_ID_DUPLICATE says enough
            node_ip = _node_ip(device, view, context)
            live = (context.live or {}).get((node_ip, -1 if device.device_id is None else device.device_id))
            if live and found and not set(_addresses(live)) & set(found):
                message = "device_ip is not the address that the device has (EI0014)"
                yield view.fault(FaultCode.DEVICE_IP_STALE, device.entry, "device_ip", message, live, LIVE)


def _other_addresses(view: View) -> Iterator[TableFault]:
    """The optional ones: ``host_ip`` of a server and ``backup_device_ip`` of a device."""
    entries = [(s.entry, "host_ip") for s in view.servers] + [(d.entry, "backup_device_ip") for d in view.devices]
    for entry, key in entries:
        text = entry.text(key)
        if text and not _addresses(text):
            message, fix = f"{key} is not an IP address", f"write an IP address, or leave {key} out"
            yield view.fault(FaultCode.DEVICE_IP_INVALID, entry, key, message, "an IP address", fix)


def _node_ip(device: Device, view: View, context: TableContext) -> str:
    """The node IP of a device's server: its server_id, or by its place where HCCL's freedom of naming was used."""
    server = device.server
    if server.server_id in context.node_ips or len(view.servers) != len(context.node_ips):
        return server.server_id
    # A table in another order must not make every address look stale: the place counts for free names only.
    return context.node_ips[server.index] if server.index < len(context.node_ips) else server.server_id


def _addresses(text: str) -> tuple[Address, ...]:
    """The addresses of a comma list; empty if one of them is none, or cannot be a device's."""
    found: list[Address] = []
    for part in text.split(","):
        try:
            address = ipaddress.ip_address(part.strip())
        except ValueError:
            return ()
        if address.is_unspecified or address.is_multicast or "%" in part:
            return ()
        found.append(address)
    return tuple(found)


def _ports(view: View) -> Iterator[TableFault]:
    for server in view.servers:
        yield from _port(view, server.entry, "host_port")
        hosts: dict[int, int] = {}
        for device in server.devices:
            for key in ("device_port", "backup_device_port", "device_vnic_port", "host_port"):
                yield from _port(view, device.entry, key)
            host = device.entry.number("host_port")
            if host in hosts:
                message = f"host_port {host} stands twice on this server (line {hosts[host]})"
                yield view.fault(
                    FaultCode.DEVICE_PORT, device.entry, "host_port", message, "a port of its own", "write another port"
                )
            elif host is not None:
                hosts[host] = device.entry.line("host_port")


def _port(view: View, entry: Entry, key: str) -> Iterator[TableFault]:
    text = entry.text(key)
    if text is None:
        return
    number = whole(text)
    if number is None or number not in PORTS:
        fix = "leave it out (16666 is HCCL's own), or write a port"
        yield view.fault(FaultCode.DEVICE_PORT, entry, key, f"{key} is not a port", "1 to 65535", fix)
