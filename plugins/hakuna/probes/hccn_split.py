# SPDX-License-Identifier: Apache-2.0
"""Transcripts of one loop over several devices, taken apart by device."""

from __future__ import annotations

import re

from hakuna.probes.texts import clean, is_echo

_HEADER = re.compile(r"(?:hccn_tool|npu-smi)\s.*?-i\s+(\d+)\b")
_MARK = re.compile(
    r"^\s*(?:dev_id\s*:\s*(\d+)|\[dev(?:id|ice)\s*(\d+)\]|device\s+(\d+)\s+PING6?\b|device\s+(\d+),)", re.IGNORECASE
)
_KEY = re.compile(r"^\s*([A-Za-z][\w ]*?)\s*[:=]")


def split_by_device(text: str) -> dict[int, str]:
    """The part of a transcript that belongs to each device.

    Told apart by the echoed command lines (``hccn_tool -i N``), else by the device that the lines name, else by
    the repetition of the first key, counted from 0 as loops do. Several commands about one device stay together.
    """
    rows = clean(text).split("\n")
    for pattern, echoed in ((_HEADER, True), (_MARK, False)):
        parts = _split_at(rows, pattern, echoed=echoed)
        if parts:
            return {n: "\n".join(p) for n, p in parts.items()}
    return {n: "\n".join(p) for n, p in enumerate(_split_at_key(rows))}


def _split_at(rows: list[str], pattern: re.Pattern[str], *, echoed: bool) -> dict[int, list[str]]:
    parts: dict[int, list[str]] = {}
    current: list[str] | None = None
    for row in rows:
        match = pattern.search(row) if not echoed or is_echo(row) else None
        if match:
            number = int(next(g for g in match.groups() if g is not None))
            current = parts.setdefault(number, [])
            if echoed:
                continue
        if current is not None:
            current.append(row)
    return parts


def _split_at_key(rows: list[str]) -> list[list[str]]:
    first = ""
    blocks: list[list[str]] = []
    for row in rows:
        if is_echo(row) or not row.strip():
            continue
        match = _KEY.match(row)
        key = match.group(1).lower() if match else ""
        first = first or key
        if not blocks or (key and key == first):
            blocks.append([])
        blocks[-1].append(row)
    return blocks
