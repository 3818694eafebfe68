# SPDX-License-Identifier: Apache-2.0
"""What happens on a simulated cluster: one JSON document, shared by processes through a file.

The file is what lets several pytest workers, and a later run after a crash, see the same cluster.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

#: The sections of the document; each maps a node's name to what that node holds.
#:
#: - ``containers``: name -> what ``run`` was given (see hakuna.simulator.engine)
#: - ``processes``: str(pid) -> process (see hakuna.simulator.processes)
#: - ``files``: scope ("host", or "container:NAME") -> path -> text, surrogate-escaped UTF-8
#: - ``leases``: folder -> {"holder", "expires"}
#: - ``listeners``: str(port) -> the real loopback port of the simulated service
#: - ``npu_processes``: a list of {"npu", "pid", "name", "memory_mb"}
#:
#: Others may add sections of their own. ``next_pid`` is a number.
SECTIONS = ("containers", "processes", "files", "leases", "listeners", "npu_processes")

FIRST_PID = 4001

Data = dict[str, Any]


def empty() -> Data:
    """The document of a cluster on which nothing has happened yet."""
    data: Data = {name: {} for name in SECTIONS}
    data["next_pid"] = FIRST_PID
    return data


class ClusterState:
    """The document, kept in ``path``; None keeps it in memory.

    May be used from several threads and processes. One object per process and path is enough.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._depth = 0
        self._text = ""
        self._data = empty()
        self._stamp: tuple[int, int, int] | None = None
        self._lock: FileLock | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(f"{path}.lock")

    def read(self) -> Data:
        """The document as it is now; it must not be changed. Cheap: the file is read only after a change."""
        with self._mutex:
            if self._depth == 0:
                self._refresh()
            return self._data

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Data]:
        """Hold the document alone, change it, and have it saved whole at the end.

        Transactions of one thread may be nested: the outermost one saves. When the body raises, every change
        since the outermost beginning is dropped.
        """
        with self._mutex:
            if self._depth:
                self._depth += 1
                try:
                    yield self._data
                finally:
                    self._depth -= 1
                return
            with self._lock or contextlib.nullcontext():
                self._refresh()
                self._depth = 1
                try:
                    yield self._data
                    self._save()
                except BaseException:  # Ctrl-C too: nothing half-changed stays; it goes on being raised
                    self._stamp = None
                    self._load(self._text)
                    raise
                finally:
                    self._depth = 0

    def _refresh(self) -> None:
        if self.path is None:
            return
        try:
            stamp = _stamp(os.stat(self.path))  # noqa: PTH116  # called for every command: a Path method costs more
        except FileNotFoundError:
            if self._text or self._stamp:
                self._load("")
                self._stamp = None
            return
        if stamp != self._stamp:
            # Stamp and text from one open file: another process may replace it at any time.
            with self.path.open(encoding="utf-8") as file:
                stamp = _stamp(os.fstat(file.fileno()))
                self._load(file.read())
            self._stamp = stamp

    def _load(self, text: str) -> None:
        self._text = text
        self._data = json.loads(text) if text else empty()

    def _save(self) -> None:
        text = json.dumps(self._data, separators=(",", ":"))
        if text == self._text:
            return
        if self.path is not None:
            aside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            with aside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                # Times of files tick slowly and inodes are used again: a time that only grows tells versions apart.
                now = max(time.time_ns(), self._stamp[0] + 1 if self._stamp else 0)
                os.utime(file.fileno(), ns=(now, now))
                stamp = _stamp(os.fstat(file.fileno()))
            aside.replace(self.path)
            self._stamp = stamp
        self._text = text


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_ino, status.st_size


def section(data: Data, name: str, node: str) -> Any:
    """One node's part of a section, made when absent (in a transaction only)."""
    made: Any = [] if name == "npu_processes" else {}
    return data.setdefault(name, {}).setdefault(node, made)
