# SPDX-License-Identifier: Apache-2.0
"""The processes of simulated nodes, as the state keeps them; some stand for a real process of this machine."""

from __future__ import annotations

import contextlib
import os
import signal as signals
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hakuna.simulator.state import Data, section

#: A process as the state keeps it; see :func:`start` for what it holds.
Process = dict[str, Any]


def next_pid(data: Data) -> int:
    """A process id that was never given before on this cluster."""
    pid: int = data["next_pid"]
    data["next_pid"] = pid + 1
    return pid


def start(
    data: Data,
    node: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    container: str | None = None,
    kind: str = "",
    ppid: int = 1,
    ports: Sequence[int] = (),
    **more: Any,
) -> int:
    """Put a process on a node (inside a transaction); gives its pid.

    ``ports`` are those it listens on. ``more`` may hold ``real_pid`` and ``real_start`` of a real process that is
    to end with it, ``dependents`` (a list of [node, pid] that end with it), and whatever the tool wants to remember.
    """
    pid = next_pid(data)
    section(data, "processes", node)[str(pid)] = {
        "pid": pid,
        "start": 100_000 + 7 * pid,  # field 22 of /proc/PID/stat: clock ticks since boot
        "ppid": ppid,
        "argv": list(argv),
        "env": dict(env),
        "node": node,
        "container": container,
        "kind": kind,
        "ports": list(ports),
        **more,
    }
    return pid


def of_node(data: Data, node: str) -> list[Process]:
    """The node's processes that live, oldest first."""
    there = tuple(data["processes"].get(node, {}).values())  # another thread may start one while this one looks
    return [p for p in there if lives(p)]


def find(data: Data, node: str, pid: int) -> Process | None:
    """A process that lives, by its id."""
    found: Process | None = data["processes"].get(node, {}).get(str(pid))
    return found if found is not None and lives(found) else None


def lives(process: Process) -> bool:
    """Whether it still runs: what stands for a real process ends with it."""
    real = process.get("real_pid")
    return not real or real_start(real) == process.get("real_start")


def end(data: Data, node: str, pid: int, *, signal: int = signals.SIGTERM) -> bool:
    """End a process (inside a transaction) with all that hangs on it; False when there was none.

    Its listening ports, its rows in npu-smi and its dependents go with it.
    """
    process = data["processes"].get(node, {}).pop(str(pid), None)
    if process is None:
        return False
    for port in process["ports"]:
        data["listeners"].get(node, {}).pop(str(port), None)
    rows = data["npu_processes"].get(node)
    if rows:
        rows[:] = [r for r in rows if r["pid"] != pid]
    for other_node, other_pid in process.get("dependents", ()):
        end(data, other_node, other_pid, signal=signal)
    if process.get("real_pid"):
        end_real(process["real_pid"], process.get("real_start", -1), signal)
    return True


def end_real(pid: int, started: int, signal: int = signals.SIGTERM) -> bool:
    """Signal a real process, only if it is still the one that was started then (pids are used again)."""
    if real_start(pid) != started:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal)
        return True
    return False


def real_start(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat, or None when there is no such process or it is only waiting to be reaped.

    Counted from the last ")", as the process's name may hold anything.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
