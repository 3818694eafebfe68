# SPDX-License-Identifier: Apache-2.0
"""Where packets are lost by halves: the places whose one rate of loss describes the counts in the fewest words.

A port that loses 30 % lets a third of all pings of three packets through unharmed and swallows one in forty whole. So
places are weighed by the likelihood of what was sent and what came back, not by which pairs lost something. The cost
of a description is what it takes to name its places (the more of a kind there are, the more: of a thousand devices, or
of a million pairs) and what is unlikely about the counts. Places are taken greedily, the one that saves most first: a
heuristic.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hakuna.judgement import mesh_places as places
from hakuna.judgement.mesh_matrix import Grid, LossMatrix, ones
from hakuna.judgement.mesh_places import BlameKind, Place
from hakuna.where import Where

#: What naming any place costs, in nats; what choosing among those of its kind costs comes on top.
NAMED = 4.0
#: Explanations that save so little less than the best, in nats, are as good: one is at most twenty times likelier.
CLOSE = 3.0


@dataclass(frozen=True)
class Lossy:
    """A place, the share of packets that it loses, and what is saved by naming it."""

    place: Place
    rate: float
    saved: float
    sent: int = 0
    received: int = 0
    others: tuple[Place, ...] = ()
    fresh: bool = True


@dataclass
class Fit:
    """The places found, the pairs that only themselves explain, and the whole cost."""

    found: list[Lossy]
    single: list[tuple[int, int]]
    cost: float


def fit(matrix: LossMatrix, groups: Iterable[Place] = ()) -> Fit:
    """Explain every pair of the matrix that lost packets, all of them or some."""
    left = {(s, t) for s, row in enumerate(matrix.some) for t in ones(row | matrix.gone[s])}
    left |= {(s, t) for s, row in enumerate(matrix.gone) for t in ones(row)}
    free = list(matrix.known)
    weigher = Weigher(matrix)
    weighed = list(_options(weigher, left, groups))
    found: list[Lossy] = []
    cost = 0.0
    while left:
        weighed = _best(weigher, weighed, left, free)
        if not weighed or weighed[0].saved <= 0:
            break
        best = weighed.pop(0)
        others = [x.place for x in weighed if x.saved > best.saved - CLOSE and x.fresh]
        found.append(replace(best, others=tuple(others)))
        cost += weigher.named(best.place) + surprise(best.sent, best.received)
        for rows, columns in best.place.rectangles:
            for s in ones(rows):
                left -= {(s, t) for t in ones(free[s] & columns)}
                free[s] &= ~columns
    return Fit(found, sorted(left), cost + sum(weigher.alone(pair) for pair in left))


def _best(weigher: Weigher, weighed: list[Lossy], left: set[tuple[int, int]], free: Sequence[int]) -> list[Lossy]:
    """The places in the order of what they save, weighed again as far as the first few need it.

    As places are taken, the others save less: one that is behind even with its old weight stays behind.
    """
    done: list[Lossy] = []
    top = 0.0
    for old in sorted((replace(x, fresh=False) for x in weighed), key=_order):
        new = weigher.saving(old.place, left, free) if old.saved > top - CLOSE else old
        top = max(top, new.saved) if new.fresh else top
        done.append(new)
    return sorted(done, key=_order)


def _order(x: Lossy) -> tuple[bool, float, Place]:
    return not x.fresh, -x.saved, x.place


def _options(weigher: Weigher, lost: set[tuple[int, int]], groups: Iterable[Place]) -> Iterable[Lossy]:
    """The places that more than one lossy pair points at, with what they could save at most."""
    grid = weigher.matrix.grid
    most: dict[object, float] = defaultdict(float)
    count: dict[object, set[tuple[int, int]]] = defaultdict(set)
    made: dict[object, Place] = {}

    def tell(key: object, make: Callable[[], Place], pair: tuple[int, int]) -> None:
        if key not in made:
            made[key] = make()
        count[key].add((min(pair), max(pair)))
        most[key] += weigher.alone(pair)

    for s, t in lost:
        n, m = grid.node_of[s], grid.node_of[t]
        low, high = min(n, m), max(n, m)
        for d in (s, t):
            tell(("device", d), partial(places.device, grid, d), (s, t))
        for own in (n, m):
            tell(("node", own), partial(places.node, grid, own), (s, t))
        tell(("out", s), partial(places.out_of, grid, grid.devices[s], 1 << s), (s, t))
        tell(("in", t), partial(places.into, grid, grid.devices[t], 1 << t), (s, t))
        tell(("nodes out", n), partial(places.out_of, grid, Where(grid.nodes[n]), grid.node_bits[n]), (s, t))
        tell(("nodes in", m), partial(places.into, grid, Where(grid.nodes[m]), grid.node_bits[m]), (s, t))
        tell(("pair", n, m), partial(places.node_pair, grid, n, m, both=False), (s, t))
        tell(("both", low, high), partial(places.node_pair, grid, low, high, both=True), (s, t))
    for key, pairs in count.items():
        if len(pairs) > 1 and _points(grid, made[key], pairs):
            yield Lossy(made[key], 0.0, most[key], fresh=False)
    for place in groups:
        yield Lossy(place, 0.0, math.inf, fresh=False)


def _points(grid: Grid, place: Place, pairs: set[tuple[int, int]]) -> bool:
    """Whether a place is more than another name for a pair.

    A node must lose with several of its devices and with several other nodes, a pair of nodes with several devices at
    either end.
    """
    if place.where.device >= 0 or not place.where.node:
        return True
    ends = {d for pair in pairs for d in pair}
    if place.where.is_pair:
        by_node = [
            sum(grid.devices[d].node == name for d in ends) for name in (place.where.node, place.where.peer_node)
        ]
        return min(by_node) > 1
    own = {d for d in ends if grid.devices[d].node == place.where.node}
    peers = {grid.node_of[d] for d in ends - own}
    return len(own) > 1 and len(peers) > 1


class Weigher:
    """What it costs to name a place, or to leave counts to chance."""

    def __init__(self, matrix: LossMatrix) -> None:
        self.matrix = matrix
        devices, nodes = len(matrix.grid.devices), len(matrix.grid.nodes)
        pairs = max(1, sum(row.bit_count() for row in matrix.known))
        self._kinds = {BlameKind.NODE: nodes, BlameKind.NODE_PAIR: nodes * nodes, BlameKind.PAIR: 2 * pairs}
        self._devices, self._nodes = devices, nodes
        self._alone: dict[tuple[int, int], float] = {}

    def named(self, place: Place) -> float:
        """What it costs to name a place and its rate."""
        many = self._kinds.get(place.kind, self._devices if place.where.device >= 0 else 4 * self._nodes)
        return NAMED + math.log(max(2, many))

    def alone(self, pair: tuple[int, int]) -> float:
        """What it costs to tell one pair by itself: half of a pair that loses both ways."""
        cost = self._alone.get(pair)
        if cost is None:
            cost = self._alone[pair] = self._weigh_alone(pair)
        return cost

    def _weigh_alone(self, pair: tuple[int, int]) -> float:
        both = (self.matrix.some[pair[1]] | self.matrix.gone[pair[1]]) >> pair[0] & 1
        count = self.matrix.count(*pair)
        name = NAMED + math.log(self._kinds[BlameKind.PAIR])
        return (name / 2 if both else name) + surprise(count.sent, count.received)

    def saving(self, place: Place, left: set[tuple[int, int]], free: Sequence[int]) -> Lossy:
        """What naming a place saves over naming the pairs that it explains."""
        matrix = self.matrix
        pairs = sent = received = 0
        before = 0.0
        for rows, columns in place.rectangles:
            for s in ones(rows):
                own = free[s] & columns
                odd = own & (matrix.some[s] | matrix.gone[s])
                if not own:
                    continue
                fine = (own & ~odd).bit_count()
                pairs += own.bit_count()
                sent += fine * matrix.packets
                received += fine * matrix.packets
                for t in ones(odd):
                    count = matrix.count(s, t)
                    sent += count.sent
                    received += count.received
                    if (s, t) in left:
                        before += self.alone((s, t))
        if not pairs or not before or received in (0, sent):
            return Lossy(place, 0.0, -math.inf)
        saved = before - self.named(place) - surprise(sent, received)
        return Lossy(place, 1 - received / sent, saved, sent, received)


def surprise(sent: int, received: int, rate: float | None = None) -> float:
    """How unlikely counts are, in nats, at a rate of loss; at their own without one."""
    if sent <= 0:
        return 0.0
    share = 1 - received / sent if rate is None else rate
    lost = sent - received
    out = -lost * math.log(share) if lost else 0.0
    return out - (received * math.log(1 - share) if received else 0.0)


def by_chance(matrix: LossMatrix, found: Iterable[Lossy], pair: tuple[int, int]) -> bool:
    """Whether a pair lost all its packets only because a place loses a part of all.

    It is, when that is more likely than a fault of its own.
    """
    weigher = Weigher(matrix)
    count = matrix.count(*pair)
    if not count.sent:
        return False
    own = weigher.named(places.pair(matrix.grid, *pair, both=False))
    return any(x.place.covers(*pair) and count.sent * -math.log(x.rate) < own for x in found)
