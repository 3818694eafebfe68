# SPDX-License-Identifier: Apache-2.0
"""``ray status``: the autoscaler's report, in the forms that it has had since 2021."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import lines, shown, unknown


@dataclass(frozen=True)
class RayStatus:
    """The report. ``ready`` false: Ray has none (yet), in the words of ``detail``.

    ``active`` counts live nodes, also idle ones (None: the report has no node part). ``resources`` are
    (used, total) by name, memory in bytes. ``demands`` are resources that somebody waits for.
    """

    ready: bool
    active: int | None
    pending: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    resources: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    demands: tuple[str, ...] = ()
    detail: str = ""


_NOT_YET = re.compile(
    r"No cluster status\b.*|.*Could not find any running Ray instance.*|.*Ray cluster is not found at.*|"
    r".*(?:Unable|Failed) to connect to (?:the )?GCS.*",
    re.IGNORECASE,
)
_SECTIONS = {
    "healthy": "live",
    "active": "live",
    "idle": "live",
    "pending": "pending",
    "recent failures": "failures",
    "usage": "usage",
    "total usage": "usage",
    "demands": "demands",
    "total demands": "demands",
    "pending demands": "demands",
    "constraints": "other",
    "total constraints": "other",
    "from request_resources": "other",
}
_NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_UNIT = r"\s*([KMGTPE]i?B|B)?"
_USAGE = re.compile(rf"{_NUMBER}{_UNIT}/{_NUMBER}{_UNIT}\s+([A-Za-z_][\w:.-]*)(?:\s+\(.*\))?")
_BYTES = {"": 1.0, "B": 1.0} | {
    f"{p}{i}B": float((1024 if i else 1000) ** n) for n, p in enumerate("KMGTPE", start=1) for i in ("i", "")
}


def parse_status(text: str) -> RayStatus:
    """Read ``ray status``, or the same report out of an autoscaler's log.

    Raises:
        UnparsedError: any other text, one that lost its line breaks, or lines that do not fit their section.
    """
    rows = lines(text)
    for row in rows:
        if re.search(r"Autoscaler status:.*\bNode status\b|\bNode status\b.+\bUsage:", row):
            raise UnparsedError(f"ray status: the line breaks are lost: {shown(row)!r}")
    parts: dict[str, list[str]] = {}
    current: list[str] | None = None
    for row in rows:
        name = row[:-1].strip().lower() if row.endswith(":") else ""
        if name in _SECTIONS:
            current = parts.setdefault(_SECTIONS[name], [])
        elif row in ("Node status", "Resources") or set(row) <= {"-"} or "Autoscaler status:" in row:
            current = None
        elif current is not None and not re.fullmatch(r"\(no [\w ]+\)", row) and not _is_log(row):
            current.append(row)
    if "live" not in parts and "usage" not in parts:
        quiet = next((r for r in rows if _NOT_YET.match(r)), "")
        if quiet:
            return RayStatus(ready=False, active=0, detail=quiet)
        raise unknown("ray status", text)
    return RayStatus(
        ready=True,
        active=_count(parts["live"]) if "live" in parts else None,
        pending=tuple(parts.get("pending", ())),
        failures=tuple(parts.get("failures", ())),
        resources=_usage(parts.get("usage", [])),
        demands=tuple(parts.get("demands", ())),
    )


def _is_log(row: str) -> bool:
    return bool(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\[?\w*warning|\(?autoscaler\b", row, re.IGNORECASE))


def _count(rows: list[str]) -> int:
    """Each line is a number of nodes and their name or group: " 1 node_<hex>", " 2 ray.worker.cpu"."""
    total = 0
    for row in rows:
        match = re.fullmatch(r"(\d+) \S+(?: \(.*\))?", row)
        if not match:
            raise UnparsedError(f"ray status: not a number of nodes: {shown(row)!r}")
        total += int(match.group(1))
    return total


def _usage(rows: list[str]) -> dict[str, tuple[float, float]]:
    """Each line is "used/total name": " 0.16/16.0 NPU (0.16 used of 16.0 reserved ...)", " 0B/2.58TiB memory"."""
    found: dict[str, tuple[float, float]] = {}
    for row in rows:
        match = _USAGE.fullmatch(row)
        if not match:
            raise UnparsedError(f"ray status: not a usage of resources: {shown(row)!r}")
        used, unit, total, whole, name = match.groups()
        # The old form writes the unit once, behind the total.
        found[name] = (float(used) * _BYTES[unit or whole or ""], float(total) * _BYTES[whole or unit or ""])
    return found
