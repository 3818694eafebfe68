# SPDX-License-Identifier: Apache-2.0
"""What LMDeploy 0.8.0 to 0.14.0 demands of a rank table (``ray_executor.py`` of v0.11.1, v0.12.0 and v0.14.0).

It reads ``server_id``, ``device_id`` and ``rank_id`` only. Other releases read no table at all (hakuna.releases).
"""

from __future__ import annotations

from collections.abc import Iterator

from hakuna.judgement.rank_table_fault import FaultCode, TableContext, TableFault
from hakuna.judgement.rank_table_shared import (
    REMAKE,
    device_id_faults,
    list_faults,
    order_faults,
    rank_faults,
    server_id_faults,
)
from hakuna.judgement.rank_table_view import Server, View
from hakuna.judgement.versions import DeviceChoice, device_chosen_by, reads_rank_table
from hakuna.probes.texts import ip_of

ASSERTION = 'LMDeploy would stop with "Master address does not match rank table"'
MISMATCH = 'LMDeploy would stop with "The IP addresses in the ips list do not match the worker IPs"'


def reads_table(version: str | None) -> bool:
    """Whether this release reads a table (a version that is not known may)."""
    return reads_rank_table(version).value


def faults(view: View, context: TableContext) -> Iterator[TableFault]:
    """All that this LMDeploy would stumble over."""
    yield from list_faults(view)
    yield from server_id_faults(view)
    yield from _server_ids(view, context)
    yield from device_id_faults(view, None)
    ranks = list(rank_faults(view))
    yield from ranks or order_faults(view)
    yield from _world_size(view, context)
    yield from _positions(view, context)


def _server_ids(view: View, context: TableContext) -> Iterator[TableFault]:
    wanted = context.node_ips
    if not wanted:
        for server in view.servers:
            if server.server_id and ip_of(server.server_id) is None:
                message = (
                    f"server_id is not an IP address: LMDeploy compares it with the node IP that Ray knows; {MISMATCH}"
                )
                yield _wrong_id(view, server, message, "the node IP")
        return
    held = {s.server_id for s in view.servers}
    free = iter([ip for ip in wanted if ip not in held])
    for server in view.servers:
        if server.server_id in wanted or not server.server_id:
            continue
        expected = next(free, "")
        same = next((ip for ip in wanted if _same(ip, server.server_id)), "")
        if same:
            message = f"this is {same} in another spelling: LMDeploy compares the text"
            yield _wrong_id(view, server, message, same)
        elif server.index == 0 and expected == wanted[0]:
            message = f"the first server must be the head, by its node IP {wanted[0]} as Ray knows it; {ASSERTION}"
            yield _wrong_id(view, server, message, expected)
        elif expected:
            message = (
                f"server_id must be the node IP that Ray knows ({expected}; the head's is {wanted[0]}); {MISMATCH}"
            )
            yield _wrong_id(view, server, message, expected)
        else:
            message = f"no node of this deployment has this IP; {MISMATCH}"
            yield _wrong_id(view, server, message, "only the nodes of this deployment")
    first = view.servers[0] if view.servers else None
    if first is not None and first.server_id in wanted and first.server_id != wanted[0]:
        message = f"the head {wanted[0]} must be the first server; {ASSERTION}"
        fix = "move the head's entry to the front and number the ranks again"
        yield view.fault(FaultCode.HEAD_NOT_FIRST, first.entry, "server_id", message, wanted[0], fix)


def _wrong_id(view: View, server: Server, message: str, expected: str) -> TableFault:
    fix = f'write "{expected}" as server_id' if ip_of(expected) is not None else REMAKE
    return view.fault(FaultCode.SERVER_ID_NOT_NODE_IP, server.entry, "server_id", message, expected, fix)


def _world_size(view: View, context: TableContext) -> Iterator[TableFault]:
    needed, found = context.world_size, len(view.devices)
    if needed is None or found == needed:
        return
    choice = device_chosen_by(context.lmdeploy_version)
    if found > needed and choice.value is DeviceChoice.DEVICE_ID:
        return  # 0.12.0 to 0.14.0 only want enough of them
    kind = "at least " if choice.value is DeviceChoice.DEVICE_ID else ""
    unknown = "" if choice.certain else f" ({choice.source})"
    message = f"the table lists {found} devices, tp needs {kind}{needed}{unknown}"
    yield TableFault(
        code=FaultCode.WORLD_SIZE,
        line=view.top.line("server_list"),
        path="server_list",
        where=None,
        message=message,
        expected=f"{kind}{needed} devices",
        observed=f"{found} devices",
        fix="list every device of every node, or set --tp to the number of devices",
    )


def _positions(view: View, context: TableContext) -> Iterator[TableFault]:
    """Up to 0.11.1 the position in the list is the device; ``device_id`` is not looked at."""
    choice = device_chosen_by(context.lmdeploy_version)
    if choice.value is not DeviceChoice.LIST_POSITION:
        return
    for server in view.servers:
        for device in server.devices:
            if device.device_id is not None and device.device_id != device.index:
                message = f"device {device.device_id} stands at position {device.index}; {choice.source}"
                fix = (
                    "sort the device list by device_id; a node that uses only some of its devices needs LMDeploy 0.12.0"
                )
                yield view.fault(
                    FaultCode.DEVICE_ORDER, device.entry, "device_id", message, f"device_id {device.index}", fix
                )


def _same(one: str, other: str) -> bool:
    return ip_of(one) is not None and ip_of(one) == ip_of(other)
