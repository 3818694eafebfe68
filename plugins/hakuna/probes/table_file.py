# SPDX-License-Identifier: Apache-2.0
"""The rank table as a file on the nodes: write it, read it back, remove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hakuna.evidence import Command
from hakuna.probes.reading import UnparsedError
from hakuna.probes.scripts import script


@dataclass(frozen=True)
class Removed:
    """What ``hakuna-remove`` said of each path; ``left`` are those that are still there."""

    left: tuple[str, ...]


def write(path: str, text: str) -> Command:
    """Write the table aside and rename it to ``path``, making its folder."""
    return script("hakuna-write", path, id="rank_table.write", stdin=text.encode(), mutates=True)


def show(path: str) -> Command:
    return Command("rank_table.file", ("cat", path))


def digest(path: str) -> Command:
    return Command("rank_table.hash", ("sha256sum", path))


def remove(paths: Sequence[str]) -> Command:
    """Remove files, and nothing else."""
    return script("hakuna-remove", *paths, id="remove", mutates=True)


def parse_file(text: str) -> str:
    """The file's text; empty when there is no such file."""
    if text.lstrip().startswith("cat:"):
        if "No such file" in text:
            return ""
        raise UnparsedError(text.strip())
    return text


def parse_remove(text: str) -> Removed:
    """Read ``removed PATH``, ``absent PATH`` and ``left PATH`` up to the end mark.

    Raises:
        UnparsedError: the end mark is missing, or a line is of another kind.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or lines[-1].strip() != "remove-end":
        raise UnparsedError("hakuna-remove did not come to its end")
    left: list[str] = []
    for line in lines[:-1]:
        word, _, path = line.strip().partition(" ")
        if word == "left":
            left.append(path)
        elif word not in ("removed", "absent"):
            raise UnparsedError(f"unknown line {line!r}")
    return Removed(tuple(left))
