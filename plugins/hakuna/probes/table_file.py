# SPDX-License-Identifier: Apache-2.0
"""Files that a run puts on nodes (the rank table above all): written whole or not at all, shown, hashed, removed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hakuna.evidence import Command
from hakuna.probes.reading import UnparsedError
from hakuna.probes.scripts import script
from hakuna.probes.texts import lines, shown, unknown

#: Where a node keeps what Hakuna puts there, unless the inventory names another place.
OWN_FOLDER = "/tmp/hakuna"  # noqa: S108  # the inventory's default, and known to the script


@dataclass(frozen=True)
class Written:
    """A file that was written, with its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class Removed:
    """What became of the files that were to be removed. ``left`` are still there (folders that are not empty)."""

    removed: tuple[str, ...]
    absent: tuple[str, ...]
    left: tuple[str, ...] = ()


def write(path: str, text: str) -> Command:
    """Write a file (and its folder), atomically; the text travels on stdin."""
    return script("write", path, id="rank_table.write", stdin=text.encode(), mutates=True)


def show(path: str) -> Command:
    return Command("rank_table.file", ("cat", path), lane="rank_table", query=True)


def digest(path: str) -> Command:
    return Command("rank_table.hash", ("sha256sum", path), lane="rank_table", query=True)


def remove(paths: Iterable[str]) -> Command:
    """Remove files and empty folders; nothing else ever is. :data:`OWN_FOLDER` goes with the last file in it."""
    return script("remove", *paths, id="remove", mutates=True, sudo=True)


def parse_write(text: str) -> Written:
    """Read what ``hakuna-write`` printed.

    Raises:
        UnparsedError: it did not write.
    """
    for row in lines(text):
        if match := re.fullmatch(r"wrote (.+) (\d+)", row):
            return Written(match.group(1), int(match.group(2)))
    raise unknown("hakuna-write", text)


def parse_file(text: str) -> str:
    """The file's text as it is (judged elsewhere); empty where there is no such file.

    Raises:
        UnparsedError: cat could not read it for another reason.
    """
    match = re.search(r"^cat: .*$", text, re.MULTILINE)
    if match and match.group(0).rstrip().endswith("No such file or directory"):
        return ""
    if match:
        raise UnparsedError(shown(match.group(0)))
    return text


def parse_remove(text: str) -> Removed:
    """Read what ``hakuna-remove`` printed.

    Raises:
        UnparsedError: the end mark is missing.
    """
    found: dict[str, list[str]] = {"removed": [], "absent": [], "left": []}
    ended = False
    for row in lines(text):
        word, _, path = row.partition(" ")
        if word in found and path:
            found[word].append(path)
        ended = ended or row == "remove-end"
    if not ended:
        raise unknown("hakuna-remove", text)
    return Removed(tuple(found["removed"]), tuple(found["absent"]), tuple(found["left"]))
