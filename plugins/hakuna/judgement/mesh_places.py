# SPDX-License-Identifier: Apache-2.0
"""The places that can explain lost pings, and which of them a set of lost pairs makes plausible."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hakuna.where import Where

Pair = tuple[Where, Where]


class BlameKind(enum.Enum):
    """What kind of place explains the loss; the wider kinds first."""

    SPLIT = "split"  # groups of devices that do not reach each other
    NODE = "node"  # everything from and to a node
    NODE_PAIR = "node-pair"  # everything between two nodes
    DEVICE = "device"  # everything from and to a device
    DIRECTION_OUT = "direction-out"  # everything from a node or device
    DIRECTION_IN = "direction-in"  # everything to a node or device
    PAIR = "pair"  # two devices


_RANKS = {kind: rank for rank, kind in enumerate(BlameKind)}


@dataclass(frozen=True)
class Place:
    """One possible explanation. ``both`` makes a pair of nodes or devices one of both directions."""

    kind: BlameKind
    where: Where
    both: bool = False
    note: str = ""

    @property
    def rank(self) -> int:
        """Smaller is wider."""
        return _RANKS[self.kind] * 2 + (self.where.device >= 0)

    def __lt__(self, other: Place) -> bool:
        return (self.rank, self.where, not self.both, self.note) < (other.rank, other.where, not other.both, other.note)


def places_of(pair: Pair) -> tuple[Place, ...]:
    """All places that a directed pair belongs to (but splits, which are a matter of the whole matrix)."""
    source, target = pair
    from_node, to_node = Where(source.node), Where(target.node)
    low, high = (source, target) if source < target else (target, source)
    return (
        Place(BlameKind.NODE, from_node),
        Place(BlameKind.NODE, to_node),
        Place(BlameKind.NODE_PAIR, Where.pair(Where(low.node), Where(high.node)), both=True),
        Place(BlameKind.NODE_PAIR, Where.pair(from_node, to_node)),
        Place(BlameKind.DEVICE, source),
        Place(BlameKind.DEVICE, target),
        Place(BlameKind.DIRECTION_OUT, from_node),
        Place(BlameKind.DIRECTION_OUT, source),
        Place(BlameKind.DIRECTION_IN, to_node),
        Place(BlameKind.DIRECTION_IN, target),
        Place(BlameKind.PAIR, Where.pair(low, high), both=True),
        Place(BlameKind.PAIR, Where.pair(source, target)),
    )


def candidates(touching: Mapping[Place, set[Pair]]) -> dict[Place, set[Pair]]:
    """Those of the places whose lost pairs are many-sided enough to point at them.

    A device that lost its only peer says nothing of which end is at fault: that is a pair. A node needs two devices
    and two peers likewise, a pair of nodes two devices at either end.
    """
    return {place: pairs for place, pairs in touching.items() if _points_at(place, pairs)}


def _points_at(place: Place, pairs: Iterable[Pair]) -> bool:
    if place.kind is BlameKind.PAIR:
        return not place.both or len({source for source, _ in pairs}) > 1
    if place.kind is BlameKind.NODE_PAIR:
        ends: dict[str, set[Where]] = {}
        for pair in pairs:
            for end in pair:
                ends.setdefault(end.node, set()).add(end)
        directions = {source.node for source, _ in pairs}
        return all(len(e) > 1 for e in ends.values()) and (not place.both or len(directions) > 1)
    own: set[Where] = set()
    peers: set[Where] = set()
    outward: set[bool] = set()
    by_node = place.where.device < 0
    for source, target in pairs:
        sends = place.where.covers(source)
        outward.add(sends)
        own.add(source if sends else target)
        peer = target if sends else source
        peers.add(Where(peer.node) if by_node else peer)
    both_ways = len(outward) > 1 or place.kind in (BlameKind.DIRECTION_IN, BlameKind.DIRECTION_OUT)
    return len(peers) > 1 and (not by_node or len(own) > 1) and both_ways
