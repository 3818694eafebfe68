# SPDX-License-Identifier: Apache-2.0
"""``hakuna bundle``: one archive of a run for a support ticket, without secrets; names and addresses may go as well.

It holds what a replay needs (``run.json``, the journal, evidence, logs) and the reports, made anew from it.
"""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakuna.evidence.redaction import Redactor
from hakuna.judgement.rules import RuleBook
from hakuna.probes.mesh_columns import COLUMNS
from hakuna.reports.anonymous import Anonymous, Names, walk
from hakuna.reports.model import NotARunError, from_folder
from hakuna.reports.text import plural
from hakuna.reports.writer import write_all

#: What is taken along; locks and what was written aside stay.
_KEPT = ("run.json", "journal.jsonl", "evidence", "logs", COLUMNS)
_VERSION_COMMANDS = ("host.driver", "host.firmware", "host.cann", "host.kernel", "engine.version", "versions", "npu.")
_SYSTEM = re.compile(r"System Name TLV\s+(\S+)")
_HOSTNAME = re.compile(r"^hostname (\S+)$", re.MULTILINE)
_LARGEST = 16 << 20  # bytes of a file that is no evidence: of longer logs the end is taken

README = """A run of Hakuna, for support. Judge it again with: pytest --replay=FOLDER
report.html is what was found; evidence/ holds every command's raw answer. Secrets were removed.
"""


@dataclass(frozen=True)
class Bundle:
    """The archive that was made, sentences about what it holds, and what replaced what if anything did."""

    path: Path
    said: tuple[str, ...]
    anonymous: Anonymous | None = None


def make(folder: Path, output: Path, book: RuleBook, *, anonymize: bool = False, known: tuple[str, ...] = ()) -> Bundle:
    """Pack a run's folder. ``known`` are secrets that are known by value, besides those known by their looks.

    Raises:
        NotARunError: the folder holds no run.
        CannotReplaceError: a name cannot be replaced.
        OSError: something cannot be read or written.
    """
    if not (folder / "run.json").is_file():
        raise NotARunError(f"{folder} is not a run folder (it has no run.json)")
    data = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    redactor = Redactor(known)
    anonymous = _anonymous(folder, data) if anonymize else None
    change = _change(redactor, anonymous)
    with tempfile.TemporaryDirectory(prefix="hakuna-bundle-") as work:
        target = Path(work) / folder.name
        for path in _files(folder):
            aside = target / _renamed(path.relative_to(folder), anonymous)
            aside.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(_changed(path, change))
        _rewrite_run(target / "run.json", anonymous)
        (target / "README.txt").write_text(README, encoding="utf-8")
        write_all(from_folder(target, book=book), target)
        count = _pack(target, output)
    said = [f"{output}: {plural(count, 'file')}, {output.stat().st_size / 1e6:.1f} MB, without secrets"]
    if anonymous:
        said.append(f"replaced: {plural(len(anonymous.words), 'name')}, {plural(len(anonymous.addresses), 'address')}")
        said.append("not replaced: paths, model names, prompts and answers; look through it before you send it")
    else:
        said.append("names and addresses are in it as they are (--anonymize replaces them)")
    return Bundle(output, tuple(said), anonymous)


def _renamed(relative: Path, anonymous: Anonymous | None) -> Path:
    """A file's place in the bundle: ``BATCH/NODE.jsonl`` and ``logs/NODE/NAME`` hold names."""
    if anonymous is None:
        return relative
    *folders, _ = (anonymous.name(part) for part in relative.parts)
    return Path(*folders, anonymous.name(relative.stem) + relative.suffix)


def _files(folder: Path) -> Iterator[Path]:
    for name in _KEPT:
        path = folder / name
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (p for p in found if p.is_file() and not p.is_symlink() and not p.name.startswith("."))


def _change(redactor: Redactor, anonymous: Anonymous | None) -> Callable[[str], str]:
    def change(text: str) -> str:
        text = redactor.text(text)
        return anonymous.text(text) if anonymous else text

    return change


def _changed(path: Path, change: Callable[[str], str]) -> bytes:
    """A file with every text in it changed; bytes that are no text are changed as far as they are."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if size > _LARGEST and path.suffix not in (".json", ".jsonl", ".columns"):
            file.seek(size - _LARGEST)
        data = file.read()
    if path.name == COLUMNS:  # a line of JSON, then numbers
        head, _, body = data.partition(b"\n")
        return _line(head, change, indent=None) + b"\n" + body
    if path.suffix == ".jsonl":
        return b"\n".join(_line(line, change, indent=None) for line in data.split(b"\n"))
    return _line(data, change, indent=1) if path.suffix == ".json" else _bytes(data, change)


def _line(line: bytes, change: Callable[[str], str], indent: int | None) -> bytes:
    try:
        value = json.loads(line)
    except ValueError:  # cut off, or no JSON at all
        return _bytes(line, change)
    return json.dumps(_blobs(walk(value, change), change), ensure_ascii=False, indent=indent).encode("utf-8", "replace")


def _blobs(value: Any, change: Callable[[str], str]) -> Any:
    """Evidence that was no UTF-8 stands there as base64."""
    if isinstance(value, list):
        return [_blobs(v, change) for v in value]
    if isinstance(value, dict):
        if set(value) == {"base64"}:
            return {"base64": base64.b64encode(_bytes(base64.b64decode(value["base64"]), change)).decode("ascii")}
        return {k: _blobs(v, change) for k, v in value.items()}
    return value


def _bytes(data: bytes, change: Callable[[str], str]) -> bytes:
    return change(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _anonymous(folder: Path, data: dict[str, Any]) -> Anonymous:
    inventory = data.get("inventory") or {}
    nodes = tuple(str(n["name"]) for n in inventory.get("nodes", ()))
    hosts = {str(n.get("address", "")) for n in inventory.get("nodes", ())} - set(nodes) - {""}
    holder = data.get("holder") or {}
    texts: list[str] = []
    versions: list[str] = []
    for path in _files(folder):
        for row in _rows(path):
            text = "\n".join(_strings(row))
            texts.append(text)
            if isinstance(row, dict) and str(row.get("id", "")).startswith(_VERSION_COMMANDS):
                versions.append(text)
    switches = {name for text in texts for name in _SYSTEM.findall(text)}
    hosts |= {name for text in texts for name in _HOSTNAME.findall(text)} - set(nodes)
    names = Names(
        nodes=nodes,
        hosts=tuple(hosts),
        switches=tuple(switches),
        people=(f"{holder.get('user')}@{holder.get('host')}",) if holder else (),
        cluster=str(inventory.get("cluster", "")),
        inventory=str(data.get("inventory_name", "")),
    )
    return Anonymous.of(names, texts, secrets.token_bytes(32), versions)


def _rows(path: Path) -> Iterator[Any]:
    """Every line of a file as data, or as text where it is none."""
    data = path.read_bytes() if path.suffix in (".json", ".jsonl") else _changed(path, str)
    if path.name == COLUMNS:
        data = data.partition(b"\n")[0]
    lines = data.split(b"\n") if path.suffix == ".jsonl" else [data]
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            yield line.decode("utf-8", "surrogateescape")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        if set(value) == {"base64"}:
            yield base64.b64decode(value["base64"]).decode("utf-8", "surrogateescape")
            return
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)


def _rewrite_run(path: Path, anonymous: Anonymous | None) -> None:
    """What ``run.json`` says of the controller: where files are there helps nobody elsewhere."""
    data = json.loads(path.read_text(encoding="utf-8"))
    data.pop("inventory_path", None)
    data.pop("replay_source", None)
    if anonymous:
        data["holder"] |= {"host": "controller1", "user": "user", "boot_id": ""}
        for node in data["inventory"]["nodes"]:
            ssh = node.get("ssh", {})
            ssh |= {key: "" for key in ("user", "key", "jump", "known_hosts") if ssh.get(key)}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")


def _pack(source: Path, output: Path) -> int:
    """Write the archive aside and rename it; owners and modes of this machine stay here."""
    aside = output.with_name(f".{output.name}.tmp")
    files = sorted(p for p in source.rglob("*") if p.is_file())
    try:
        with tarfile.open(aside, "w:gz") as archive:
            for path in files:
                content = path.read_bytes()
                entry = tarfile.TarInfo(str(path.relative_to(source.parent)))
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
        shutil.move(aside, output)
    finally:
        aside.unlink(missing_ok=True)
    return len(files)
