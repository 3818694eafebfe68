# SPDX-License-Identifier: Apache-2.0
"""Who wrote a line of a log, and whom it waited for: ranks, devices, addresses, process ids and times in its words.

The forms are those of HCCL and HCCP (plog), of torch_npu's errors, of Ray's prefixes and of PyTorch's sockets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Peer:
    """Somebody that a line names: by rank, by host address and device, or by a device's own address.

    ``host`` is a node IP (with ``device`` -1: whatever is there), ``device_ip`` the address of a device.
    """

    rank: int = -1
    host: str = ""
    device: int = -1
    device_ip: str = ""


@dataclass(frozen=True)
class Writer:
    """Who wrote a line, as far as it says so."""

    pid: int | None = None
    rank: int | None = None
    device: int | None = None
    host: str = ""

    def or_else(self, other: Writer) -> Writer:
        """This writer, with what it does not know taken from another one."""
        return Writer(
            other.pid if self.pid is None else self.pid,
            other.rank if self.rank is None else self.rank,
            other.device if self.device is None else self.device,
            self.host or other.host,
        )


_N = r"(\d{1,6})"
_ADDRESS = r"([0-9A-Fa-f.:]{2,45})"
_RANK = re.compile(
    rf"(?<!remote )(?<!dst_)\b(?:rank|RankID|rank_?id|user_?rank|local_?rank|localUserrank)\s*(?:\[{_N}\]|:\s*{_N}\b)",
    re.IGNORECASE,
)
_DEVICE = re.compile(
    rf"\b(?:phydevId|phy_id|logicDevId|deviceLogicId|device(?:_?[Ii]d)?|Device)(?:\[{_N}\]|\({_N}\)|:\s?{_N}\b)|"
    rf"\(NPU {_N};|This node \(server [^,]*, device ID {_N}\)"
)
_PID = re.compile(rf"\[PID:\s*{_N}\]|\(PID:{_N},|\]\s*[A-Z]{{2,}}\({_N},|\bpid={_N}\b")
_RAY_HOST = re.compile(rf"\bip={_ADDRESS}")
_TIMES = (
    re.compile(r"\b(\d{4})-(\d\d)-(\d\d)-(\d\d):(\d\d):(\d\d)(?:\.(\d{3})\.(\d{3}))?"),  # HCCL, torch_npu
    re.compile(r"\b(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:,(\d{3}))?()"),  # LMDeploy, Ray
)

#: Whom a line of HCCL waited for.
_LINK_ROW = re.compile(rf"\|\s*{_ADDRESS}\({_N}\)\s*\|(?:\s*\d+\s*\|)?\s*{_ADDRESS}\({_N}\)\s*\|")
_DESTINATION = re.compile(rf"destRank\[{_ADDRESS}/{_N}\]|to dstRank \(server {_ADDRESS}, device ID {_N}\)")
_REMOTE_RANK = re.compile(
    rf"(?:remoteUserrank\[|remote rank:?\s*\[|Remote rank:\s*\[|need to check rank\[){_N}\]|remote_?rank:?\s*\[{_N}\]",
    re.IGNORECASE,
)
_LOST = re.compile(rf"rank \[{_ADDRESS}/{_N}\] status\[LOST\]")
_BEAT = re.compile(rf"serverId\[{_ADDRESS}\], deviceId\[{_N}\], Heartbeat Lost")
_MISSING = re.compile(r"Failed to connect agent\[([\d,\s]{1,4000})\]")
_NODE = re.compile(
    rf"connect server\[{_ADDRESS} ?: ?\d+\]|Check whether node {_ADDRESS}(?:%\S*)? reports|"
    rf"trying to connect to \(\[?{_ADDRESS}\]?, ?\d+\)|remote=\[{_ADDRESS}\]"
)
_CQE = re.compile(
    rf"remoteIP[:{{]*(?:server\[{_ADDRESS}\],)?(?:deviceId\[[^\]]*\],)?(?:deviceIp)?\[{_ADDRESS}\]|"
    rf"Peer information: server {_ADDRESS}, device ID {_N}"
)
_TLS = re.compile(r"rankList for (?:enabled|disabled) tls:\s*\[([\d,\s]{0,4000})\]", re.IGNORECASE)
_CONNECTED = re.compile(r"\[(\d{16})\]")


def own_rank(line: str) -> int | None:
    """The rank that a line says it is of."""
    return _number(_RANK.search(line))


def writer_of(line: str) -> Writer:
    """Who wrote a line."""
    row = _LINK_ROW.search(line)
    host = _RAY_HOST.search(line)
    return Writer(
        pid=_number(_PID.search(line)),
        rank=int(row.group(4)) if row else own_rank(line),
        device=_number(_DEVICE.search(line)),
        host=host.group(1) if host else "",
    )


def time_of(line: str) -> str:
    """The time of a line, in a form that can be compared; empty where it tells none."""
    for pattern in _TIMES:
        match = pattern.search(line)
        if match:
            year, month, day, hour, minute, second, milli, micro = match.groups()
            return f"{year}-{month}-{day}T{hour}:{minute}:{second}.{milli or '000'}{micro or '000'}"
    return ""


def peers_of(line: str) -> tuple[Peer, ...]:
    """Everybody that a line waited for, or says to be lost."""
    found: list[Peer] = []
    if row := _LINK_ROW.search(line):
        found.append(Peer(rank=int(row.group(2)), device_ip=row.group(1)))
    found += [Peer(host=m[1] or m[3], device=int(m[2] or m[4])) for m in _DESTINATION.finditer(line)]
    found += [Peer(rank=rank) for rank in _numbers(_REMOTE_RANK, line)]
    for pattern in (_LOST, _BEAT):
        found += [Peer(host=m.group(1), device=int(m.group(2))) for m in pattern.finditer(line)]
    if missing := _MISSING.search(line):
        found += [Peer(rank=int(word)) for word in missing.group(1).split(",") if word.strip().isdecimal()]
    for match in _NODE.finditer(line):
        found.append(Peer(host=next(filter(None, match.groups()))))
    for match in _CQE.finditer(line):
        if match.group(3):
            found.append(Peer(host=match.group(3), device=int(match.group(4))))
        else:
            found.append(Peer(device_ip=match.group(2)))
    return tuple(dict.fromkeys([*found, *_odd_switches(line)]))


def _odd_switches(line: str) -> list[Peer]:
    """The smaller of the two lists of ranks that EI0016 tells of: whose TLS switch is not the others'."""
    lists = [[int(w) for w in text.split(",") if w.strip().isdecimal()] for text in _TLS.findall(line)]
    return [Peer(rank=rank) for rank in min(lists, key=len)] if len(lists) == 2 else []  # noqa: PLR2004  # on and off


def connected_ranks(line: str) -> tuple[int, ...]:
    """The ranks that a root lists as connected (``connected rankinfo[LINE 0]: [0000000000000000],...``)."""
    if "connected rankinfo" not in line:
        return ()
    return tuple(int(word) for word in _CONNECTED.findall(line))


def _number(match: re.Match[str] | None) -> int | None:
    return int(next(filter(None, match.groups()))) if match else None


def _numbers(pattern: re.Pattern[str], line: str) -> Iterable[int]:
    return [int(next(filter(None, m.groups()))) for m in pattern.finditer(line)]
