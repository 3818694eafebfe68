# SPDX-License-Identifier: Apache-2.0
"""What the workers of a node left in their logs: Ray's worker logs and raylet.out, and CANN's plog."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hakuna.evidence import Command
from hakuna.probes.log_places import Writer
from hakuna.probes.reading import UnparsedError
from hakuna.probes.scripts import script
from hakuna.probes.texts import clean, shown, unknown

#: A file up to this size is sent whole; of a larger one only the lines that may tell something.
WHOLE = 16384


@dataclass(frozen=True)
class LogFile:
    """One log. ``cut``: only its telling lines are in ``text``."""

    path: str
    size: int
    text: str
    cut: bool = False

    @property
    def writer(self) -> Writer:
        """Who wrote it, as its name says: ``worker-ID-JOB-PID.err``, ``plog-PID_TIME.log``, ``device-N/...``."""
        pid = _PLOG.search(self.path) or _WORKER.search(self.path)
        device = _DEVICE.search(self.path)
        return Writer(pid=int(pid.group(1)) if pid else None, device=int(device.group(1)) if device else None)


LogFiles = tuple[LogFile, ...]

_WORKER = re.compile(r"/worker-[0-9a-f]+-[0-9a-f]+-(\d{1,10})\.(?:out|err)$")
_PLOG = re.compile(r"/plog-(\d{1,10})_\d+\.log$")
_DEVICE = re.compile(r"/device-(\d{1,4})/")
_HEAD = re.compile(r"file (\d{1,18}) (whole|lines) (.+)")


def logs(minutes: int) -> Command:
    """Read the logs that were written to in the last ``minutes``."""
    command = script("logs", str(max(1, minutes)), str(WHOLE), id="server.logs", deadline=60.0)
    return Command(command.id, command.argv, deadline=command.deadline, output_limit=8 << 20, lane="logs")


def parse_logs(text: str) -> LogFiles:
    """Read what ``hakuna-logs`` printed: for each file its size, whether it is whole, and its lines after a bar.

    Raises:
        UnparsedError: the end mark is missing, or a line is out of place.
    """
    found: list[LogFile] = []
    lines: list[str] = []
    head: re.Match[str] | None = None

    def close() -> None:
        if head is not None:
            body = "\n".join(lines)
            found.append(LogFile(head.group(3), int(head.group(1)), body, cut=head.group(2) == "lines"))
        lines.clear()

    for line in text.split("\n"):  # not of the cleaned text: a progress bar's line has carriage returns in its middle
        if line.startswith("|"):
            if head is None:
                raise UnparsedError(f"hakuna-logs: a line of no file: {shown(line)!r}")
            lines.append(clean(line[1:].removesuffix("\r")))
            continue
        row = clean(line).strip("\n")
        if match := _HEAD.fullmatch(row):
            close()
            head = match
        elif row.strip() == "logs-end":
            close()
            return tuple(found)
        elif row.strip():
            raise UnparsedError(f"hakuna-logs: not what it prints: {shown(row)!r}")
    raise unknown("hakuna-logs", text)
