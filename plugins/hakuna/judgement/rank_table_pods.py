# SPDX-License-Identifier: Apache-2.0
"""HCCL's rules for super pods: rank table version 1.2 (hicann/hccl rank_table_config_a3.md)."""

from __future__ import annotations

from collections.abc import Iterator

from hakuna.judgement.rank_table_fault import FaultCode, TableFault
from hakuna.judgement.rank_table_json import Kind
from hakuna.judgement.rank_table_view import Entry, View

SDID = "write the SDID that npu-smi info -t spod-info -i CARD -c CHIP shows"
PODS = "list every server of server_list once in super_pod_list, each pod's servers together"


def faults(view: View) -> Iterator[TableFault]:
    """``super_device_id`` of every device and ``super_pod_list``."""
    yield from _pod_list(view)
    yield from _super_device_ids(view, _pod_of(view))


def _pod_of(view: View) -> dict[str, str]:
    """The pod of every server_id, as far as the table says."""
    return {
        member.text("server_id") or "": pod.text("super_pod_id") or pod.path
        for pod in view.top.children("super_pod_list", placed=False)
        for member in pod.children("server_list", placed=False)
    }


def _super_device_ids(view: View, pod_of: dict[str, str]) -> Iterator[TableFault]:
    first: dict[tuple[str, str], int] = {}
    for device in view.devices:
        entry = device.entry
        if entry.misfit("super_device_id"):
            continue
        text = entry.text("super_device_id") or ""
        pod = pod_of.get(device.server.server_id, "")
        if not (text.isascii() and text.isdigit()):
            message = "super_device_id is missing" if not text else "super_device_id is not a whole number"
            yield view.fault(FaultCode.SUPER_DEVICE_ID, entry, "super_device_id", message, "the device's SDID", SDID)
        elif (pod, text) in first:
            message = f"super_device_id {text} stands twice in one super pod (line {first[pod, text]})"
            expected = "an id of its own"
            yield view.fault(FaultCode.SUPER_DEVICE_ID, entry, "super_device_id", message, expected, SDID)
        else:
            first[pod, text] = entry.line("super_device_id")


def _pod_list(view: View) -> Iterator[TableFault]:
    value = view.top.element.get("super_pod_list")
    if value is None or value.kind is not Kind.ARRAY or not value.items:
        message = "version 1.2 needs a super_pod_list"
        yield view.fault(FaultCode.SUPER_POD, view.top, "super_pod_list", message, "a list of super pods", PODS)
        return
    pods = view.top.children("super_pod_list", placed=False)
    yield from _pod_ids(view, pods)
    listed = [m for pod in pods for m in pod.children("server_list", placed=False)]
    yield from _members(view, listed)
    names = {m.text("server_id") for m in listed}
    for server in view.servers:
        if server.server_id and server.server_id not in names:
            message = f"server {server.server_id} is in no super pod"
            yield view.fault(FaultCode.SUPER_POD, server.entry, "", message, "a place in super_pod_list", PODS)
    yield from _apart(view)


def _pod_ids(view: View, pods: tuple[Entry, ...]) -> Iterator[TableFault]:
    seen: set[str] = set()
    for pod in pods:
        name = pod.text("super_pod_id") or ""
        if not pod.misfit("super_pod_id") and (not name or name in seen):
            message = "super_pod_id stands twice" if name else "super_pod_id is missing"
            yield view.fault(FaultCode.SUPER_POD, pod, "super_pod_id", message, "an id of its own", PODS)
        seen.add(name)
        if not pod.children("server_list", placed=False):
            yield view.fault(FaultCode.SUPER_POD, pod, "server_list", "the super pod has no servers", "servers", PODS)


def _members(view: View, listed: list[Entry]) -> Iterator[TableFault]:
    known = {s.server_id for s in view.servers}
    first: dict[str, int] = {}
    for member in listed:
        server_id = member.text("server_id") or ""
        if server_id not in known:
            message = "this server is not in server_list"
            yield view.fault(FaultCode.SUPER_POD, member, "server_id", message, "a server_id of server_list", PODS)
        elif server_id in first:
            message = f"the server is in a super pod already (line {first[server_id]})"
            yield view.fault(FaultCode.SUPER_POD, member, "server_id", message, "each server once", PODS)
        first.setdefault(server_id, member.line("server_id"))


def _apart(view: View) -> Iterator[TableFault]:
    """Servers of one pod must stand together in rank order."""
    pod_of = _pod_of(view)
    ranked = sorted(
        (min(ranks), server)
        for server, ranks in ((s.index, [d.rank for d in s.devices if d.rank is not None]) for s in view.servers)
        if ranks
    )
    seen: list[str] = []
    for _, index in ranked:
        server = next(s for s in view.servers if s.index == index)
        pod = pod_of.get(server.server_id, "")
        if pod and pod in seen and seen[-1] != pod:
            message = f"the servers of super pod {pod} do not stand together in rank order"
            yield view.fault(FaultCode.SUPER_POD, server.entry, "server_id", message, "neighbours", PODS)
        seen.append(pod)
