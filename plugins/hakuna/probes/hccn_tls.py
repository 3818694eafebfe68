# SPDX-License-Identifier: Apache-2.0
"""The TLS switch and certificates of a device (``hccn_tool -i N -tls -g``; guide, section 5.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from hakuna.probes.hccn_errors import refuse
from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import lines, one

_MONTHS = {
    m: i
    for i, m in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1)
}
_DATE = re.compile(r"(?:\w{3}\s+)?(\w{3})\s+(\d{1,2})\s+(\d{1,2}):(\d{2}):(\d{2})\s+(\d{4})(?:\s+GMT)?")


@dataclass(frozen=True)
class Certificate:
    """One certificate of the device (``pub``, ``ca1``, ``ca2``); times in UTC, None where they are not printed."""

    name: str
    not_before: datetime | None
    not_after: datetime | None


@dataclass(frozen=True)
class Tls:
    """The switch and, where this release prints them, whether the certificates are the factory's, and the threshold."""

    enabled: bool
    preconfigured: bool | None = None
    alarm_days: int | None = None
    certificates: tuple[Certificate, ...] = ()


def parse_tls(text: str) -> Tls:
    """Read ``-tls -g`` of one device: switch, and what else this release prints.

    Raises:
        UnparsedError: no switch, several devices, or values that are neither 0 nor 1.
    """
    rows = lines(text)
    devices = {m.group(1) for x in rows if (m := re.match(r"(?:dev_id\s*:|device)\s*(\d+)", x, re.IGNORECASE))}
    if len(devices) > 1:
        raise UnparsedError(f"hccn_tool -tls -g: several devices: {', '.join(sorted(devices))}")
    switches = _bracketed("tls switch", rows)
    if not switches:
        refuse(text)
    preconfigured = _bracketed("tls preconfigured", rows)
    alarm = _bracketed("tls alarm time threshold", rows)
    return Tls(
        _flag("tls switch", one("hccn_tool -tls -g", switches, text)),
        _flag("tls preconfigured", one("tls preconfigured", preconfigured, text)) if preconfigured else None,
        int(one("tls alarm time threshold", alarm, text)) if alarm else None,
        _certificates(rows),
    )


def _bracketed(key: str, rows: list[str]) -> list[str]:
    return [m.group(1) for x in rows if (m := re.search(rf"{key}\s*\[(\d+)\]", x, re.IGNORECASE))]


def _flag(what: str, word: str) -> bool:
    if word not in ("0", "1"):
        raise UnparsedError(f"{what}: neither 0 nor 1: {word!r}")
    return word == "1"


def _certificates(rows: list[str]) -> tuple[Certificate, ...]:
    found: list[list[str]] = []
    for row in rows:
        if head := re.search(r"\[(\w+) cert\] info", row, re.IGNORECASE):
            found.append([head.group(1), "", ""])
        elif found and (when := re.match(r"(start|end)_time\[(.*)\]", row, re.IGNORECASE)):
            found[-1][1 if when.group(1).lower() == "start" else 2] = when.group(2)
    return tuple(Certificate(name, _date(start), _date(end)) for name, start, end in found)


def _date(text: str) -> datetime | None:
    """OpenSSL's way of writing a time, always in GMT; read without the process's locale."""
    if not text:
        return None
    match = _DATE.fullmatch(text.strip())
    if not match or match.group(1) not in _MONTHS:
        raise UnparsedError(f"certificate: not a date: {text!r}")
    day, hour, minute, second, year = (int(match.group(i)) for i in range(2, 7))
    try:
        return datetime(year, _MONTHS[match.group(1)], day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError as error:
        raise UnparsedError(f"certificate: not a date: {text!r}") from error
