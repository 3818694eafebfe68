# SPDX-License-Identifier: Apache-2.0
"""Sessions of pytest that need not import everything anew: forks of a process that has done so.

Importing and compiling costs a session longer than the run that it is about, and the tests need some eighty. Each is a
process of its own with its own arguments, folder, environment and streams, and ends as any other; only Hakuna's pytest
plugin, its suites and what tests bring along are imported by itself. Sessions that really begin with ``python -m
pytest`` are in tests/plugin/test_start_up.py, tests/simulated/test_threads.py and tests/reports/test_nightly.py.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_LIMIT = 1 << 20
PLUGINS = Path(__file__).resolve().parents[2] / "plugins"


class Session:
    """One session under way, much like ``subprocess.Popen``. One at a time: the next begins when this one has ended."""

    def __init__(self, link: socket.socket, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self._link = link
        self.returncode: int | None = None
        self._said = ""
        request = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": dict(env)}).encode()
        self._streams = [os.memfd_create(name) for name in ("stdout", "stderr")]
        socket.send_fds(link, [request], self._streams)
        self.pid = int(self._answer(60))

    def _answer(self, seconds: float) -> str:
        self._link.settimeout(seconds)
        answer = self._link.recv(64).decode()
        assert answer, "the process that sessions are forks of has gone"
        return answer

    def _ended(self, answer: str) -> int:
        self.returncode = int(answer)
        self._said = self.text
        while self._streams:
            os.close(self._streams.pop())
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code if it has ended."""
        if self.returncode is None:
            with contextlib.suppress(TimeoutError, BlockingIOError):
                self._ended(self._answer(0.0))
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Its exit code, or minus the signal that ended it.

        Raises:
            TimeoutError: it did not end in so many seconds; it was killed.
        """
        if self.returncode is not None:
            return self.returncode
        try:
            return self._ended(self._answer(seconds))
        except TimeoutError:
            os.kill(self.pid, signal.SIGKILL)
            self._ended(self._answer(10))
            raise TimeoutError(f"no end after {seconds} s: {self.text}") from None

    @property
    def text(self) -> str:
        """What it has said so far: standard output, then the errors."""
        said = (os.pread(stream, os.fstat(stream).st_size, 0) for stream in self._streams)
        return self._said or b"".join(said).decode("utf-8", "replace")


class _Origin:
    """The process that has imported everything; made when it is first asked for, and gone with this one."""

    link: socket.socket | None = None

    @classmethod
    def get(cls) -> socket.socket:
        if cls.link is None:
            cls.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, __file__, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=kept | {"PYTHONPATH": str(PLUGINS)},
                    stdin=subprocess.DEVNULL,
                )
            atexit.register(cls._end, cls.link, process)
        return cls.link

    @staticmethod
    def _end(link: socket.socket, process: subprocess.Popen[bytes]) -> None:
        link.close()  # it ends when nobody can ask any more
        process.wait(10)


def start(arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Session:
    """Begin ``python -m pytest ARGUMENTS`` in that folder and environment."""
    return Session(_Origin.get(), arguments, cwd, env)


def _import_everything() -> None:
    import _pytest.config
    import pytest  # noqa: F401  # for what it imports

    for name in _pytest.config.default_plugins:
        importlib.import_module(f"_pytest.{name}")
    for name in (
        "hakuna.plugin.acceptance",
        "hakuna.plugin.fixtures",
        "hakuna.transports.ssh",
        "hakuna.transports.http",
    ):
        importlib.import_module(name)
    importlib.import_module("hakuna.reports.page.render")._environment().get_template("page.html.j2")
    # pytest wants to import plugins by itself.
    for name in [n for n in sys.modules if n == "hakuna.plugin" or n.startswith("hakuna.plugin.")]:
        del sys.modules[name]
    del importlib.import_module("hakuna").plugin


def _fork(request: Mapping[str, Any], streams: Sequence[int]) -> int:
    """The new process's id; 0 in that process, which is then as the request wants it."""
    pid = os.fork()
    if pid:
        return pid
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    paths = [p for p in request["env"].get("PYTHONPATH", "").split(":") if p]
    sys.path[:] = [request["cwd"], *paths, *(p for p in sys.path[1:] if p not in paths)]
    sys.argv[:] = [sys.modules["pytest"].__file__ or "", *request["arguments"]]
    time.tzset()
    return 0


def main(link: socket.socket) -> int:
    """Fork as often as asked; the exit code, in a fork the session's."""
    _import_everything()
    while True:
        message, streams, _, _ = socket.recv_fds(link, _LIMIT, 2)
        if not message:
            return 0
        pid = _fork(json.loads(message), streams)
        if not pid:
            link.close()
            return int(sys.modules["pytest"].main())
        for stream in streams:
            os.close(stream)
        with contextlib.suppress(BrokenPipeError):
            link.send(str(pid).encode())
            _, status = os.waitpid(pid, 0)
            link.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
