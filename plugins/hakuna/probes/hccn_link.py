# SPDX-License-Identifier: Apache-2.0
"""The state of a device's link and the path beyond it: ``hccn_tool -link|-net_health|-lldp|-link_stat -g``."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from hakuna.probes.hccn_errors import refuse
from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import lines, one, unknown


@dataclass(frozen=True)
class Link:
    up: bool


class HealthStatus(enum.Enum):
    """What a word of ``net_health`` means for a verdict."""

    SUCCESS = "success"
    INCONCLUSIVE = "inconclusive"  # nothing was watched (Init), or the tool does not know
    BAD = "bad"


# Words: hicann/driver tool_ops.c. `Init` stands in Huawei's own sample of a good link without a detect IP.
_HEALTH = {
    "success": HealthStatus.SUCCESS,
    "init": HealthStatus.INCONCLUSIVE,
    "unknown": HealthStatus.INCONCLUSIVE,
    "thread error": HealthStatus.INCONCLUSIVE,
    "socket fail": HealthStatus.BAD,
    "socket failed": HealthStatus.BAD,
    "receive timeout": HealthStatus.BAD,
    "unreachable": HealthStatus.BAD,
    "time exceeded": HealthStatus.BAD,
    "detect ip set": HealthStatus.BAD,
    "fault": HealthStatus.BAD,
}


@dataclass(frozen=True)
class NetHealth:
    """The device's own word about its path to the detect IP."""

    word: str
    status: HealthStatus


@dataclass(frozen=True)
class Lldp:
    """What the switch says of itself: the port at the other end of the cable, and the switch's name."""

    port: str | None
    system: str | None


@dataclass(frozen=True)
class LinkEvent:
    """One change of the link; ``at`` is the device's own clock, as it was printed."""

    up: bool
    at: str


@dataclass(frozen=True)
class LinkHistory:
    """Changes of the link since the device started, as they were listed (newest first).

    ``down_count`` is None where the tool does not print it. ``last_up`` is the state after the newest change.
    """

    up_count: int
    down_count: int | None
    events: tuple[LinkEvent, ...]
    last_up: bool | None


def parse_link(text: str) -> Link:
    """Read ``-link -g``: ``link status: UP|DOWN``.

    Raises:
        UnparsedError: any other text.
    """
    found = [m.group(1).upper() for x in lines(text) if (m := re.match(r"link\s+status\s*:\s*(\w+)", x, re.IGNORECASE))]
    if not found:
        refuse(text)
    word = one("hccn_tool -link -g", found, text)
    if word not in ("UP", "DOWN"):
        raise UnparsedError(f"link status: neither UP nor DOWN: {word!r}")
    return Link(word == "UP")


def parse_net_health(text: str) -> NetHealth:
    """Read ``-net_health -g``: ``net health status: WORDS``.

    Raises:
        UnparsedError: any other text, or words that the tool is not known to use.
    """
    found = [
        m.group(1).strip() for x in lines(text) if (m := re.match(r"net\s+health\s+status\s*:(.*)", x, re.IGNORECASE))
    ]
    if not found:
        refuse(text)
    word = one("hccn_tool -net_health -g", found, text)
    status = _HEALTH.get(word.lower().rstrip("."))
    if status is None:
        raise UnparsedError(f"net health status: an unknown word: {word!r}")
    return NetHealth(word, status)


def parse_lldp(text: str) -> Lldp:
    """Read ``-lldp -g``: ``Ifname`` below ``Port ID TLV``, the line below ``System Name TLV``.

    Raises:
        UnparsedError: neither of these is there, or ports of several devices.
    """
    rows = lines(text)
    ports = [m.group(1).strip() for x in rows if (m := re.match(r"Ifname\s*:\s*(.+)", x, re.IGNORECASE))]
    systems: list[str] = []
    seen = bool(ports)
    for row, after in zip(rows, [*rows, ""][1:], strict=True):
        name = re.match(r"System\s+Name(?:\s+TLV)?\s*:?\s*(.*)", row, re.IGNORECASE)
        seen = seen or bool(re.search(r"\bTLV\b", row))
        if name and name.group(1):
            systems.append(name.group(1).strip())
        elif name and after and not re.search(r"\bTLV\b", after):
            systems.append(after)
    if not seen and not systems:
        refuse(text)
        raise unknown("hccn_tool -lldp -g", text)
    port = one("Ifname", ports, text) if ports else None
    return Lldp(port, one("System Name", systems, text) if systems else None)


_TABLE_ROW = re.compile(r"\|.*\|\s*LINK_(UP|DOWN)\s*\|\s*([^|]+?)\s*\|")
_EVENT = re.compile(r"(\w{3} +\w{3} +\d+ +[\d:]+ +\d{4})\s+LINK[ _](UP|DOWN)")
_DEVICE = re.compile(r"^\[dev(?:id|ice)\s*(\d+)\]\s*", re.IGNORECASE)


def parse_link_stat(text: str) -> LinkHistory:
    """Read ``-link_stat -g``: the list of the A2 (``[devid N]`` or ``[device N]``) or the table of the 950.

    Raises:
        UnparsedError: no ``link up count``, or several devices.
    """
    devices: set[str] = set()
    ups: list[str] = []
    downs: list[str] = []
    events: list[LinkEvent] = []
    for row in lines(text):
        mark = _DEVICE.match(row)
        line = row[mark.end() :] if mark else row
        if mark:
            devices.add(mark.group(1))
        if count := re.match(r"link (up|down) count\s*:\s*(\d+)", line, re.IGNORECASE):
            (ups if count.group(1).lower() == "up" else downs).append(count.group(2))
        elif cells := _TABLE_ROW.match(line):
            events.append(LinkEvent(cells.group(1) == "UP", cells.group(2)))
        elif event := _EVENT.match(line):
            events.append(LinkEvent(event.group(2) == "UP", " ".join(event.group(1).split())))
    if len(devices) > 1:
        raise UnparsedError(f"hccn_tool -link_stat -g: several devices: {', '.join(sorted(devices))}")
    if not ups:
        refuse(text)
    up_count = int(one("hccn_tool -link_stat -g", ups, text))
    down_count = int(one("link down count", downs, text)) if downs else None
    return LinkHistory(up_count, down_count, tuple(events), _newest(events))


def _newest(events: list[LinkEvent]) -> bool | None:
    """The state after the latest change; of changes within one second the one listed first is the newer."""
    if not events:
        return None
    moments = [_moment(e.at) for e in events]
    if any(m is None for m in moments):
        return events[0].up
    return max(zip(moments, range(0, -len(events), -1), events, strict=True), key=lambda t: t[:2])[2].up


_MONTHS = {
    m: i
    for i, m in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1)
}


def _moment(at: str) -> tuple[int, int, int, str] | None:
    """A sortable form of ``Tue Aug 1 14:43:40 2022``; None for anything else."""
    match = re.fullmatch(r"\w{3} (\w{3}) +(\d+) ([\d:]{8}) (\d{4})", " ".join(at.split()))
    if not match or match.group(1) not in _MONTHS:
        return None
    return int(match.group(4)), _MONTHS[match.group(1)], int(match.group(2)), match.group(3)
