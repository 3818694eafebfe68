# SPDX-License-Identifier: Apache-2.0
"""Replaces names and addresses of a run by others, the same one by the same one everywhere.

What is judged must come out the same, so what judges rest on is kept: names sort as before, addresses sort as before and
share as many leading bits with each other as before (subnets stay subnets). The first and the last eight bits of an IPv4
address (sixteen of an IPv6 one) stay, so that private, loopback and network addresses stay what they are.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hakuna.probes.texts import ip_of

#: Names that are words of the tools as well: to replace them would break what the tools said.
TOOL_WORDS = frozenset(
    "cluster container device devices docker driver engine file hccl hccn head host hosts image inventory ip lease link"
    " lmdeploy localhost mesh model network node nodes npu podman process processes python rank ranks ray root run server"
    " stage state status switch system tls torch version worker workers".split()
)
_V4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_V6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_MAC = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![\w:])")
_LEAST = 2  # characters of a name


class CannotReplaceError(Exception):
    """A name cannot be told from the tools' own words; the text says which."""


@dataclass(frozen=True)
class Names:
    """The names that a run speaks of, by what they are. ``people`` are ``user@host`` words of controllers."""

    nodes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    cluster: str = ""
    inventory: str = ""


@dataclass
class Anonymous:
    """Made once from all of a run's texts; ``text`` then replaces in any of them. ``key`` makes it irreversible."""

    names: Names
    key: bytes
    addresses: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    _pattern: re.Pattern[str] | None = None

    @classmethod
    def of(cls, names: Names, texts: Iterable[str], key: bytes, versions: Iterable[str] = ()) -> Anonymous:
        """See what there is to replace in ``texts``; numbers that ``versions`` hold are no addresses.

        Raises:
            CannotReplaceError: a node's name is a word of the tools.
        """
        words = _words_of(names)
        found: set[str] = set()
        for text in texts:
            found.update(_V4.findall(text), _V6.findall(text), _MAC.findall(text))
        found -= {number for text in versions for number in _V4.findall(text)}
        escaped = "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True))
        pattern = re.compile(rf"(?<![\w-])(?:{escaped})(?![\w-])") if words else None
        return cls(names, key, _addresses_of(found, key), words, pattern)

    def text(self, text: str) -> str:
        """The text with everything replaced."""
        for pattern in (_MAC, _V6, _V4):
            text = pattern.sub(lambda m: self.addresses.get(m[0], m[0]), text)
        return text if self._pattern is None else self._pattern.sub(lambda m: self.words[m[0]], text)

    def name(self, name: str) -> str:
        """What a name became, in a file's name for instance."""
        return self.words.get(name, name)


def walk(value: Any, change: Callable[[str], str]) -> Any:
    """Plain data with every text in it changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [walk(v, change) for v in value]
    if isinstance(value, dict):
        return {change(str(k)): walk(v, change) for k, v in value.items()}
    return value


def _words_of(names: Names) -> dict[str, str]:
    words: dict[str, str] = {}
    for kind, listed in (("node", names.nodes), ("host", names.hosts), ("switch", names.switches)):
        width = max(3, len(str(len(listed))))
        for number, name in enumerate(sorted(set(listed)), 1):
            if name in words or ip_of(name) is not None:
                continue
            if name.lower() in TOOL_WORDS or name.isdigit() or len(name) < _LEAST:
                if kind == "node":
                    msg = f"node {name!r} cannot be replaced: that word stands in what the tools say as well"
                    raise CannotReplaceError(msg)
                continue
            words[name] = f"{kind}{number:0{width}}"
    for number, person in enumerate(sorted(set(names.people)), 1):
        words.setdefault(person, f"user@controller{number}")
    if names.cluster and names.cluster.lower() not in TOOL_WORDS and len(names.cluster) >= _LEAST:
        words.setdefault(names.cluster, "site")
    if names.inventory:
        words.setdefault(names.inventory, "inventory.yaml")
    return words


def _addresses_of(found: Iterable[str], key: bytes) -> dict[str, str]:
    """Every address as it is written, with the one that takes its place."""
    by_version: dict[int, dict[str, int]] = {4: {}, 6: {}}
    out: dict[str, str] = {}
    for text in found:
        if _MAC.fullmatch(text):
            out[text] = _mac(text, key)
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved):
            by_version[address.version][text] = int(address)
    for version, bits, kept in ((4, 32, 8), (6, 128, 16)):
        numbers = by_version[version]
        branches = _branches(numbers.values(), bits)
        for text, number in numbers.items():
            new = _renumbered(number, bits, kept, branches, key)
            out[text] = str(ipaddress.IPv4Address(new) if version == 4 else ipaddress.IPv6Address(new))  # noqa: PLR2004
    return out


def _branches(numbers: Iterable[int], bits: int) -> set[tuple[int, int]]:
    """The prefixes (length, value) after which some address goes on with 0 and some other one with 1."""
    nodes = {(d, n >> (bits - d)) for n in numbers for d in range(1, bits + 1)}
    return {(d - 1, p >> 1) for d, p in nodes if (d, p ^ 1) in nodes}


def _renumbered(number: int, bits: int, kept: int, branches: set[tuple[int, int]], key: bytes) -> int:
    """Bits that tell known addresses apart stay, so that order and common prefixes stay; the others are drawn."""
    new = 0
    for depth in range(bits):
        bit = number >> (bits - 1 - depth) & 1
        prefix = number >> (bits - depth)
        if kept <= depth < bits - kept and (depth, prefix) not in branches:
            bit = hashlib.blake2b(f"{bits}/{depth}/{prefix}".encode(), key=key, digest_size=1).digest()[0] & 1
        new = new << 1 | bit
    return new


def _mac(text: str, key: bytes) -> str:
    digest = hashlib.blake2b(text.lower().encode(), key=key, digest_size=5).hexdigest()
    return ":".join(["02", *(digest[i : i + 2] for i in range(0, 10, 2))])
