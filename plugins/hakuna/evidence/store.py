# SPDX-License-Identifier: Apache-2.0
"""Evidence on disk: one folder per batch with one JSON-lines file per node, one JSON file per HTTP request.

A batch's folder appears at once and whole (written aside, then renamed), so that another process either finds
all of it or nothing. What is kept is what was redacted; reading gives exactly what was written.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hakuna.evidence.command import (
    Batch,
    Command,
    Ending,
    HttpAnswer,
    HttpRequest,
    NodeAnswer,
    NodeTrouble,
    Outcome,
    Trouble,
)
from hakuna.evidence.redaction import Redactor

Bytes = str | dict[str, str]


class EvidenceStore:
    """The evidence folder of one run."""

    def __init__(self, folder: Path, redactor: Redactor | None = None) -> None:
        self.folder = folder
        self.redactor = redactor or Redactor()

    def answers(self, name: str) -> dict[str, NodeAnswer] | None:
        """The kept answers of the batch ``name`` by node, or None if it was never sent."""
        folder = self.folder / name
        if not folder.is_dir():
            return None
        return {path.stem: _read_node(path) for path in sorted(folder.glob("*.jsonl"))}

    def each(self, name: str) -> Iterator[tuple[str, NodeAnswer]]:
        """The kept answers of a batch one node at a time, for batches that are too large to be held."""
        for path in sorted((self.folder / name).glob("*.jsonl")):
            yield path.stem, _read_node(path)

    def has(self, name: str) -> bool:
        """Whether a batch was kept."""
        return (self.folder / name).is_dir()

    def writer(self, name: str, batches: Mapping[str, Batch]) -> NodeWriter:
        """Keeps the answers of a batch one node at a time; the batch appears when the writer is closed."""
        return NodeWriter(self, name, batches)

    def keep(self, name: str, batches: Mapping[str, Batch], answers: Mapping[str, NodeAnswer]) -> dict[str, NodeAnswer]:
        """Redact and keep the answers of a batch; gives what was kept."""
        writer = self.writer(name, batches)
        kept = {node: writer.write(node, answer) for node, answer in answers.items()}
        # Another process may have kept the same batch first: its answers are the ones that count.
        return kept if writer.close() else self.answers(name) or kept

    def http(self, identity: str) -> HttpAnswer | None:
        """The kept answer of one HTTP request, or None."""
        path = self.folder / "http" / f"{identity}.json"
        if not path.is_file():
            return None
        data = json.loads(path.read_text(encoding="utf-8"))["answer"]
        return HttpAnswer(
            id=identity,
            status=data["status"],
            headers=data["headers"],
            body=_decode(data["body"]),
            chunks=tuple((t, _decode(c)) for t, c in data["chunks"]),
            seconds=data["seconds"],
            first_byte=data["first_byte"],
            error=data["error"],
        )

    def keep_http(self, request: HttpRequest, answer: HttpAnswer) -> HttpAnswer:
        """Redact and keep one HTTP exchange; gives what was kept."""
        kept = self.redactor.http(answer)
        data = {
            "request": {
                "node": request.node,
                "port": request.port,
                "method": request.method,
                "path": request.path,
                "body": _encode(self.redactor.data(request.body)),
                "authorized": request.authorize,
            },
            "answer": {
                "status": kept.status,
                "headers": dict(kept.headers),
                "body": _encode(kept.body),
                "chunks": [[t, _encode(c)] for t, c in kept.chunks],
                "seconds": kept.seconds,
                "first_byte": kept.first_byte,
                "error": kept.error,
            },
        }
        folder = self.folder / "http"
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".{request.id}.{os.getpid()}"
        aside.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")
        aside.replace(folder / f"{request.id}.json")
        return kept

    def outcome(self, command: Command | None, outcome: Outcome) -> dict[str, Any]:
        """One command and its outcome as a line of evidence; the outcome is redacted already."""
        entry: dict[str, Any] = {"id": outcome.id}
        if command is not None:
            entry["argv"] = _short_argv(self.redactor.argv(command.argv))
            if command.env:
                entry["env"] = self.redactor.mapping(command.env)
        entry |= {
            "ending": outcome.ending.value,
            "exit_code": outcome.exit_code,
            "stdout": _encode(outcome.stdout),
            "stderr": _encode(outcome.stderr),
            "started": round(outcome.started, 6),
            "seconds": round(outcome.seconds, 6),
        }
        if outcome.stdout_cut or outcome.stderr_cut:
            entry["cut"] = [n for n, c in (("stdout", outcome.stdout_cut), ("stderr", outcome.stderr_cut)) if c]
        return entry


class NodeWriter:
    """See :meth:`EvidenceStore.writer`. It may be called from several threads, for different nodes."""

    def __init__(self, store: EvidenceStore, name: str, batches: Mapping[str, Batch]) -> None:
        self._store = store
        self._final = store.folder / name
        self._batches = batches
        self._aside = store.folder / f".{name}.{os.getpid()}"
        self._aside.mkdir(parents=True)

    def write(self, node: str, answer: NodeAnswer) -> NodeAnswer:
        """Redact and keep one node's answer; gives what was kept."""
        kept = self._store.redactor.answer(answer)
        commands = {c.id: c for c in self._batches[node]}
        with (self._aside / f"{node}.jsonl").open("w", encoding="utf-8") as file:
            file.write(json.dumps(_header(kept)) + "\n")
            for outcome in kept.outcomes.values():
                line = self._store.outcome(commands.get(outcome.id), outcome)
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return kept

    def close(self) -> bool:
        """Let the batch appear; False if another process kept it first."""
        try:
            self._aside.rename(self._final)
        except OSError:
            shutil.rmtree(self._aside)
            return False
        return True


def _short_argv(argv: list[str]) -> list[str]:
    """Leave the text of node scripts and programs out: their name says it, the source is in the package."""
    return [w if i != 2 or "\n" not in w else "…" for i, w in enumerate(argv)]  # noqa: PLR2004  # SHELL -c TEXT


def _header(answer: NodeAnswer) -> dict[str, Any]:
    trouble = answer.trouble
    return {
        "sent": answer.sent,
        "received": answer.received,
        "trouble": None
        if trouble is None
        else {"kind": trouble.kind.value, "detail": trouble.detail, "fix": trouble.fix},
    }


def _read_node(path: Path) -> NodeAnswer:
    header, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    told = header["trouble"]
    return NodeAnswer(
        outcomes={row["id"]: _read_outcome(row) for row in rows},
        trouble=NodeTrouble(Trouble(told["kind"]), told["detail"], told["fix"]) if told else None,
        sent=header["sent"],
        received=header["received"],
    )


def _read_outcome(row: Mapping[str, Any]) -> Outcome:
    cut = row.get("cut", ())
    return Outcome(
        id=row["id"],
        ending=Ending(row["ending"]),
        exit_code=row["exit_code"],
        stdout=_decode(row["stdout"]),
        stderr=_decode(row["stderr"]),
        stdout_cut="stdout" in cut,
        stderr_cut="stderr" in cut,
        started=row["started"],
        seconds=row["seconds"],
    )


def _encode(data: bytes) -> Bytes:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _decode(data: Bytes) -> bytes:
    return data.encode("utf-8") if isinstance(data, str) else base64.b64decode(data["base64"])
