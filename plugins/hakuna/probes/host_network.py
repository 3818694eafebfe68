# SPDX-License-Identifier: Apache-2.0
"""A node's place in the host network: its name, its interfaces, who listens on it, and what it can reach."""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import clean, json_document, lines, one, shaped, shown, unknown


@dataclass(frozen=True)
class HostName:
    """The node's own name and the addresses that it resolves to on that node (none: it does not resolve)."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Interface:
    """One interface; ``up`` means that it has a carrier. Addresses with prefix ("10.0.0.1/24")."""

    name: str
    up: bool
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Listener:
    """One listening TCP socket. ``process`` and ``pid`` are empty and None where the user may not see them."""

    port: int
    address: str
    process: str = ""
    pid: int | None = None


class TcpState(enum.Enum):
    """How a connect ended."""

    OPEN = "open"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    ERROR = "error"

    @property
    def passes(self) -> bool:
        """Whether packets went both ways: a refusal is an answer too."""
        return self in (TcpState.OPEN, TcpState.REFUSED)


@dataclass(frozen=True)
class TcpProbe:
    """Connects to one host by port. ``errors`` holds the words of those that ended in ``ERROR``."""

    host: str
    results: Mapping[int, TcpState]
    errors: Mapping[int, str]


def parse_hostname(text: str) -> HostName:
    """Read what ``hakuna-hostname`` printed.

    Raises:
        UnparsedError: no name, a cut output, or an address that is none.
    """
    rows = lines(text)
    if "hostname-end" not in rows:
        raise unknown("hakuna-hostname", text)
    name = one("hakuna-hostname", [x[9:].strip() for x in rows if x.startswith("hostname ")], text)
    found: list[str] = []
    for row in rows:
        if row.startswith("address "):
            word = row[8:].partition("%")[0].strip()
            try:
                found.append(str(ipaddress.ip_address(word)))
            except ValueError as error:
                raise UnparsedError(f"hakuna-hostname: not an address: {word!r}") from error
    return HostName(name, tuple(found))


@shaped
def parse_addresses(text: str) -> tuple[Interface, ...]:
    """Read ``ip -j addr show`` (JSON) or the text of ``ip addr``.

    Raises:
        UnparsedError: no interface.
    """
    if re.search(r"^\s*\[", clean(text), re.MULTILINE) and "ifname" in text:
        found = _from_json(json_document("ip -j addr show", text))
    else:
        found = _from_text(text)
    if not found:
        raise unknown("ip addr", text)
    return tuple(found)


def _from_json(document: Any) -> list[Interface]:
    rows = [r for r in document if isinstance(r, dict) and r.get("ifname")]
    return [
        Interface(
            str(r["ifname"]),
            _is_up({str(f) for f in r.get("flags", ())}),
            tuple(f"{a['local']}/{a['prefixlen']}" for a in r.get("addr_info", ()) if a.get("local")),
        )
        for r in rows
    ]


def _from_text(text: str) -> list[Interface]:
    found: list[tuple[str, bool, list[str]]] = []
    for row in lines(text):
        head = re.match(r"\d+:\s+([^\s:@]+)(?:@[^\s:]+)?:\s+<([^>]*)>", row)
        if head:
            found.append((head.group(1), _is_up(set(head.group(2).split(","))), []))
        elif found and (address := re.match(r"inet6?\s+([0-9A-Fa-f.:]+)(?:\s+peer\s+\S*?)?(/\d+)?\s", row + " ")):
            whole = address.group(1) + (address.group(2) or ("/128" if ":" in address.group(1) else "/32"))
            found[-1][2].append(whole)
    return [Interface(name, up, tuple(addresses)) for name, up, addresses in found]


def _is_up(flags: set[str]) -> bool:
    return {"UP", "LOWER_UP"} <= flags


_USER = re.compile(r'users:\(\("([^"]*)",pid=(\d+)')


@shaped
def parse_ports(text: str) -> tuple[Listener, ...]:
    """Read ``ss -H -l -t -n -p``; an empty answer means that nobody listens.

    Raises:
        UnparsedError: a line that is no socket.
    """
    found: list[Listener] = []
    for row in lines(text):
        if row.startswith("State "):
            continue
        match = re.match(r"LISTEN\s+\d+\s+\d+\s+(\S+):(\d+)\s+\S+", row)
        if not match:
            raise UnparsedError(f"ss: not a listening socket: {shown(row)!r}")
        address = match.group(1).strip("[]").partition("%")[0].strip("[]")
        user = _USER.search(row)
        found.append(
            Listener(int(match.group(2)), address, user.group(1) if user else "", int(user.group(2)) if user else None)
        )
    return tuple(found)


def parse_tcp(text: str) -> TcpProbe:
    """Read what ``hakuna-tcp`` printed.

    Raises:
        UnparsedError: the end mark or every port is missing.
    """
    rows = lines(text)
    results: dict[int, TcpState] = {}
    errors: dict[int, str] = {}
    host = ""
    for row in rows:
        if row.startswith("host "):
            host = row[5:].strip()
        elif match := re.fullmatch(r"(\d+) (open|refused|timeout|error)\s*(.*)", row):
            port = int(match.group(1))
            results[port] = TcpState(match.group(2))
            if results[port] is TcpState.ERROR:
                errors[port] = match.group(3)
    if "tcp-end" not in rows or not results:
        raise unknown("hakuna-tcp", text)
    return TcpProbe(host, results, errors)
