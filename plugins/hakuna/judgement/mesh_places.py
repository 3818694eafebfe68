# SPDX-License-Identifier: Apache-2.0
"""The places that can explain lost pings: each is a set of pairs, made of rectangles of the loss matrix."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from hakuna.judgement.mesh_matrix import Grid, ones
from hakuna.where import Where

Pair = tuple[Where, Where]
Rectangle = tuple[int, int]  # a set of sources and a set of targets


class BlameKind(enum.Enum):
    """What kind of place explains the loss. Of places that explain the same, the earlier one is named."""

    ADDRESS = "address"  # several devices have one address
    NETMASK = "netmask"  # a device's netmask makes it look for its peers in the wrong place
    TLS = "tls"  # devices with another TLS switch than the others
    SPLIT = "split"  # groups of devices that do not reach each other: a VLAN
    NODE = "node"  # everything from and to a node
    NODE_PAIR = "node-pair"  # everything between two nodes
    LEAF = "leaf"  # everything from and to a leaf switch
    UPLINK = "uplink"  # everything between a leaf switch and the others
    RAIL = "rail"  # everything from and to the devices of one device_id
    SUBNET = "subnet"  # everything between a subnet and the others
    DEVICE = "device"  # everything from and to a device
    DIRECTION_OUT = "direction-out"  # everything from a node or device
    DIRECTION_IN = "direction-in"  # everything to a node or device
    PAIR = "pair"  # two devices


_RANKS = {kind: rank for rank, kind in enumerate(BlameKind)}


@dataclass(frozen=True)
class Place:
    """One possible explanation. ``both`` makes a pair of nodes or devices one of both directions.

    ``note`` names what no :class:`Where` does: the groups of a split, a leaf switch, a subnet.
    """

    kind: BlameKind
    where: Where
    both: bool = False
    note: str = ""
    rectangles: tuple[Rectangle, ...] = field(default=(), compare=False, repr=False)
    #: The devices that a place of both directions is about; 0 for all others.
    span: int = field(default=0, compare=False, repr=False)

    @property
    def rank(self) -> int:
        """Smaller is named first."""
        return _RANKS[self.kind] * 2 + (self.where.device >= 0)

    def __lt__(self, other: Place) -> bool:
        return (self.rank, self.where, not self.both, self.note) < (other.rank, other.where, not other.both, other.note)

    def targets(self, source: int) -> int:
        """The targets that ``source`` does not reach if this place is at fault, measured or not."""
        out = 0
        for rows, columns in self.rectangles:
            if rows >> source & 1:
                out |= columns
        return out

    def covers(self, source: int, target: int) -> bool:
        return bool(self.targets(source) >> target & 1)

    def __str__(self) -> str:
        where = self.where
        if self.note:
            return self.note
        if self.kind is BlameKind.PAIR:
            return f"{where.source} and {where.target}, both ways" if self.both else f"{where}, one way"
        if self.kind is BlameKind.NODE_PAIR:
            return (
                f"everything between {where.source} and {where.target}"
                if self.both
                else f"everything from {where.source} to {where.target}"
            )
        if self.kind is BlameKind.DIRECTION_OUT:
            return f"what {where} sends"
        if self.kind is BlameKind.DIRECTION_IN:
            return f"what {where} is sent"
        return str(where)


def touching(grid: Grid, kind: BlameKind, where: Where, span: int, note: str = "") -> Place:
    """Everything from and to a set of devices."""
    rectangles = ((span, grid.everything), (grid.everything & ~span, span))
    return Place(kind, where, note=note, rectangles=rectangles, span=span)


def apart(kind: BlameKind, groups: Sequence[int], note: str) -> Place:
    """Everything between the groups, at the cluster."""
    whole = 0
    for group in groups:
        whole |= group
    return Place(kind, Where.cluster(), note=note, rectangles=tuple((g, whole & ~g) for g in groups))


def device(grid: Grid, d: int) -> Place:
    return touching(grid, BlameKind.DEVICE, grid.devices[d], 1 << d)


def node(grid: Grid, n: int) -> Place:
    return touching(grid, BlameKind.NODE, Where(grid.nodes[n]), grid.node_bits[n])


def out_of(grid: Grid, where: Where, span: int) -> Place:
    return Place(BlameKind.DIRECTION_OUT, where, rectangles=((span, grid.everything),))


def into(grid: Grid, where: Where, span: int) -> Place:
    return Place(BlameKind.DIRECTION_IN, where, rectangles=((grid.everything, span),))


def node_pair(grid: Grid, n: int, m: int, *, both: bool) -> Place:
    """Everything from node ``n`` to node ``m``, or between them."""
    one, other = grid.node_bits[n], grid.node_bits[m]
    if both and grid.nodes[m] < grid.nodes[n]:
        n, m = m, n
    rectangles = ((one, other), (other, one)) if both else ((one, other),)
    return Place(BlameKind.NODE_PAIR, Where.pair(Where(grid.nodes[n]), Where(grid.nodes[m])), both, "", rectangles)


def pair(grid: Grid, s: int, t: int, *, both: bool) -> Place:
    """One pair of devices, one way or both."""
    rectangles = ((1 << s, 1 << t), (1 << t, 1 << s)) if both else ((1 << s, 1 << t),)
    if both and grid.devices[t] < grid.devices[s]:
        s, t = t, s
    return Place(BlameKind.PAIR, Where.pair(grid.devices[s], grid.devices[t]), both, "", rectangles)


def valid(place: Place, known: Sequence[int], gone: Sequence[int]) -> bool:
    """Whether every measured pair of a place is lost (and there is one)."""
    seen = False
    for rows, columns in place.rectangles:
        for s in ones(rows):
            own = known[s] & columns
            if own & ~gone[s]:
                return False
            seen = seen or own != 0
    return seen
