# SPDX-License-Identifier: Apache-2.0
"""HCCL's errors in any log: by their code where it is written, by their known words where it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hakuna.probes.texts import clean, shown

#: What an error line of the Ascend runtime is called when neither code nor words are known.
OTHER = "HCCL"


@dataclass(frozen=True)
class HcclError:
    """One error; ``code`` as CANN numbers it ("EI0006"), or :data:`OTHER`. ``rank`` where the line names it."""

    code: str
    text: str
    rank: int | None = None


_CODE = re.compile(r"\b(E[A-Z]\d{4})\b")
_LEVEL = re.compile(r"\[ERROR\]\s*(?:HCCL|HCCP|ROCE|TDT|RUNTIME|ASCENDCL|DRV|GE)\b")
_RANK = re.compile(r"(?<!remote )\b(?:rank|RankID|user_?rank|local_?rank)\s*(?:\[(\d+)\]|:\s*(\d+)\b)", re.IGNORECASE)

# Words of logs that do not write the code (facts 6.3; Ascend FaultDiag's knowledge base; hicann/hccl fault_diagnosis).
_KNOWN: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "EI0016",
        (
            r"tlsv1 alert",
            r"TLS switch is inconsistent",
            r"tlsStatus are inconsistent",
            r'config "tls" is invalid',
        ),
    ),
    ("EI0014", (r"in the ranktable is inconsistent with the IP",)),
    (
        "EI0001",
        (
            r"environment variable HCCL_\w+ is invalid",
            r"HCCL_\w+\[[^\]]*\] is invalid",
            r"parse HCCL_\w+ failed",
            r"device ip family\[\d+\] is not same",
            r"HCCL_SOCKET_IFNAME, but not found",
            r"is not found in the nic list",
            r"get host ip fail by socket Ifname",
        ),
    ),
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
        ),
    ),
    (
        "EI0015",
        (
            r"topo exchange (?:server|agent) (?:get socket timeout|connect client failed)",
            r"Failed to connect agent\[",
            r"rank list size\[\d+\] in total topo",
            r"TopoDetect ERROR",
            r"connect server\[.* failed",
        ),
    ),
    (
        "EI0019",
        (
            r"listen on ip\[.*\] and specific port\[\d+\] fail",
            r"bind fail!",
            r"socket listen start fail",
            r"port have been bound already",
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
    ("EI0008", (r"\[VersionConflict\]",)),
    (
        "EI0006",
        (
            r"wait socket establish timeout",
            r"get socket timeout",
            r"Getting socket times out",
            r"LINK_ERROR_INFO",
            r"Wait links establish completed failed",
            r"connection failure between this device",
            r"no connect\s*\|",
            r"connected p2p timeout",
            r"Alloc transports failed",
            r"socket manager.*timeout",
        ),
    ),
    ("EI0013", (r"cqe err(?:or)? status", r"failed CQE status", r"ROCE CQE ERROR", r"error cqe")),
    ("EI0012", (r"sdma (?:error|memory copy)", r"ProcessSdmaErrorInfo")),
    ("EI0002", (r"Notify Wait", r"heartbeat lost", r"status\[LOST\]", r"\[TaskExecStage\]\[Timeout\]")),
    ("EJ0001", (r"last training process is running", r"TsdOpen failed")),
    ("EI0009", (r"Transport init error",)),
    ("EI0007", (r"ra_?rdev_?init", r"ra rdev init failed", r"hdc_rdev", r"rdma init fail", r"qp create fail")),
)
_WORDS = tuple((code, re.compile("|".join(patterns), re.IGNORECASE)) for code, patterns in _KNOWN)
_GENERIC = re.compile(
    r"hccl interface return err|HCCL function error|hcclCommInitRootInfo\w*.*error code", re.IGNORECASE
)


def parse_hccl_log(text: str) -> tuple[HcclError, ...]:
    """Every different error in a log, in its order; nothing for a log without errors.

    Lines of level INFO, EVENT, TRACE and WARNING count only when they report a lost heartbeat. An error without a
    known code is told as :data:`OTHER`, and only if no code explains the log.
    """
    found: dict[tuple[str, int | None], HcclError] = {}
    others: list[HcclError] = []
    for raw in clean(text).split("\n"):
        line = raw.strip().partition("Solution:")[0]  # advice names what it advises about
        code = _code(line)
        if not code:
            continue
        match = _RANK.search(line)
        rank = int(match.group(1) or match.group(2)) if match else None
        error = HcclError(code, shown(line, 400), rank)
        if code == OTHER:
            others.append(error)
        else:
            found.setdefault((code, rank), error)
    return tuple(found.values()) or tuple(others[:1])


def _code(line: str) -> str:
    """The code of one line; empty if it reports no error."""
    if re.search(r"\[(?:INFO|EVENT|TRACE|DEBUG|WARNING)\]\s*[A-Z]{2,}\b", line) and "status[LOST]" not in line:
        return ""
    written = [c for c in _CODE.findall(line) if c[:2] in ("EI", "EJ", "EH", "EZ", "EE", "EL")]
    if written:
        return str(written[0])
    for code, pattern in _WORDS:
        if pattern.search(line):
            return code
    return OTHER if _LEVEL.search(line) or _GENERIC.search(line) else ""
