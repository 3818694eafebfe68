# SPDX-License-Identifier: Apache-2.0
"""Rules that HCCL and LMDeploy have in common: the text itself, the lists, ids and ranks.

Sources: hicann/hccl rank_table_config_a2.md; topoinfo_ranktableParser.cc; LMDeploy ray_executor.py up to v0.14.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hakuna.judgement.rank_table_fault import FaultCode, TableFault
from hakuna.judgement.rank_table_json import Defect, DefectKind, Document, Element, Kind
from hakuna.judgement.rank_table_view import Device, Server, View

REMAKE = "make the table again: hakuna rank-table --inventory INVENTORY -o FILE"
RENUMBER = "number rank_id 0 to N-1, each once: the head's devices first, then server by server"


def text_faults(document: Document, ignored: frozenset[DefectKind] = frozenset()) -> Iterator[TableFault]:
    """What keeps the file from being JSON: one fault for each kind of defect, at the first line that has it."""
    kinds: dict[DefectKind, list[Defect]] = {}
    for defect in document.defects:
        if defect.kind not in ignored:
            kinds.setdefault(defect.kind, []).append(defect)
    for kind, defects in kinds.items():
        first = defects[0]
        more = f" (and {len(defects) - 1} more)" if len(defects) > 1 else ""
        yield TableFault(
            code=FaultCode.NOT_JSON,
            line=first.line,
            path=f"({kind.value})",
            where=None,
            message=f"not JSON: column {first.column}: {first.message}{more}",
            expected="strict JSON",
            observed=f"{kind.value} in {_lines([d.line for d in defects])}",
            fix=first.fix,
        )
    root = document.root
    if root is not None and root.kind is not Kind.OBJECT:
        message = f"the file holds {root.kind.value}, not an object"
        yield TableFault(FaultCode.NOT_JSON, root.line, "(root)", None, message, "an object", root.kind.value, REMAKE)


def layout_faults(root: Element) -> Iterator[TableFault]:
    """Files that are called rank table and are in another format."""
    layouts = {
        "group_list": "the oldest layout (group_list), which HCCL calls deprecated",
        "rank_list": "layout 2.0 (rank_list), which is for Ascend 950 only",
        "server_group_list": "MindIE's global rank table (server_group_list)",
        "prefill_device_list": "vllm-ascend's own table (prefill_device_list)",
    }
    for key, words in layouts.items():
        value = root.get(key)
        if value is not None and root.get("server_list") is None:
            yield TableFault(
                FaultCode.LEGACY_LAYOUT, value.line, key, None, f"this is {words}", "server_list", key, REMAKE
            )
            return


def list_faults(view: View) -> Iterator[TableFault]:
    """``server_list`` and every device list: there, and filled with objects."""
    value = view.top.element.get("server_list")
    if value is None or value.kind is not Kind.ARRAY or not value.items:
        yield view.fault(
            FaultCode.SERVER_COUNT, view.top, "server_list", "there is no list of servers", "a list of servers", REMAKE
        )
        return
    for server in _with_all(view.servers, value.items):
        if isinstance(server, int):
            line = value.items[server].line
            path, message = f"server_list[{server}]", "this entry of server_list is no object"
            yield TableFault(FaultCode.DEVICE_LIST, line, path, (server, None), message, "an object", fix=REMAKE)
            continue
        devices = server.entry.element.get("device")
        if devices is None or devices.kind is not Kind.ARRAY or not devices.items:
            message = f"server {server.index} ({server.server_id or 'without id'}) lists no devices"
            yield view.fault(FaultCode.DEVICE_LIST, server.entry, "device", message, "a list of devices", REMAKE)
            continue
        for index, item in enumerate(devices.items):
            if item.kind is not Kind.OBJECT:
                path = f"{server.entry.path}.device[{index}]"
                message = "this entry of the device list is no object"
                where = (server.index, index)
                yield TableFault(FaultCode.DEVICE_LIST, item.line, path, where, message, "an object", fix=REMAKE)


def server_id_faults(view: View) -> Iterator[TableFault]:
    """Every ``server_id``: there, and unique."""
    first: dict[str, Server] = {}
    for server in view.servers:
        if server.entry.misfit("server_id"):
            continue
        if not server.server_id:
            message = f"server {server.index} has no server_id"
            fix = "write the node IP as server_id"
            yield view.fault(FaultCode.SERVER_ID_EMPTY, server.entry, "server_id", message, "the node IP", fix)
        elif server.server_id in first:
            other = first[server.server_id]
            message = f"server {server.index} has the server_id of server {other.index} (line {_line(other)})"
            yield view.fault(
                FaultCode.SERVER_ID_DUPLICATE,
                server.entry,
                "server_id",
                message,
                "a server_id of its own",
                "write the node IP of this server",
            )
        first.setdefault(server.server_id, server)


def device_id_faults(view: View, limit: int | None) -> Iterator[TableFault]:
    """Every ``device_id``: a whole number below ``limit``, and unique on its server."""
    for server in view.servers:
        first: dict[int, Device] = {}
        for device in server.devices:
            number = device.device_id
            if device.entry.misfit("device_id"):
                continue
            if number is None or (limit is not None and number >= limit):
                span = f"0 to {limit - 1}" if limit is not None else "a whole number"
                message = "device_id is missing" if not device.entry.has("device_id") else f"device_id is not {span}"
                fix = "write the N of /dev/davinciN as device_id"
                yield view.fault(FaultCode.DEVICE_ID_RANGE, device.entry, "device_id", message, span, fix)
            elif number in first:
                other = first[number].entry.line("device_id")
                message = f"device_id {number} stands twice on server {server.server_id or server.index} (line {other})"
                fix = "write the N of /dev/davinciN of this device"
                yield view.fault(
                    FaultCode.DEVICE_ID_DUPLICATE, device.entry, "device_id", message, "an id of its own", fix
                )
            if number is not None:
                first.setdefault(number, device)


def rank_faults(view: View) -> Iterator[TableFault]:
    """Every ``rank_id``: a whole number, unique, without a gap, and each server's ranks together."""
    bad = False
    for device in view.devices:
        if device.rank is None:
            bad = True
            if not device.entry.misfit("rank_id"):
                message = "rank_id is not a whole number" if device.entry.has("rank_id") else "rank_id is missing"
                yield view.fault(FaultCode.RANK_NOT_INT, device.entry, "rank_id", message, "a whole number", RENUMBER)
    first: dict[int, Device] = {}
    doubles: list[tuple[Device, Device]] = []
    for device in view.devices:
        if device.rank in first:
            doubles.append((device, first[device.rank]))
        elif device.rank is not None:
            first[device.rank] = device
    missing = [r for r in range(len(view.devices)) if r not in first]
    for device, other in doubles:
        message = f"rank {device.rank} is used twice (first in line {other.entry.line('rank_id')})"
        expected = f"a rank of its own{f', e.g. {missing[0]}' if missing else ''}"
        yield view.fault(FaultCode.RANK_DUPLICATE, device.entry, "rank_id", message, expected, RENUMBER)
    beyond = sorted(r for r in first if r >= len(view.devices)) if not bad else []
    if beyond:
        device = first[beyond[0]]
        message = (
            f"{len(view.devices)} devices need the ranks 0 to {len(view.devices) - 1}: "
            f"{_numbers(missing)} missing, {_numbers(beyond)} too many"
        )
        yield view.fault(FaultCode.RANK_GAP, device.entry, "rank_id", message, _numbers(missing), RENUMBER)
    elif not bad and not doubles:
        yield from _interleaved(view)


def order_faults(view: View) -> Iterator[TableFault]:
    """Ranks must also follow the order of ``server_list``: LMDeploy groups its workers by that order."""
    highest = -1
    for server in view.servers:
        ranks = [d.rank for d in server.devices if d.rank is not None]
        if ranks and min(ranks) < highest:
            message = (
                f"server {server.index} has rank {min(ranks)}, an earlier one has rank {highest}: LMDeploy hands "
                "out ranks in the order of server_list"
            )
            expected = f"ranks from {highest + 1} on"
            fault = view.fault(FaultCode.RANK_INTERLEAVED, server.entry, "device", message, expected, RENUMBER)
            yield replace(fault, observed=_numbers(sorted(ranks)))
        highest = max([highest, *ranks])


def _interleaved(view: View) -> Iterator[TableFault]:
    for server in view.servers:
        ranks = sorted(d.rank for d in server.devices if d.rank is not None)
        if ranks and ranks[-1] - ranks[0] != len(ranks) - 1:
            message = f"the ranks of server {server.index} ({server.server_id}) are mixed with another server's"
            fault = view.fault(FaultCode.RANK_INTERLEAVED, server.entry, "device", message, "", RENUMBER)
            yield replace(fault, expected="ranks without a gap on one server", observed=_numbers(ranks))


def _with_all(servers: Sequence[Server], items: Sequence[Element]) -> Iterator[Server | int]:
    """The servers in order, and in between the index of every entry that is none."""
    known = {s.index: s for s in servers}
    for index in range(len(items)):
        yield known.get(index, index)


def _line(server: Server) -> int:
    return server.entry.line("server_id")


def _lines(lines: Sequence[int]) -> str:
    some = sorted(set(lines))
    return f"line{'s' if len(some) > 1 else ''} {_numbers(some)}"


def _numbers(values: Sequence[int]) -> str:
    """At most eight of them, ranges kept short."""
    limit = 8
    shown = ", ".join(str(v) for v in values[:limit])
    return f"{shown} and {len(values) - limit} more" if len(values) > limit else shown
