# SPDX-License-Identifier: Apache-2.0
"""Pieces of evidence and of logs, short enough to be shown."""

from __future__ import annotations

import base64
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SHOWN = 2400  # characters of one command's output
_LOG = 24_000  # bytes of the end of one log file
_FILES = 16


@dataclass(frozen=True)
class Excerpt:
    """What one command printed. ``ended`` says how it ended if that was not well; ``path`` is in the run's folder."""

    source: str
    path: str
    command: str
    text: str
    ended: str = ""
    cut: bool = False


@dataclass(frozen=True)
class Log:
    """The end of one log file of a node; ``size`` in bytes."""

    node: str
    name: str
    text: str
    size: int

    @property
    def cut(self) -> bool:
        return self.size > _LOG


def excerpt(evidence: Path, source: str) -> Excerpt | None:
    """Find what a finding names as ``BATCH/NODE/COMMAND`` or ``http/REQUEST``; None if it is not there.

    Raises:
        ValueError, KeyError, OSError: the file is damaged.
    """
    batch, _, rest = source.partition("/")
    node, _, command = rest.partition("/")
    if batch == "http":
        return _http(evidence, source, rest)
    path = _inside(evidence, f"{batch}/{node}.jsonl")
    if path is None:
        return None
    marked = json.dumps(command, ensure_ascii=False)
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if marked in line[: len(marked) + 16]:  # the id comes first; the rest need not be read
                row = json.loads(line)
                if row.get("id") == command:
                    return _of_row(source, f"evidence/{batch}/{node}.jsonl", row)
    return None


def _of_row(source: str, path: str, row: dict[str, Any]) -> Excerpt:
    text = "\n".join(t for t in (_text(row.get("stdout", "")), _text(row.get("stderr", ""))) if t.strip())
    ended = "" if row.get("ending") == "exited" else str(row.get("ending", ""))
    if not ended and row.get("exit_code"):
        ended = f"exit status {row['exit_code']}"
    argv = [w if "\n" not in w else "…" for w in map(str, row.get("argv", ()))]
    return Excerpt(source, path, shlex.join(argv)[:600], text[:_SHOWN].rstrip(), ended, len(text) > _SHOWN)


def _http(evidence: Path, source: str, name: str) -> Excerpt | None:
    path = _inside(evidence, f"http/{name}.json")
    if path is None:
        return None
    data = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    request, answer = data["request"], data["answer"]
    asked = f"{request['method']} {request['path']} {_text(request.get('body', ''))}".strip()
    body = _text(answer.get("body", ""))
    ended = str(answer.get("error") or f"HTTP {answer.get('status')}")
    return Excerpt(source, f"evidence/http/{name}.json", asked[:600], body[:_SHOWN], ended, len(body) > _SHOWN)


def _inside(evidence: Path, name: str) -> Path | None:
    """The file of that name; None if there is none, or if the name leads out of the evidence folder."""
    path = evidence / name
    if ".." in Path(name).parts or not path.is_file():
        return None
    return path


def _text(data: Any) -> str:
    if isinstance(data, dict):
        return base64.b64decode(data["base64"]).decode("utf-8", "replace")
    return str(data)


def logs(folder: Path) -> tuple[Log, ...]:
    """The ends of the log files that the run kept."""
    found = []
    for path in sorted(folder.glob("*/*"))[:_FILES]:
        if path.is_file():
            size = path.stat().st_size
            with path.open("rb") as file:
                file.seek(max(0, size - _LOG))
                found.append(Log(path.parent.name, path.name, file.read().decode("utf-8", "replace"), size))
    return tuple(found)
