# SPDX-License-Identifier: Apache-2.0
"""Where the fault is when pings are lost: the smallest explanation of a loss matrix.

One dead device of 2 x 8 loses 16 of 128 pairs; reporting 16 pairs would hide that one cable is to be looked at.
An explanation is a place (node, device, direction, pair of nodes, pair, split) all of whose measured pairs are lost.
Places are taken greedily, the one that explains most first, and those that the others explain away are dropped.
"""

from __future__ import annotations

import enum
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hakuna.inventory.model import Layout
from hakuna.judgement.mesh_places import BlameKind, Pair, Place, candidates, places_of
from hakuna.judgement.mesh_split import splits
from hakuna.judgement.mesh_words import evidence_of
from hakuna.probes.reading import Table
from hakuna.where import Where

__all__ = ["Blame", "BlameKind", "Loss", "PairLoss", "blame", "chance", "losses"]

TOTAL = 100.0
#: More single pairs than this are no list of faults any more.
MANY_PAIRS = 64
#: How many evidence files one blame names.
SOURCES = 8
#: With partial loss, by chance a few pairs of a bad place lose nothing in a handful of packets.
TOLERANCE = 0.5
FEW_PAIRS = 2


class Loss(enum.Enum):
    """Whether all packets of the explained pairs are lost, or some."""

    TOTAL = "total"
    PARTIAL = "partial"


@dataclass(frozen=True)
class PairLoss:
    """What one ping lost. ``percent`` None: no figure; then ``error`` says why, and counts as total loss.

    Without figure and error the pair is not known, and neither blamed nor held against an explanation.
    """

    percent: float | None
    error: str = ""
    source: str = ""


@dataclass(frozen=True)
class Blame:
    """One explanation. ``explained`` counts the lost pairs that it covers; ``percent`` is their mean loss.

    ``where`` is a node, a device, a directed pair of nodes or devices, or the cluster (a split).
    """

    kind: BlameKind
    where: Where
    loss: Loss
    explained: int
    evidence: str
    percent: float = TOTAL
    sources: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The figure, for a table: ``100 % loss on 16 pairs``."""
        mean = "" if self.loss is Loss.TOTAL or self.explained == 1 else "on average "
        return f"{mean}{self.percent:.4g} % loss on {self.explained:,} pair{'s' if self.explained > 1 else ''}"


class PingCounts(Protocol):
    """What is needed of a ping's fact: packets, and the tool's word where it could not ping at all."""

    @property
    def sent(self) -> int: ...

    @property
    def received(self) -> int: ...

    @property
    def error(self) -> str: ...


def losses(pings: Table[PingCounts], *, total: bool, limit: float = 0.0) -> dict[Pair, PairLoss]:
    """The loss matrix of a table of pings.

    With ``total``, only pairs that lost every packet count as lost. Without, those that lost more than ``limit``
    per cent but not all; those that lost all are then left out. Pings that could not be read are left out (and the
    running check hears of them).
    """
    matrix: dict[Pair, PairLoss] = {}
    for where, ping in pings:
        percent = TOTAL * (ping.sent - ping.received) / ping.sent if ping.sent > 0 else None
        gone = percent is None or percent >= TOTAL
        if gone and not total:
            continue
        small = not gone and (total or (percent or 0.0) <= limit)
        error = (ping.error or "nothing was sent") if percent is None else ping.error
        figure, words = (0.0, "") if small else (percent, error)
        matrix[where.source, where.target] = PairLoss(figure, words, pings.readings[where].source)
    return matrix


def blame(matrix: Mapping[Pair, PairLoss], layout: Layout) -> tuple[Blame, ...]:
    """The smallest explanation found for all lost pairs; empty when nothing is lost. The widest comes first.

    With layout rail, pairs of different device ids are not expected to work, and are ignored. Total loss is explained
    first, by itself; partial loss then, among the pairs that answered at all.
    """
    known = {
        pair: loss
        for pair, loss in matrix.items()
        if (loss.percent is not None or loss.error) and (layout is Layout.SWITCHED or pair[0].device == pair[1].device)
    }
    gone = {pair for pair, loss in known.items() if _percent(loss) >= TOTAL}
    some = {pair for pair, loss in known.items() if 0.0 < _percent(loss) < TOTAL}
    found = _explain(known, gone, Loss.TOTAL) if gone else []
    if some:
        found += _explain({p: v for p, v in known.items() if p not in gone}, some, Loss.PARTIAL)
    return tuple(sorted(found, key=lambda b: (b.loss is not Loss.TOTAL, -b.explained, b.where)))


def _percent(loss: PairLoss) -> float:
    return TOTAL if loss.percent is None else loss.percent


def _explain(known: Mapping[Pair, PairLoss], lost: set[Pair], loss: Loss) -> list[Blame]:
    measured = _measured(known, lost)
    touching = _touching(lost)
    exact = [p for p, pairs in touching.items() if len(pairs) == measured[p]]
    options = candidates({p: touching[p] for p in exact})
    options.update(splits(known, lost))
    chosen = _cover(options, lost)
    if loss is Loss.PARTIAL and sum(p.kind is BlameKind.PAIR for p in chosen) > FEW_PAIRS:
        # Chance left holes: allow places of which most pairs lose packets, if that explains it in fewer words.
        mostly = [p for p, pairs in touching.items() if len(pairs) > TOLERANCE * measured[p]]
        wider = candidates({p: touching[p] for p in mostly})
        rough = _cover(wider, lost)
        if len(rough) < len(chosen):
            options, chosen = wider, rough
    return _blames(chosen, options, known, measured, loss)


def _measured(known: Mapping[Pair, PairLoss], lost: set[Pair]) -> Counter[Place]:
    """How many measured pairs each place has, for those places that a lost pair touches."""
    suspects = {place for pair in lost for place in places_of(pair)}
    return Counter(place for pair in known for place in places_of(pair) if place in suspects)


def _touching(lost: Iterable[Pair]) -> dict[Place, set[Pair]]:
    touching: dict[Place, set[Pair]] = {}
    for pair in lost:
        for place in places_of(pair):
            touching.setdefault(place, set()).add(pair)
    return touching


def _cover(options: Mapping[Place, set[Pair]], lost: set[Pair]) -> list[Place]:
    """Greedy set cover: most pairs first, on a tie the wider place; then without what the others explain."""
    left = set(lost)
    queue = [(-len(pairs), place.rank, place) for place, pairs in options.items()]
    heapq.heapify(queue)
    chosen: list[Place] = []
    while left and queue:
        size, rank, place = heapq.heappop(queue)
        gain = len(options[place] & left)
        if gain == 0:
            continue
        if gain < -size:  # it was worth more when it was queued: ask again in its new turn
            heapq.heappush(queue, (-gain, rank, place))
            continue
        chosen.append(place)
        left -= options[place]
    counts = Counter(pair for place in chosen for pair in options[place])
    for place in sorted(chosen, key=lambda p: len(options[p])):
        if all(counts[pair] > 1 for pair in options[place]):
            chosen.remove(place)
            counts.subtract(options[place])
    return chosen


def _blames(
    chosen: Sequence[Place],
    options: Mapping[Place, set[Pair]],
    known: Mapping[Pair, PairLoss],
    measured: Mapping[Place, int],
    loss: Loss,
) -> list[Blame]:
    pairs = [p for p in chosen if p.kind is BlameKind.PAIR]
    out = [
        _blame(place, options[place], known, loss, measured.get(place, len(options[place])), alone=len(chosen) == 1)
        for place in chosen
        if len(pairs) <= MANY_PAIRS or place.kind is not BlameKind.PAIR
    ]
    if len(pairs) > MANY_PAIRS:
        everything = {pair for place in pairs for pair in options[place]}
        place = Place(BlameKind.PAIR, Where.cluster())
        scattered = _blame(place, everything, known, loss, len(known), alone=False)
        out.append(
            replace(scattered, evidence=f"{len(everything):,} of {len(known):,} pairs, with no common cause seen")
        )
    return out


def _blame(
    place: Place, pairs: set[Pair], known: Mapping[Pair, PairLoss], loss: Loss, measured: int, *, alone: bool
) -> Blame:
    figures = [_percent(known[pair]) for pair in pairs]
    only_two = len({end.node for pair in known for end in pair}) == len(("one", "other"))
    errors = sorted({known[pair].error for pair in pairs} - {""})
    sources = sorted({known[pair].source for pair in pairs} - {""})
    return Blame(
        kind=place.kind,
        where=place.where,
        loss=loss,
        explained=len(pairs),
        evidence=evidence_of(place, pairs, measured, errors, only_two=only_two, alone=alone),
        percent=sum(figures) / len(figures),
        sources=tuple(sources[:SOURCES]),
    )


def chance(pings: Table[PingCounts], layout: Layout, limit: float = 0.0) -> frozenset[Pair]:
    """Pairs that lost everything only because a device at one end loses a part of everything.

    A ping is a handful of packets: of a port that loses 30 %, some pairs lose all three. They count as chance while
    they are fewer than half of that port's pairs.
    """
    partial = blame(losses(pings, total=False, limit=limit), layout)
    ports = {b.where for b in partial if b.where.device >= 0 and not b.where.is_pair}
    gone = {pair for pair, loss in losses(pings, total=True).items() if _percent(loss) >= TOTAL}
    found: set[Pair] = set()
    for port in ports:
        own = [where for where in pings.readings if port in (where.source, where.target)]
        lost = {pair for pair in gone if port in pair}
        if len(lost) < TOLERANCE * len(own):
            found |= lost
    return frozenset(found)
