# SPDX-License-Identifier: Apache-2.0
"""The lines of a log that report trouble: how much each tells of the cause, who wrote it and whom it waited for.

Reads what LMDeploy, Ray, torch_npu and HCCL leave behind: the server's log, Ray's worker logs and raylet.out, plog.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from hakuna.probes.hccl_codes import CODES, OTHER, code_of
from hakuna.probes.lmdeploy_log import is_harmless, is_silent, is_wrapper, message_of
from hakuna.probes.log_places import Peer, Writer, connected_ranks, peers_of, time_of, writer_of
from hakuna.probes.texts import clean, shown

#: What a trouble that has no code of CANN's is called.
RAY, TORCH = "Ray", "PyTorch"


class Weight(enum.IntEnum):
    """How much a line tells of the cause; the smallest of a run is to blame."""

    CAUSE = 0  # it names what is wrong where it was written
    DIED = 1  # a process is gone, and this says no more
    WAITED = 2  # somebody else did not come
    WRAPPER = 3  # it only repeats that something failed


@dataclass(frozen=True)
class Trouble:
    """One report. ``time`` is comparable as text, and empty where the line tells none; ``line`` counts from 0."""

    weight: Weight
    code: str
    text: str
    writer: Writer
    time: str = ""
    peers: tuple[Peer, ...] = ()
    line: int = 0


_EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Timeout)(?:\(\w+\))?(?::\s|$)")
#: Exceptions that only say that a partner is gone, or that time was up.
_LATE = re.compile(
    r"Dist(?:Backend|Network|Store)Error|TimeoutError|socket has timed out|Connection (?:reset|closed) by|"
    r"recv(?:ed)? 0 bytes|connectFullMesh failed|timed ?out|wait\(\) timeout",
    re.IGNORECASE,
)
#: Errors of the runtime that come after another one, where that one is told too.
_AFTER = re.compile(
    r"(?:NPU|HCCL|ACL) function error|HCCL error in|error code is 5070\d\d|rtStreamSynchronize|EZ9999|EE9999|E19999"
)
_INVALID = re.compile(r"SetDevice|error code is 107001|[Ii]nvalid [Dd]evice")
_OOM_KILL = re.compile(
    r"[1-9]\d* Workers? \(tasks / actors\) killed due to memory pressure|"
    r"(?:Task|Worker|Actor) was killed due to the node running low on memory"
)
_DEATH = re.compile(
    r"A worker died or was killed while executing|The actor is dead because its worker process has died|"
    r"The actor died unexpectedly|Worker exit type: SYSTEM_ERROR"
)
#: How workers end when they are asked to.
_ENDED = re.compile(
    r"SIGTERM|SystemExit is raised|INTENDED_(?:USER|SYSTEM)_EXIT|ray\.kill|was killed by (?:ray\.kill|the user)"
)
_SIGNAL = re.compile(
    r"\*\*\* SIG(?:SEGV|BUS|ABRT|FPE|ILL) received|Fatal Python error: (?:Segmentation|Bus|Aborted|Illegal)"
)
_WORKER_AT = re.compile(r"Worker IP address: ([0-9A-Fa-f.:]+)|\bip: ([0-9A-Fa-f.:]+)|, IP: ([0-9A-Fa-f.:]+)\)")
_WORKER_PID = re.compile(r"Worker PID: (\d{1,10})|\bpid: (\d{1,10})")
_TASK_ERROR = re.compile(r"RayTaskError\(.*\bpid=")
_STARTS = re.compile(r"^(?:\([\w .-]*pid=|\[(?:ERROR|INFO|WARNING|EVENT)\]|\d{4}-\d\d-\d\d|\S+: |Traceback)")


def troubles(text: str, writer: Writer | None = None) -> tuple[Trouble, ...]:
    """Every line of trouble in its order; ``writer`` is what is known of who wrote the log."""
    whose = writer or Writer()
    found: list[Trouble] = []
    task = Writer()  # whose failed task a traceback is told of
    rows = [row.rstrip() for row in clean(text).split("\n")]
    connected, wanted = _root(rows)
    for number, row in enumerate(rows):
        if _TASK_ERROR.search(row):
            task = writer_of(row)
        elif task != Writer() and row and _STARTS.match(row) and not _EXCEPTION.match(row):
            task = task if row.startswith("Traceback") or not writer_of(row).pid else Writer()
        trouble = _trouble(row, number, task.or_else(whose))
        if trouble is not None:
            found.append(trouble)
    if connected and wanted > len(connected):
        missing = tuple(Peer(rank=rank) for rank in range(min(wanted, _MOST_RANKS)) if rank not in connected)
        found = [_missed(t, missing) for t in found]
    return tuple(found)


_MOST_RANKS = 65536
_WANTED = re.compile(r"need connect rankNum is \[(\d{1,6})\]|rankNum\[(\d{1,6})\]")


def _root(rows: list[str]) -> tuple[set[int], int]:
    """Which ranks a root says are connected, and how many it wants."""
    connected: set[int] = set()
    wanted = 0
    for row in rows:
        connected.update(connected_ranks(row))
        match = _WANTED.search(row)
        if match:
            wanted = max(wanted, int(match.group(1) or match.group(2)))
    return connected, wanted


def _missed(trouble: Trouble, missing: tuple[Peer, ...]) -> Trouble:
    if trouble.code != "EI0015" or trouble.peers:
        return trouble
    return Trouble(trouble.weight, trouble.code, trouble.text, trouble.writer, trouble.time, missing, trouble.line)


def _trouble(row: str, number: int, whose: Writer) -> Trouble | None:
    message = message_of(row)
    if not message or is_harmless(message):
        return None
    weight, code = _weighed(message, row)
    if weight is None:
        return None
    writer = writer_of(row).or_else(whose)
    if code == RAY:
        writer = _victim(message).or_else(Writer(host=whose.host))
    said = shown(message.partition("Solution:")[0], 400)
    return Trouble(weight, code, said, writer, time_of(row), peers_of(row), number)


def _weighed(message: str, row: str) -> tuple[Weight | None, str]:
    """How telling a line is, and its code; None: it reports no trouble."""
    of_process = _of_process(message)
    if of_process is not None:
        return of_process
    code = code_of(message)
    if code in CODES:
        return (Weight.WAITED if CODES[code].waits else Weight.CAUSE), code
    exception = bool(_EXCEPTION.match(message))
    after = exception and _AFTER.search(message) and not _INVALID.search(message)
    if after or is_wrapper(message):
        return Weight.WRAPPER, code or TORCH
    if exception or is_silent(message):
        return (Weight.WAITED if _LATE.search(message) else Weight.CAUSE), TORCH
    if code and code != OTHER and not _AFTER.search(message):
        return Weight.CAUSE, code  # EH, EE, EL: the driver's and the runtime's own
    return (Weight.WRAPPER, code) if code or " - ERROR - " in row else (None, "")


def _of_process(message: str) -> tuple[Weight | None, str] | None:
    """The same for lines that tell of a process's end."""
    if _OOM_KILL.search(message):
        return Weight.CAUSE, RAY
    if _DEATH.search(message):
        return (None if _ENDED.search(message) else Weight.DIED), RAY
    if _SIGNAL.search(message):
        return Weight.CAUSE, TORCH
    return None


def _victim(message: str) -> Writer:
    """The worker that Ray tells of, not the raylet that tells."""
    host, pid = _WORKER_AT.search(message), _WORKER_PID.search(message)
    return Writer(
        pid=int(next(filter(None, pid.groups()))) if pid else None,
        host=next(filter(None, host.groups())) if host else "",
    )
