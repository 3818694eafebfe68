# SPDX-License-Identifier: Apache-2.0
"""A simulated node as a service on a unix socket: what stands behind the executables on a real login's PATH.

``python -m hakuna.simulator.service --inventory FILE --node NAME --state FILE --socket PATH [--fault FAULT]...``
prints ``ready`` and serves until SIGTERM, or until its socket's path is gone.

A client sends 8 bytes of length and, with the first byte, its standard streams (SCM_RIGHTS); then NUL-separated: its
pid, its name, the number of its arguments, these, its environment. The tool's output is written straight to the
client's streams. The answer is a line: the exit code, or ``real`` for a call that the node does not answer for.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from hakuna.inventory import load
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.faults import parse_faults
from hakuna.simulator.lmdeploy_launch import FOREGROUND, Foreground
from hakuna.simulator.node import SimNode
from hakuna.simulator.state import ClusterState
from hakuna.simulator.tools import Result, say

#: Commands that read their standard input; nobody else's is touched (it may be the script that calls them).
READERS = frozenset({"hakuna-write", "hakuna-serve"})
#: Tools whose files are the machine's own when the node has none of that name.
FILE_TOOLS = frozenset({"cat", "tail", "sha256sum", "find", "ls"})
REAL = b"real\n"
#: Exit code of a call that the simulator itself failed at (EX_SOFTWARE of sysexits.h).
INTERNAL = 70
_STREAMS = 3
_LIMIT = 4_000_000
_GUARD_SECONDS = 0.5
#: Roots that are the node's and never the machine's, even where the node has no such file.
_NODE_ONLY = ("/dev/davinci", "/usr/local/Ascend", "/etc/hccn.conf", "/proc/sys/", "/proc/self/limits")


class SimulatorService:
    """Answers for one node until :meth:`stop`; a context manager."""

    def __init__(self, spec: ClusterSpec, state: ClusterState, node_name: str, socket_path: Path) -> None:
        self.node = SimNode(spec, state, node_name)
        self.socket_path = socket_path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ended = threading.Event()

    def start(self) -> None:
        """Listen, and answer in threads of their own."""
        self.socket_path.parent.mkdir(parents=True, exist_ok=True)
        self.socket_path.unlink(missing_ok=True)
        self._listener.bind(str(self.socket_path))
        self._listener.listen(256)
        threading.Thread(target=self._accept, name=f"simulator-{self.node.name}", daemon=True).start()

    def stop(self) -> None:
        """Stop listening; calls that run are left to end."""
        self._ended.set()
        with contextlib.suppress(OSError):  # it may not have been started
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.socket_path.unlink(missing_ok=True)

    def __enter__(self) -> SimulatorService:  # noqa: PYI034  # typing.Self is younger than Python 3.10
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self) -> None:
        """Return when the service was stopped or its socket's path is gone."""
        while not self._ended.wait(_GUARD_SECONDS):
            if not self.socket_path.exists():
                return

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed by stop()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        streams: list[int] = []
        with client:
            try:
                head, streams, _, _ = socket.recv_fds(client, 8, _STREAMS)
                fields = _fields(client, head)
                if len(streams) == _STREAMS and fields is not None:
                    client.sendall(self._answer(client, streams, fields))
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client was ended; nobody waits for the answer
            finally:
                for stream in streams:
                    os.close(stream)

    def _answer(self, client: socket.socket, streams: Sequence[int], fields: Sequence[str]) -> bytes:
        pid, name, count = int(fields[0]), fields[1], int(fields[2])
        argv = (name, *fields[3 : 3 + count])
        env = dict(entry.partition("=")[::2] for entry in fields[3 + count :])
        if self._is_real(argv):
            return REAL
        self._take_over_log(argv)
        stdin = _read(streams[0]) if READERS & set(argv) else b""
        token = FOREGROUND.set(Foreground(streams[1], pid, lambda: _connected(client)))
        try:
            result = self.node.execute(argv, env, stdin)
        except Exception as error:  # noqa: BLE001  # one call's trouble is told to its caller and ends no other call
            result = say(err=f"hakuna: the simulated {name} failed: {error!r}\n", exit_code=INTERNAL)
        finally:
            FOREGROUND.reset(token)
        _write(streams, result)
        if result.timed_out:
            # The real tool would not end: nor does this one, until somebody ends it.
            client.recv(1)
        return f"{result.exit_code}\n".encode()

    def _is_real(self, argv: Sequence[str]) -> bool:
        """Whether a call is about files of the machine itself, such as the log that a real script writes."""
        if argv[0] not in FILE_TOOLS:
            return False
        paths = [word for word in argv[1:] if word.startswith("/")]
        return bool(paths) and all(
            not path.startswith(_NODE_ONLY)
            and path.rstrip("/") not in ("/dev", self.node.inventory.server.model_path.rstrip("/"))
            and self.node.file(path) is None
            and os.path.lexists(path)
            for path in paths
        )

    def _take_over_log(self, argv: Sequence[str]) -> None:
        """Before ``hakuna-remove``: the server's log, which real scripts write here, becomes a file of the node."""
        log = Path(self.node.inventory.server.log)
        if "hakuna-remove" in argv and str(log) in argv and self.node.file(str(log)) is None and log.is_file():
            self.node.write(str(log), b"")
            log.unlink()


def _fields(client: socket.socket, head: bytes) -> list[str] | None:
    """The fields of a request; None when it breaks off or is too long."""
    while len(head) < 8:  # noqa: PLR2004  # the length's own length
        part = client.recv(8 - len(head))
        if not part:
            return None
        head += part
    size = int.from_bytes(head, "big")
    if size > _LIMIT:
        return None
    body = bytearray()
    while len(body) < size:
        part = client.recv(min(65536, size - len(body)))
        if not part:
            return None
        body += part
    return body.decode("utf-8", "surrogateescape").split("\0")


def _read(stream: int) -> bytes:
    data = bytearray()
    while part := os.read(stream, 65536):
        data += part
    return bytes(data)


def _write(streams: Sequence[int], result: Result) -> None:
    for stream, data in ((streams[1], result.stdout), (streams[2], result.stderr)):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(stream, rest) :]


def _connected(client: socket.socket) -> bool:
    """Whether the client still waits: it never sends anything more, so readable means gone."""
    return not select.select([client], [], [], 0)[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one node; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hakuna.simulator.service", description=__doc__)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--fault", action="append", default=[])
    options = parser.parse_args(arguments)
    inventory = load(options.inventory).inventory
    faults = parse_faults([*inventory.simulation.faults, *options.fault], inventory)
    service = SimulatorService(
        ClusterSpec(inventory, faults), ClusterState(options.state), options.node, options.socket
    )
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    with service:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        service.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
