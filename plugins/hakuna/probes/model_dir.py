# SPDX-License-Identifier: Apache-2.0
"""The model's folder on a node: names and sizes of its files, and the hash of its config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hakuna.evidence import Command
from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import clean, lines, shown, unknown


@dataclass(frozen=True)
class ModelFiles:
    """Sizes in bytes by file name, links followed. ``present`` false: there is no such folder."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    present: bool = True


def files(model_path: str) -> Command:
    argv = ("find", "-L", model_path, "-maxdepth", "1", "-type", "f", "-printf", r"%f\t%s\n")
    return Command("model.files", argv, deadline=60.0, lane="model", query=True)


def config(model_path: str) -> Command:
    return Command(
        "model.config", ("sha256sum", f"{model_path.rstrip('/')}/config.json"), deadline=60.0, lane="model", query=True
    )


def parse_files(text: str) -> ModelFiles:
    """Read what :func:`files` prints, name, tab and size per line; an empty answer is an empty folder.

    Raises:
        UnparsedError: a line that is neither a file nor "No such file or directory".
    """
    sizes: dict[str, int] = {}
    missing = False
    for row in clean(text).split("\n"):
        if not row.strip():
            continue
        name, tab, size = row.rpartition("\t")
        if tab and size.strip().isdecimal():
            sizes[name] = int(size)
        elif re.match(r"find: .*No such file or directory", row):
            missing = True
        else:
            raise UnparsedError(f"find: not a file with its size: {shown(row)!r}")
    return ModelFiles(sizes, present=bool(sizes) or not missing)


def parse_digest(text: str) -> str:
    """The SHA-256 that ``sha256sum`` printed for its only file, in lower-case hex.

    Raises:
        UnparsedError: there is none, or several.
    """
    found = [m.group(1).lower() for x in lines(text) if (m := re.match(r"\\?([0-9a-fA-F]{64})(?:\s|$)", x))]
    if len(found) != 1:
        raise unknown("sha256sum", text)
    return found[0]
