# SPDX-License-Identifier: Apache-2.0
"""Where something is: the cluster, a node, a device, or a directed pair of devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Where:
    """A place that a fact, a finding or a fault belongs to.

    ``node`` empty means the whole cluster; ``device`` is the ``device_id`` on that node.
    ``peer`` makes it a directed pair: from this place to the peer. Written as ``cluster``,
    ``node-b``, ``node-b/3`` and ``node-a/0 -> node-b/3``.
    """

    node: str = ""
    device: int = -1
    peer_node: str = ""
    peer_device: int = -1

    def __hash__(self) -> int:
        """Places are looked up by the million: the hash is made once."""
        try:
            return self._hash  # type: ignore[attr-defined,no-any-return]
        except AttributeError:
            made = hash((self.node, self.device, self.peer_node, self.peer_device))
            object.__setattr__(self, "_hash", made)
            return made

    def __reduce__(self) -> tuple[type[Where], tuple[str, int, str, int]]:
        return Where, (self.node, self.device, self.peer_node, self.peer_device)  # a hash is of one process only

    @classmethod
    def cluster(cls) -> Where:
        return cls()

    @classmethod
    @lru_cache(maxsize=1 << 16)
    def of_device(cls, node: str, device: int) -> Where:
        """A device's place, always the same object: a dictionary finds it by identity, without comparing."""
        return cls(node, device)

    @classmethod
    def pair(cls, source: Where, target: Where) -> Where:
        """The directed pair from ``source`` to ``target`` (two nodes, or two devices)."""
        return cls(source.node, source.device, target.node, target.device)

    @classmethod
    def parse(cls, text: str) -> Where:
        """Read what ``str()`` wrote.

        Raises:
            ValueError: the text is not a place.
        """
        if " -> " in text:
            source, target = text.split(" -> ", 1)
            return cls.pair(cls.parse(source), cls.parse(target))
        if text == "cluster":
            return cls()
        node, slash, device = text.partition("/")
        if not node or (slash and not device.isdigit()):
            msg = f"not a place: {text!r} (expected cluster, NODE, NODE/DEVICE or A/0 -> B/1)"
            raise ValueError(msg)
        return cls.of_device(node, int(device)) if slash else cls(node)

    @property
    def is_pair(self) -> bool:
        return bool(self.peer_node)

    @property
    def source(self) -> Where:
        return Where(self.node, self.device)

    @property
    def target(self) -> Where:
        return Where(self.peer_node, self.peer_device)

    def covers(self, other: Where) -> bool:
        """Whether what is wrong here can be the reason for what is wrong at ``other``.

        The cluster covers everything, a node its devices, and both ends of a pair cover the pair.
        """
        if self.is_pair:
            return self == other
        if other.is_pair:
            return self.covers(other.source) or self.covers(other.target)
        if not self.node:
            return True
        return self.node == other.node and self.device in (-1, other.device)

    def __str__(self) -> str:
        if self.is_pair:
            return f"{self.source} -> {self.target}"
        if not self.node:
            return "cluster"
        return self.node if self.device < 0 else f"{self.node}/{self.device}"


class ByPlace(Generic[T]):
    """Values of places, to be looked up by the million.

    A place that :meth:`Where.of_device` made is found by its identity, which costs no call of Python; any other by its
    hash, as in a dictionary.
    """

    def __init__(self, values: Mapping[Where, T]) -> None:
        self._values = dict(values)  # keeps the places, so that no other object gets one of their identities
        self._by_id = {id(place): value for place, value in self._values.items()}

    def all_of(self, places: Sequence[Where]) -> list[T]:
        """The value of each place, in order.

        Raises:
            KeyError: one of them has none.
        """
        try:
            return list(map(self._by_id.__getitem__, map(id, places)))
        except KeyError:
            return list(map(self._values.__getitem__, places))
