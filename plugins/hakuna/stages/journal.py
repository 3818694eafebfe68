# SPDX-License-Identifier: Apache-2.0
"""The journal of a run: what it is about to do, what it did and what it found, one fsynced line each.

It is written before the deed, so that whoever comes after a crash knows what may be left on the nodes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from hakuna.evidence.redaction import Redactor

NAME = "journal.jsonl"


@dataclass(frozen=True)
class Trace:
    """Something that a run may have left on a node.

    ``kind`` is ``container`` (``name`` is its name), ``processes`` (those that carry the run's label), ``file``
    (``name`` is its path on the node; inside the container if ``inside``), or ``lease`` (``name`` is its holder).
    """

    kind: str
    node: str
    name: str = ""
    inside: bool = False


class Journal:
    """Append-only; several processes of one run write to it."""

    def __init__(self, folder: Path, redactor: Redactor | None = None) -> None:
        self.path = folder / NAME
        self._redactor = redactor or Redactor()
        self._lock = FileLock(str(folder / ".journal.lock"))
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, event: str, **data: Any) -> None:
        """Append one event; it is on disk when this returns."""
        entry = {"event": event, "at": time.time(), "pid": os.getpid(), **data}
        line = self._redactor.text(json.dumps(entry, ensure_ascii=False)) + "\n"
        with self._lock, self.path.open("ab") as file:
            file.write(line.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())

    def intend(self, traces: list[Trace]) -> None:
        """Say what will be left on the nodes by what is done next."""
        for trace in traces:
            self.write("intend", kind=trace.kind, node=trace.node, name=trace.name, inside=trace.inside)

    def events(self) -> Iterator[dict[str, Any]]:
        """All whole events so far; a last line that was cut by a crash is left out."""
        if not self.path.is_file():
            return
        for line in self.path.read_bytes().split(b"\n"):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event

    def traces(self) -> list[Trace]:
        """What was intended and has not been reported as gone, in the order of intention."""
        open_traces: dict[Trace, None] = {}
        for event in self.events():
            if event["event"] in ("intend", "gone"):
                trace = Trace(event["kind"], event["node"], event["name"], event["inside"])
                if event["event"] == "intend":
                    open_traces[trace] = None
                else:
                    open_traces.pop(trace, None)
        return list(open_traces)

    def intended(self) -> list[Trace]:
        """Every trace that was ever intended, once each."""
        said = (e for e in self.events() if e["event"] == "intend")
        return list(dict.fromkeys(Trace(e["kind"], e["node"], e["name"], e["inside"]) for e in said))

    def gone(self, trace: Trace) -> None:
        """Say that nothing is left of a trace."""
        self.write("gone", kind=trace.kind, node=trace.node, name=trace.name, inside=trace.inside)

    def last(self, event: str) -> dict[str, Any] | None:
        """The last event of that name."""
        found = None
        for entry in self.events():
            if entry["event"] == event:
                found = entry
        return found
