# SPDX-License-Identifier: Apache-2.0
"""CANN's error codes of collective communication: what each says, whether it is a cause, its words, and what to do.

Codes, titles and texts: CANN's own table (hcomm ``error_code``, HCCL and HCCP errors), hicann/hccl
docs/zh/user_guide/fault_diagnosis, and Ascend FaultDiag's knowledge base for logs that do not write the code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: What an error line of the Ascend runtime is called when neither code nor words are known.
OTHER = "HCCL"


@dataclass(frozen=True)
class Code:
    """One code. ``waits``: it says that somebody else did not come, so whoever reports it is not to blame."""

    code: str
    meaning: str
    fix: str
    waits: bool = False


_PORTS = (
    "on {node}: ss -ltnp | grep -E ':(6000[0-9]|600[12][0-9]|6003[01]|1666[67])' and end what holds the port; "
    "after a run wait 60 s, or set HCCL_IF_BASE_PORT"
)
_TABLE = "make the rank table again: hakuna rank-table --inventory INVENTORY -o FILE"
_LEFTOVER = "on {node}: npu-smi info; end the processes that hold the device, wait 10 s, start again"
_WAITED = "look at the ranks that it names first: hccn_tool -i N -tls -g, -link -g and -ping on both ends"

CODES: Mapping[str, Code] = {
    code.code: code
    for code in (
        Code(
            "EI0001",
            "an HCCL environment variable is invalid",
            "on {node}: ray stop; correct the variable; start again",
        ),
        Code("EI0002", "a rank waited for another one's notify in vain", _WAITED, waits=True),
        Code("EI0003", "an argument of a collective is invalid", "compare the LMDeploy versions of all nodes"),
        Code("EI0004", "the rank table could not be loaded", _TABLE),
        Code(
            "EI0005", "ranks disagree about a collective's arguments", "same LMDeploy, model and arguments on all nodes"
        ),
        Code("EI0006", "a link to another rank did not come up in time", _WAITED, waits=True),
        Code(
            "EI0007", "a communication resource could not be allocated", "on {node}: hccn_tool -i {device_id} -link -g"
        ),
        Code(
            "EI0008", "the HCCL versions differ between ranks", "on {node}: install the CANN version of the other nodes"
        ),
        Code("EI0009", "the transport to another rank could not be set up", _WAITED, waits=True),
        Code(
            "EI0010",
            "devices of one node can not reach each other (P2P)",
            "on {node}: npu-smi info -t health -i {device_id}",
        ),
        Code("EI0011", "the device has no memory left for HCCL", _LEFTOVER),
        Code(
            "EI0012",
            "a memory copy to another device failed (SDMA)",
            "on {node}: npu-smi info -t health -i {device_id}",
        ),
        Code(
            "EI0013",
            "the network between two devices failed under load (error CQE)",
            "on {node}: hccn_tool -i {device_id} -link_stat -g; hccn_tool -i {device_id} -stat -g; then the peer's",
            waits=True,
        ),
        Code("EI0014", "the rank table is not what the devices are", _TABLE),
        Code("EI0015", "not all ranks came to the root in time", _WAITED, waits=True),
        Code(
            "EI0016", "the TLS switch differs between ranks", "hccn_tool -i {device_id} -tls -s enable 0 where it is on"
        ),
        Code("EI0017", "an entry is missing in the rank table", _TABLE),
        Code("EI0019", "a port that HCCL needs is taken", _PORTS),
        Code("EJ0001", "HCCP could not start: another process still has the device", _LEFTOVER),
        Code(
            "EJ0002", "the device's network port is down", "on {node}: hccn_tool -i {device_id} -link -g; -cfg recovery"
        ),
        Code("EJ0003", "a port that HCCL needs is taken", _PORTS),
        Code("EJ0004", "the device's own address is not the one that was given", _TABLE),
    )
}

# Words of logs that do not write the code (Ascend FaultDiag's knowledge base; hicann/hccl fault_diagnosis).
_KNOWN: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "EI0016",
        (
            r"tlsv1 alert",
            r"TLS switch is inconsistent",
            r"tlsStatus are inconsistent",
            r'config "?tls"? is invalid',
        ),
    ),
    ("EJ0004", (r"Check ip fail\.",)),
    ("EI0014", (r"in the ranktable is inconsistent with the IP", r"ranktable information check failed")),
    (
        "EI0001",
        (
            r"environment variable \[?HCCL_\w+\]? is invalid",
            r"HCCL_\w+\[[^\]]*\] is invalid",
            r"parse HCCL_\w+ failed",
            r"device ip family\[\d+\] is not same",
            r"HCCL_SOCKET_IFNAME, but not found",
            r"is not found in the nic list",
            r"get host ip fail by socket Ifname",
        ),
    ),
    ("EI0017", (r"is missing in the ranktable file",)),
    (
        "EI0004",
        (
            r"is not a valid real path",
            r"real path error",
            r"superDeviceId",
            r"super_device_id\[\] is invalid",
            r"json object property value",
            r"load file\[.*\] to json fail",
            r"ranktable or rank is invalid",
            r"\[RanktableCheck\]",
            r"ip in ranktable is not a valid ip",
        ),
    ),
    (
        "EI0015",
        (
            r"topo exchange (?:server|agent) (?:get socket timeout|connect client failed)",
            r"cluster topo exchange server connect client failed",
            r"Failed to connect agent\[",
            r"rank list size\[\d+\] in total topo",
            r"TopoDetect ERROR",
            r"connect server\[.* failed",
            r"(?:total connected num|need connect rankNum) is \[\d+\]",
            r"connected rankinfo\[LINE",
            r"Failed to collect cluster information",
            r"Receiving message from the root node timed out",
        ),
    ),
    (
        "EI0019",
        (
            r"listen on ip\[.*\] and specific port\[\d+\] fail",
            r"bind fail!",
            r"socket listen start fail",
            r"port have been bound already",
            r"port \d+ have already been bound",
            r"host nic listen start failed",
        ),
    ),
    (
        "EI0005",
        (
            r"CMD information op check fail",
            r"\[ParameterConflict\]",
            r"arguments for collective communication are inconsistent",
        ),
    ),
    ("EI0008", (r"\[VersionConflict\]", r"HCCL versions are inconsistent")),
    (
        "EI0006",
        (
            r"wait socket establish timeout",
            r"get socket timeout",
            r"Getting socket times out",
            r"LINK_ERROR_INFO",
            r"Wait links establish completed failed",
            r"connection failure between this device",
            r"fails to connect to dstRank",
            r"\|\s*(?:no connect|time out)\s*\|",
            r"connected p2p timeout",
            r"Alloc transports failed",
            r"socket manager.*timeout",
        ),
    ),
    ("EI0013", (r"cqe err(?:or)? status", r"failed CQE status", r"ROCE CQE ERROR", r"error cqe")),
    ("EI0012", (r"sdma (?:error|memory copy)", r"ProcessSdmaErrorInfo")),
    (
        "EI0002",
        (
            r"Notify Wait",
            r"Notify register times out",
            r"heartbeat lost",
            r"status\[LOST\]",
            r"\[TaskExecStage\]\[Timeout\]",
        ),
    ),
    ("EJ0001", (r"last training process is running", r"TsdOpen failed")),
    ("EJ0002", (r"network port is down",)),
    ("EI0009", (r"Transport init error",)),
    ("EI0011", (r"Failed to allocate \[\d+\] bytes of NPU memory",)),
    ("EI0007", (r"ra_?rdev_?init", r"ra rdev init failed", r"hdc_rdev", r"rdma init fail", r"qp create fail")),
)
_WORDS = tuple((code, re.compile("|".join(patterns), re.IGNORECASE)) for code, patterns in _KNOWN)
_CODE = re.compile(r"\b(E[A-Z]\d{4})\b")
_LEVEL = re.compile(r"\[ERROR\]\s*(?:HCCL|HCCP|ROCE|TDT|RUNTIME|ASCENDCL|DRV|GE)\b")
_QUIET = re.compile(r"\[(?:INFO|EVENT|TRACE|DEBUG|WARNING)\]\s*[A-Z_]{2,}\b")
_GENERIC = re.compile(
    r"hccl interface return err|HCCL function error|hcclCommInitRootInfo\w*.*error code", re.IGNORECASE
)


def waits(line: str) -> bool:
    """Whether a line tells of somebody else who did not come."""
    code = CODES.get(code_of(line))
    return code is not None and code.waits


def code_of(line: str) -> str:
    """The code of one line of a log, by the code or by its words; empty if it reports no error.

    Lines of level INFO, EVENT, TRACE and WARNING count only when they report a lost heartbeat.
    """
    line = line.partition("Solution:")[0]  # advice names what it advises about
    if _QUIET.search(line) and "status[LOST]" not in line:
        return ""
    written = [c for c in _CODE.findall(line) if c[:2] in ("EI", "EJ", "EH", "EZ", "EE", "EL")]
    if written:
        return str(written[0])
    for code, pattern in _WORDS:
        if pattern.search(line):
            return code
    return OTHER if _LEVEL.search(line) or _GENERIC.search(line) else ""
