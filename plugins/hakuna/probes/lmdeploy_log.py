# SPDX-License-Identifier: Apache-2.0
"""The api_server's log: how far it came, whether it is ready, and why it is not, which is never its last line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hakuna.evidence import Command
from hakuna.probes.hccl_codes import waits
from hakuna.probes.texts import clean, shown


@dataclass(frozen=True)
class ServerLog:
    """``milestones`` in the order they were reached; ``errors``: lines that report one; ``cause``: the one to blame.

    ``last`` are its last lines, for a death without a word. ``cluster`` is the Ray cluster that it joined or tried to:
    an address, ``PRIVATE``, or None where the log does not say.
    """

    milestones: tuple[str, ...]
    ready: bool
    errors: tuple[str, ...]
    cause: str | None
    last: tuple[str, ...] = ()
    cluster: str | None = None


#: Ray found no cluster, and silently started one of this machine alone.
PRIVATE = "a private cluster of this machine"
#: How many of its last lines are told of a server that died without a word.
LAST = 3


def tail(path: str, size: int, name: str = "server.log") -> Command:
    """The last ``size`` bytes of a log."""
    return Command(name, ("tail", "-c", str(size), path), output_limit=size + 65536, lane=name)


# Order of a good start at log level INFO (ray_executor.py; a real run's log). At WARNING only the last two show.
_MILESTONES = (
    "Build <ray> executor",
    "Init ray cluster",
    "Connecting to existing Ray cluster",
    "Connected to Ray cluster",
    "Ray initialized with address",
    "Init ray workers",
    "Init distributed environment by device",
    "Init distributed process group",
    "Warming up distribute environment",
    "Building Model",
    "Updating configs",
    "Building GraphRunner",
    "Building CacheEngine",
    "Warming up model",
    "Please open",
    "Application startup complete",
    "Uvicorn running on",
)
#: Ray's own words (python/ray/_private/worker.py); they stand there at every log level of LMDeploy.
_CLUSTER = re.compile(r"Connecting to existing Ray cluster at address: (\S+?)\.\.\.|Started a local Ray instance")
_READY = re.compile(r"Uvicorn running on\s+\S+|Application startup complete")

#: Wrappers that tell of a failure somewhere else.
_GENERIC = re.compile(
    r"RPCServerDeadError|ZMQ engine process|EngineDeadError|Engine (?:loop|main loop) (?:failed|stopped)|RayTaskError|"
    r"ActorDiedError|RayActorError|ActorUnavailableError|WorkerCrashedError|BrokenProcessPool|CancelledError|"
    r"KeyboardInterrupt|SystemExit|DIST call hccl api failed|PTA call acl api failed|Parse rank table file|"
    r"check failed!|The Inner error is reported as above|Process mp_engine_proc",
    re.IGNORECASE,
)
#: Those of them that stand alone, without a level or an exception's name.
_WRAPPER_LINE = re.compile(r"^Process mp_engine_proc|<\w+> check failed!|The Inner error is reported as above")
_EXCEPTION = re.compile(r"(?:[A-Za-z_][\w]*\.)*[A-Z]\w*(?:Error|Exception|Timeout)(?:\(\w+\))?(?::\s.*|$)")
_CODED = re.compile(r"\bE[IJHZ]\d{4}\b")
#: Exceptions that are a cause by themselves: they come before the words of ranks that only waited.
_OWN = re.compile(
    r"out of memory|c10_npu::SetDevice|error code is 107001|"
    r"^(?:\w+\.)*(?:Assertion|ModuleNotFound|Import|FileNotFound|Permission|Key|Type|Attribute|Memory)Error"
)
#: LMDeploy 0.18.0's own: the parent ends the manager whose lock its engine process is just letting go of.
_RACE = re.compile(r"^EOFError$")
_RACED = "mp_engine/zmq_engine.py"
_RACE_WORDS = "EOFError: its engine process lost a race with its parent (zmq_engine.py); starting it again helps"
_LEVEL = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b")
#: Words of real trouble that are neither an exception nor at level ERROR.
_SILENT = re.compile(
    r"The number of required NPUs exceeds|Cannot provide a placement group|server socket on .* has timed out|"
    r"client socket .*timed out|connectFullMesh failed|invalid choice: |the following arguments are required|"
    r"unrecognized arguments|\bnot available\.$|Address already in use|Address in use|Segmentation fault|Killed$|"
    r"[Oo]ut of memory|No space left on device",
)
#: What looks like trouble and is none: banners, notices, and searches for other hardware (dlinfer).
_HARMLESS = re.compile(
    r"ImportWarning|FutureWarning|UserWarning|DeprecationWarning|RuntimeWarning|Failed to (?:auto-)?detect \w+ type|"
    r"can be ignored|cannot be preloaded|turn off this error message|you can ignore|ErrorHandler|Free input ref failed|"
    r"Futures? exception was never retrieved|"
    r"num_cpus and num_gpus must not be provided|^(?:Solution|Possible Cause):",
)
_PREFIX = re.compile(r"^(?:\([^)]*\b(?:pid=\d+)[^)]*\)\s*)+(?:ERROR \d\d-\d\d [\d:]+ \[[^\]]*\]\s*)?")
#: LMDeploy's own log line: time, logger, level, place, and then the message.
_LOGGED = re.compile(r"^[\d-]{10} [\d:,]+ - \w+ - (\w+) - \S+ - (.*)$")
#: Classes of trouble, the most telling first.
_WITH_CODE, _TELLING, _WAITED, _EXCEPTIONS, _AT_ERROR, _QUIET, _WRAPPER = range(7)
_JOINED = 6  # lines of one message at most


def parse_log(text: str) -> ServerLog:
    """Read a log, or the end of one. An empty log is one in which nothing has happened yet.

    The cause is the first line of the most telling class: an error with CANN's code, an exception that is a cause by
    itself, the code of one that only waited, any exception, an error of the log, a silent trouble; wrappers come last,
    for they only repeat that something died.
    """
    milestones: dict[str, None] = {}
    errors: dict[str, None] = {}
    causes: list[tuple[int, int, str]] = []
    rows = [x.rstrip() for x in clean(text).split("\n")]
    for number, line in enumerate(rows):
        milestones.update({name: None for name in _MILESTONES if name in line})
        bare = _bare(line)
        kind = _class(bare)
        if kind is not None:
            raced = _RACE.match(bare) and any(_RACED in row for row in rows[:number])
            said = _RACE_WORDS if raced else shown(_message(_joined(rows, number, bare)), 400)
            errors.setdefault(said)
            causes.append((kind, number, said))
    ready = any(_READY.search(x) for x in rows)
    worst = min(causes, default=None)
    # A server that answers had reasons to complain on its way; only a real failure is a cause then.
    cause = worst[2] if worst and (not ready or worst[0] < _AT_ERROR) else None
    last = tuple(shown(_bare(x), 200) for x in [x for x in rows if x.strip()][-LAST:])
    joined = [match[1] or PRIVATE for match in map(_CLUSTER.search, rows) if match]
    return ServerLog(tuple(milestones), ready, tuple(errors), cause, last, joined[-1] if joined else None)


def _bare(line: str) -> str:
    """A line without the prefix that Ray puts before a worker's words."""
    return _PREFIX.sub("", line.strip())


def _joined(rows: list[str], number: int, bare: str) -> str:
    """A message and the lines that it goes on in, as long as its brackets are open."""
    whole = bare
    for row in rows[number + 1 : number + _JOINED]:
        if whole.count("[") + whole.count("{") <= whole.count("]") + whole.count("}"):
            break
        whole += f" {_bare(row)}"
    return whole


def _message(line: str) -> str:
    logged = _LOGGED.match(line)
    return logged.group(2) if logged else line


def message_of(line: str) -> str:
    """What a line says, without the prefixes of Ray and of LMDeploy's logger."""
    return _message(_bare(line))


def is_harmless(message: str) -> bool:
    """Whether it looks like trouble and is none."""
    return bool(_HARMLESS.search(message))


def is_wrapper(message: str) -> bool:
    """Whether it tells of a failure somewhere else."""
    return bool(_GENERIC.search(message))


def is_silent(message: str) -> bool:
    """Whether it tells of real trouble without being an exception or at level ERROR."""
    return bool(_SILENT.search(message))


def _class(line: str) -> int | None:
    """How telling a line is; None: it reports no trouble."""
    if not line or _HARMLESS.search(line):
        return None
    message = _message(line)
    at_error = bool(_LEVEL.search(line))
    exception = bool(_EXCEPTION.match(message))
    if _GENERIC.search(message):
        return _WRAPPER if at_error or exception or _WRAPPER_LINE.search(message) else None
    for kind, applies in (
        (_WAITED, waits(message)),
        (_WITH_CODE, _CODED.search(message)),
        (_TELLING, exception and _OWN.search(message)),
        (_EXCEPTIONS, exception),
        (_AT_ERROR, at_error),
        (_QUIET, _SILENT.search(message)),
    ):
        if applies:
            return kind
    return None
