# SPDX-License-Identifier: Apache-2.0
"""A rank table as rules look at it: servers and devices with their place in the file, tolerant of what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from hakuna.judgement.rank_table_fault import FaultCode, TableFault
from hakuna.judgement.rank_table_json import Element, Kind

_PLACE = re.compile(r"server_list\[([0-9]+)\](?:\.device\[([0-9]+)\])?\.")
_DIGITS = re.compile(r"[0-9]{1,18}")


def whole(text: str) -> int | None:
    """The number that a text of decimal digits names, as HCCL reads it."""
    return int(text) if _DIGITS.fullmatch(text) else None


def bounded(text: str, limit: int = 80) -> str:
    """Untrusted text, fit to be shown."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


@dataclass(frozen=True)
class Entry:
    """One object of the table: the table itself, a server, a device, a super pod."""

    element: Element
    path: str
    where: tuple[int, int | None] | None = None

    def has(self, key: str) -> bool:
        return key in self.element.members

    def text(self, key: str) -> str | None:
        """A value's text, stripped of nothing; None where it is missing, or not a string or number."""
        value = self.element.get(key)
        return value.text if value is not None and value.kind in (Kind.STRING, Kind.NUMBER) else None

    def number(self, key: str) -> int | None:
        text = self.text(key)
        return None if text is None else whole(text)

    def misfit(self, key: str) -> bool:
        """Whether the value is there but neither string nor number: NOT_STRING is reported, nothing else."""
        return self.has(key) and self.text(key) is None

    def children(self, key: str, *, placed: bool = True) -> tuple[Entry, ...]:
        """The objects of a list, with indices in their paths; what is not an object is left out.

        ``placed`` says whether they are servers or devices, and thereby places.
        """
        value = self.element.get(key)
        items = value.items if value is not None else ()
        prefix = f"{self.path}.{key}" if self.path else key
        return tuple(
            Entry(e, f"{prefix}[{i}]", self._place(i) if placed else None)
            for i, e in enumerate(items)
            if e.kind is Kind.OBJECT
        )

    def _place(self, index: int) -> tuple[int, int | None]:
        return (index, None) if self.where is None else (self.where[0], index)

    def line(self, key: str = "") -> int:
        value = self.element.get(key)
        return (value or self.element).line

    def path_of(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path and key else self.path or key


@dataclass(frozen=True)
class Device:
    """One device entry; its numbers are None where the table holds none that can be read."""

    entry: Entry
    server: Server
    index: int

    @property
    def rank(self) -> int | None:
        return self.entry.number("rank_id")

    @property
    def device_id(self) -> int | None:
        return self.entry.number("device_id")


@dataclass(frozen=True)
class Server:
    """One server entry."""

    entry: Entry
    index: int

    @property
    def server_id(self) -> str:
        return self.entry.text("server_id") or ""

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(Device(e, self, (e.where or (0, 0))[1] or 0) for e in self.entry.children("device"))


@dataclass(frozen=True)
class View:
    """The whole table."""

    top: Entry
    servers: tuple[Server, ...]
    devices: tuple[Device, ...]

    @classmethod
    def of(cls, root: Element) -> View:
        top = Entry(root, "")
        servers = tuple(Server(e, (e.where or (0, None))[0]) for e in top.children("server_list"))
        return cls(top, servers, tuple(d for s in servers for d in s.devices))

    @cached_property
    def _by_index(self) -> dict[int, Server]:
        return {s.index: s for s in self.servers}

    def server_of(self, where: tuple[int, int | None]) -> Server | None:
        return self._by_index.get(where[0])

    def at(self, path: str) -> tuple[Server | None, Device | None]:
        """The server and the device that a path leads to or through."""
        match = _PLACE.match(path)
        server = self.server_of((int(match[1]), None)) if match else None
        if match is None or server is None or not match[2]:
            return server, None
        index = int(match[2])
        return server, next((d for d in server.devices if d.index == index), None)

    def fault(
        self, code: FaultCode, entry: Entry, key: str, message: str, expected: str = "", fix: str = ""
    ) -> TableFault:
        """A fault at a member of an entry (or at the entry itself, with an empty key)."""
        value = entry.element.get(key)
        server = self.server_of(entry.where) if entry.where is not None else None
        on_device = entry.where is not None and entry.where[1] is not None
        return TableFault(
            code=code,
            line=entry.line(key),
            path=entry.path_of(key),
            where=entry.where,
            message=message,
            expected=expected,
            observed=observed(value) if key else "",
            fix=fix,
            server_id=server.server_id if server is not None else "",
            device_id=entry.number("device_id") if on_device else None,
        )


def observed(value: Element | None) -> str:
    """What stands in the table, in words."""
    if value is None:
        return "missing"
    if value.is_scalar:
        return bounded(value.text) if value.text else '""'
    return value.kind.value


def scalars(element: Element, path: str = "") -> Iterator[tuple[str, Element]]:
    """Every value that is not an object or a list, with its path."""
    if element.is_scalar:
        yield path, element
    for key, value in element.members.items():
        yield from scalars(value, f"{path}.{key}" if path else key)
    for index, value in enumerate(element.items):
        yield from scalars(value, f"{path}[{index}]")
