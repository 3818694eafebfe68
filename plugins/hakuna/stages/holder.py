# SPDX-License-Identifier: Apache-2.0
"""Who holds a run: a process of a machine, told apart from later ones with the same number."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: The folder on every node whose existence is the lease; making a folder is atomic.
LEASE_FOLDER = "/tmp/hakuna-lease"  # noqa: S108  # a well-known name is the point of a lease


@dataclass(frozen=True)
class Holder:
    """A controller process. ``start`` is its start time in clock ticks since boot, ``boot_id`` its machine's boot."""

    host: str
    pid: int
    start: int
    boot_id: str
    user: str

    @classmethod
    def me(cls) -> Holder:
        return cls(socket.gethostname(), os.getpid(), _start_of(os.getpid()), _boot_id(), _user())

    @property
    def word(self) -> str:
        """One word for labels and leases: ``user@host:pid``."""
        return f"{self.user}@{self.host}:{self.pid}"

    def alive(self) -> bool | None:
        """Whether that process still runs; None if it belongs to another machine and cannot be known here."""
        if self.host != socket.gethostname():
            return None
        if self.boot_id != _boot_id():
            return False
        return _start_of(self.pid) == self.start != 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return f"uid{os.getuid()}"


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.is_file() else ""


def _start_of(pid: int) -> int:
    """Field 22 of /proc/PID/stat, or 0 without such a process (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return int(fields[19]) if fields[0] != "Z" else 0
