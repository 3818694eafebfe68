# SPDX-License-Identifier: Apache-2.0
"""Starts the simulated api_server as a process of this machine, so that it outlives the process that started it."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from hakuna.simulator import processes

SERVER = Path(__file__).with_name("lmdeploy_server.py")
KEYS_VARIABLE = "HAKUNA_SIM_API_KEYS"
#: Set ("1", or an address to bind) where clients come to the port itself and not to the state's listeners.
LITERAL_PORTS = "HAKUNA_SIM_LITERAL_PORTS"
#: Seconds without a request after which a server that everybody forgot ends itself.
IDLE = 600.0
# The shell leaves at once, so that nobody has to wait for the server's end.
_LAUNCHER = '"$@" >&2 </dev/null & echo $!'


@dataclass(frozen=True)
class Story:
    """What a start says and how it ends: "serve", "exit" with ``code``, or "hang" (it never gets anywhere).

    ``lines`` are pairs of seconds to wait and a line; ``{time}`` in a line becomes the time it is written, and
    an empty one is only waited for.
    """

    lines: tuple[tuple[float, str], ...]
    ending: str = "serve"
    code: int = 0

    def text(self) -> str:
        """All lines at once, as of now."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S") + ",000"
        return "".join(line.replace("{time}", stamp) + "\n" for _, line in self.lines if line)


@dataclass(frozen=True)
class Launched:
    """A real server process: its pid, its start time (field 22 of its stat), its loopback port and its log."""

    pid: int
    start: int
    port: int
    log: Path


@dataclass(frozen=True)
class Foreground:
    """A caller that waits for the server's end.

    ``stdout`` is where it wants the log, ``pid`` its own, which it takes for the server's, ``wanted`` whether it still
    waits.
    """

    stdout: int
    pid: int
    wanted: Callable[[], bool]


#: Set by whoever runs tools for a caller that stays (the service behind the executables on PATH).
FOREGROUND: ContextVar[Foreground | None] = ContextVar("FOREGROUND", default=None)


def reserve(node_ip: str, port: int) -> socket.socket:
    """A bound socket for the server: the port itself where that was asked for, else any free one of the loopback.

    Raises:
        OSError: the port is taken.
    """
    literal = os.environ.get(LITERAL_PORTS, "")
    host = "127.0.0.1"
    if literal not in ("", "0"):
        host = literal if literal != "1" else node_ip if node_ip.startswith("127.") else host
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port if literal not in ("", "0") else 0))
    except OSError:
        bound.close()
        raise
    return bound


def launch(
    bound: socket.socket,
    story: Story,
    options: Sequence[str],
    keys: Sequence[str],
    *,
    state: Path | None,
    output: int | None = None,
    before: bytes = b"",
) -> Launched:
    """Start the server on ``bound``. Its log is a file beside ``state``, or goes to the descriptor ``output``.

    ``before`` is what the log already holds.

    A server of a state that lives in memory ends with this process.
    """
    folder = state.parent / "servers" if state is not None else Path(tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    told_fd, told = tempfile.mkstemp(".json", "hakuna-story-", folder)
    with os.fdopen(told_fd, "wb") as file:
        file.write(json.dumps({"lines": story.lines, "ending": story.ending, "code": story.code}).encode())
    log_fd, log = tempfile.mkstemp(".log", "hakuna-server-", folder)
    with os.fdopen(log_fd, "wb") as file:
        file.write(before)
    words = [sys.executable, "-I", "-S", str(SERVER), "--fd", str(bound.fileno()), "--story", told, *options]
    words += ["--idle", str(IDLE)] + (["--guard", str(state)] if state is not None else [])
    with Path(log).open("ab") as said:
        done = subprocess.run(
            ["/bin/sh", "-c", _LAUNCHER, "sh", *words],
            env={"PATH": os.defpath, KEYS_VARIABLE: "\n".join(keys)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said if output is None else output,
            check=True,
            pass_fds=(bound.fileno(),),
            start_new_session=True,
        )
    pid = int(done.stdout)
    launched = Launched(pid, processes.real_start(pid) or -1, bound.getsockname()[1], Path(log))
    if state is None:
        atexit.register(end, launched)
    return launched


def end(launched: Launched) -> None:
    """End a server and remove its log."""
    processes.end_real(launched.pid, launched.start, signal.SIGTERM)
    with contextlib.suppress(FileNotFoundError):
        launched.log.unlink()
