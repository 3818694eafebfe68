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
_RANK = re.compile(r"\b(?:rank|RankID|user_?rank|local_?rank)\s*[\[:]\s*(\d+)\b", re.I)

# Words of logs that do not write the code (facts 6.3; Ascend FaultDiag's knowledge base; hicann/hccl fault_diagnosis).
_WORDS = tuple(
    (code, re.compile(pattern, re.I))
    for code, pattern in (
        ("EI0016", r"tlsv1 alert|TLS switch is inconsistent|tlsStatus are inconsistent|config \"tls\" is invalid"),
        ("EI0014", r"in the ranktable is inconsistent with the IP"),
        (
            "EI0001",
            r"environment variable HCCL_\w+ is invalid|HCCL_\w+\[[^\]]*\] is invalid|parse HCCL_\w+ failed|"
            r"device ip family\[\d+\] is not same|HCCL_SOCKET_IFNAME, but not found|is not found in the nic list|"
            r"get host ip fail by socket Ifname",
        ),
        (
            "EI0004",
            r"is not a valid real path|superDeviceId|super_device_id\[\] is invalid|json object property value|"
            r"load file\[.*\] to json fail|ranktable or rank is invalid|real path error|\[RanktableCheck\]",
        ),
        (
            "EI0015",
            r"topo exchange (?:server|agent) (?:get socket timeout|connect client failed)|Failed to connect agent\[|"
            r"rank list size\[\d+\] in total topo|TopoDetect ERROR|connect server\[.* failed",
        ),
        (
            "EI0019",
            r"listen on ip\[.*\] and specific port\[\d+\] fail|bind fail!|socket listen start fail|"
            r"port have been bound already|host nic listen start failed",
        ),
        (
            "EI0005",
            r"CMD information op check fail|\[ParameterConflict\]|arguments for collective communication are inconsistent",
        ),
        ("EI0008", r"\[VersionConflict\]"),
        (
            "EI0006",
            r"wait socket establish timeout|get socket timeout|Getting socket times out|LINK_ERROR_INFO|"
            r"Wait links establish completed failed|connection failure between this device|no connect\s*\||"
            r"connected p2p timeout|Alloc transports failed|socket manager.*timeout",
        ),
        ("EI0013", r"cqe err(?:or)? status|failed CQE status|ROCE CQE ERROR|error cqe"),
        ("EI0012", r"sdma (?:error|memory copy)|ProcessSdmaErrorInfo"),
        ("EI0002", r"Notify Wait|heartbeat lost|status\[LOST\]"),
        ("EJ0001", r"last training process is running|TsdOpen failed"),
        ("EI0009", r"Transport init error"),
        ("EI0007", r"ra_?rdev_?init|ra rdev init failed|hdc_rdev|rdma init fail|qp create fail"),
    )
)
_GENERIC = re.compile(r"hccl interface return err|HCCL function error|hcclCommInitRootInfo\w*.*error code", re.I)


def parse_hccl_log(text: str) -> tuple[HcclError, ...]:
    """Every different error in a log, in its order; nothing for a log without errors.

    Lines of level INFO, EVENT, TRACE and WARNING count only when they report a lost heartbeat. An error without a
    known code is told as :data:`OTHER`, and only if no code explains the log.
    """
    found: dict[tuple[str, int | None], HcclError] = {}
    others: list[HcclError] = []
    for raw in clean(text).split("\n"):
        line = raw.strip()
        code = _code(line)
        if not code:
            continue
        match = _RANK.search(line)
        rank = int(match.group(1)) if match else None
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
