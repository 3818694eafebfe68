# SPDX-License-Identifier: Apache-2.0
"""Where the fault is when pings are lost: the smallest explanation of a loss matrix.

One dead device of 2 x 8 loses 16 of 128 pairs; reporting 16 pairs would hide that one cable is to be looked at.
Lost pairs are explained by the fewest places all of whose measured pairs are lost (:mod:`mesh_cover`), pairs that lose
some of their packets by the places whose loss makes the counts likely (:mod:`mesh_lossy`). Where another explanation is
as good, the blame names it, and the ping that would decide.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from hakuna.inventory.model import Layout
from hakuna.judgement import mesh_cover, mesh_lossy, mesh_words
from hakuna.judgement.mesh_matrix import TOTAL, LossMatrix, PingCounts, matrix_of, matrix_of_mesh, ones
from hakuna.judgement.mesh_places import BlameKind, Pair, Place
from hakuna.judgement.mesh_probe import next_probe
from hakuna.judgement.mesh_split import Sides, everything_lost, shared_addresses, static_places, wide_places
from hakuna.where import Where

__all__ = [
    "Blame",
    "BlameKind",
    "Localisation",
    "Loss",
    "PingCounts",
    "Sides",
    "localise",
    "matrix_of",
    "matrix_of_mesh",
]

#: More single pairs than this are no list of faults any more.
MANY_PAIRS = 64
#: More pairs that lose some packets than this are told together: no place is looked for.
MANY_LOSSY = 200_000
#: How many evidence files one blame names.
SOURCES = 8
#: A place of fewer lost pairs than this may have lost them all by chance, where packets are lost by halves.
SMALL = 64


class Loss(enum.Enum):
    """Whether all packets of the explained pairs are lost, or some."""

    TOTAL = "total"
    PARTIAL = "partial"


@dataclass(frozen=True)
class Blame:
    """One explanation. ``explained`` counts the lost pairs that it covers; ``percent`` is their mean loss.

    ``where`` is a node, a device, a directed pair of nodes or devices, or the cluster (a split, a switch). ``others``
    would explain as much in its stead, and ``probe`` is the ping that tells them apart, if there is one.
    """

    kind: BlameKind
    where: Where
    loss: Loss
    explained: int
    evidence: str
    percent: float = TOTAL
    sources: tuple[str, ...] = ()
    place: Place | None = None
    others: tuple[Place, ...] = ()
    probe: Pair | None = None

    @property
    def words(self) -> str:
        """The figure, for a table: ``100 % loss on 16 pairs``."""
        mean = "" if self.loss is Loss.TOTAL or self.explained == 1 else "on average "
        return f"{mean}{self.percent:.4g} % loss on {self.explained:,} pair{'s' if self.explained > 1 else ''}"


@dataclass(frozen=True)
class Localisation:
    """All blames: total loss first, then the widest first.

    ``chance`` are the pairs that lost all of their few packets at a place that loses a part of everything.
    """

    blames: tuple[Blame, ...] = ()
    chance: frozenset[Pair] = frozenset()

    def of(self, loss: Loss) -> tuple[Blame, ...]:
        return tuple(b for b in self.blames if b.loss is loss)


def localise(matrix: LossMatrix, sides: Sides | None = None, layout: Layout = Layout.SWITCHED) -> Localisation:
    """The smallest explanation found for all lost pairs; empty when nothing is lost."""
    if not any(matrix.gone) and not any(matrix.some):
        return Localisation()
    return _Localiser(matrix, sides or Sides(), layout).result()


class _Localiser:
    def __init__(self, matrix: LossMatrix, sides: Sides, layout: Layout) -> None:
        self.sides, self.layout, self.grid = sides, layout, matrix.grid
        self.shared = shared_addresses(sides)
        self.whole = matrix
        doubtful = self.grid.bits(d for _, holders in self.shared for d in holders)
        #: Which of the devices with one address answers is chance: their pairs are held against nobody.
        self.matrix = matrix.without(self._rows_touching(doubtful)) if doubtful else matrix

    def _rows_touching(self, span: int) -> list[int]:
        return [self.grid.everything if span >> s & 1 else span for s in range(len(self.grid.devices))]

    def result(self) -> Localisation:
        chance: set[tuple[int, int]] = set()
        lossy = mesh_lossy.Fit([], [], 0.0)
        found = self._cover(self.matrix)
        partial = sum(row.bit_count() for row in self.matrix.some)
        if 0 < partial <= MANY_LOSSY:
            found, lossy, chance = self._with_lossy(found)
        blames = [self._blame(p, Loss.TOTAL, found) for p in self._few(found.places)]
        blames += self._scattered([p for p in found.places if p.kind is BlameKind.PAIR], Loss.TOTAL, self.matrix.gone)
        blames += [self._lossy(x) for x in lossy.found]
        blames += self._single(lossy.single, partial)
        blames += list(self._shared(found.places))
        order = sorted(blames, key=lambda b: (b.loss is not Loss.TOTAL, -b.explained, b.where))
        devices = self.grid.devices
        return Localisation(tuple(order), frozenset((devices[s], devices[t]) for s, t in chance))

    # -- finding the places ------------------------------------------------------------------------------------------

    def _cover(self, matrix: LossMatrix) -> mesh_cover.Cover:
        if not any(matrix.gone):
            return mesh_cover.Cover([])
        groups = wide_places(matrix, self.sides, matrix.gone)
        if everything_lost(matrix, matrix.gone):
            *others, whole = groups
            lost = mesh_cover.coverage(whole, matrix.gone)
            others = [p for p in others if mesh_cover.coverage(p, matrix.gone) == lost]
            return mesh_cover.Cover([whole], {whole: others})
        return mesh_cover.cover(matrix, groups)

    def _with_lossy(self, found: mesh_cover.Cover) -> tuple[mesh_cover.Cover, mesh_lossy.Fit, set[tuple[int, int]]]:
        """The same, with pairs by chance told from dead ones by the places that lose a part of everything."""
        wide = [p for p in found.places if p.kind is not BlameKind.PAIR]
        fit = self._fit(wide)
        weigher = mesh_lossy.Weigher(self.matrix)
        for place in list(wide):
            if fit.found and mesh_cover.coverage(place, self.matrix.gone) <= SMALL:
                others = [p for p in wide if p != place]
                without = self._fit(others)
                if without.cost < fit.cost + weigher.named(place):
                    wide, fit = others, without
        covered = self._rows(wide)
        gone = ((s, t) for s, row in enumerate(self.matrix.gone) for t in ones(row & ~covered[s]))
        chance = {pair for pair in gone if mesh_lossy.by_chance(self.matrix, fit.found, pair)}
        if chance:
            rows = [0] * len(self.grid.devices)
            for s, t in chance:
                rows[s] |= 1 << t
            found = self._cover(self.matrix.without(rows))
        fit.single = [(s, t) for s, t in fit.single if self.matrix.some[s] >> t & 1]
        return found, fit, chance

    def _fit(self, wide: Iterable[Place]) -> mesh_lossy.Fit:
        rest = self.matrix.without(self._rows(wide))
        groups = [*static_places(self.grid, self.sides)]
        lost = [x | g for x, g in zip(rest.some, rest.gone, strict=True)]
        groups += [p for p in wide_places(rest, Sides(), lost) if p not in groups]
        return mesh_lossy.fit(rest, groups)

    def _rows(self, places: Iterable[Place]) -> list[int]:
        rows = [0] * len(self.grid.devices)
        for place in places:
            for sources, columns in place.rectangles:
                for s in ones(sources):
                    rows[s] |= columns
        return rows

    # -- telling of them ---------------------------------------------------------------------------------------------

    def _few(self, found: Sequence[Place]) -> list[Place]:
        pairs = sum(p.kind is BlameKind.PAIR for p in found)
        return [p for p in found if pairs <= MANY_PAIRS or p.kind is not BlameKind.PAIR]

    def _blame(self, place: Place, loss: Loss, found: mesh_cover.Cover) -> Blame:
        pairs = [(s, t) for s, row in self._lost_rows(place, self.matrix.gone) for t in ones(row)]
        others = found.others.get(place, [])
        probe = next_probe(self.whole, place, others, found.places, self.layout) if others else None
        text = mesh_words.evidence_of(place, len(pairs), len(pairs), alone=len(found.places) == 1)
        text += mesh_words.doubt(place, others, probe, self.sides.addresses)
        if not found.proven:
            text += "; so many faults that a smaller explanation may exist"
        return self._made(place, loss, pairs, text, others, probe)

    def _lossy(self, lossy: mesh_lossy.Lossy) -> Blame:
        place = lossy.place
        pairs = [(s, t) for s, row in self._lost_rows(place, self.matrix.some) for t in ones(row)]
        measured = sum(row.bit_count() for _, row in self._lost_rows(place, self.matrix.known))
        text = mesh_words.evidence_of(place, len(pairs), measured, alone=False)
        text += f"; it loses about {TOTAL * lossy.rate:.0f} % of what it is sent"
        probe = next(iter(pairs), None)
        ends = (self.grid.devices[probe[0]], self.grid.devices[probe[1]]) if probe and lossy.others else None
        text += mesh_words.doubt(place, lossy.others, ends, self.sides.addresses, packets=100)
        return self._made(place, Loss.PARTIAL, pairs, text, lossy.others, ends)

    def _single(self, single: Sequence[tuple[int, int]], partial: int) -> list[Blame]:
        """Pairs that lose some packets, and no place with them; both ways are one."""
        if partial > MANY_LOSSY:
            return [self._together(Loss.PARTIAL, self.matrix.some)]
        places = mesh_cover.pairs_of(self.grid, single)
        if len(places) > MANY_PAIRS:
            return self._scattered(places, Loss.PARTIAL, self.matrix.some)
        blames = []
        for place in places:
            pairs = [(s, t) for s, row in self._lost_rows(place, self.matrix.some) for t in ones(row)]
            text = mesh_words.evidence_of(place, len(pairs), len(pairs), alone=False)
            blames.append(self._made(place, Loss.PARTIAL, pairs, text))
        return blames

    def _scattered(self, places: Collection[Place], loss: Loss, rows: Sequence[int]) -> list[Blame]:
        if len(places) <= MANY_PAIRS:
            return []
        wanted = self._rows(places)
        return [self._together(loss, [row & own for row, own in zip(rows, wanted, strict=True)])]

    def _together(self, loss: Loss, rows: Sequence[int]) -> Blame:
        pairs = [(s, t) for s, row in enumerate(rows) for t in ones(row)]
        known = sum(row.bit_count() for row in self.matrix.known)
        text = f"{len(pairs):,} of {known:,} pairs, with no common cause seen"
        return self._made(Place(BlameKind.PAIR, Where.cluster()), loss, pairs, text)

    def _shared(self, found: Sequence[Place]) -> Iterable[Blame]:
        """What devices with one address lose, where nothing else explains it: at the later ones, as NET202 does."""
        covered = self._rows(found)
        for ip, holders in self.shared:
            touched = self._rows_touching(self.grid.bits(holders))
            for loss, rows in ((Loss.TOTAL, self.whole.gone), (Loss.PARTIAL, self.whole.some)):
                pairs = [(s, t) for s, row in enumerate(rows) for t in ones(row & touched[s] & ~covered[s])]
                text = f"{len(pairs)} pairs lose packets where {len(holders)} devices have {ip}"
                for holder in holders[1:] if pairs else ():
                    place = Place(BlameKind.ADDRESS, holder, note=f"the address {ip} of {', '.join(map(str, holders))}")
                    yield self._made(place, loss, pairs, text)

    def _lost_rows(self, place: Place, rows: Sequence[int]) -> Iterable[tuple[int, int]]:
        for sources, columns in place.rectangles:
            for s in ones(sources):
                if rows[s] & columns:
                    yield s, rows[s] & columns

    def _made(
        self,
        place: Place,
        loss: Loss,
        pairs: Sequence[tuple[int, int]],
        text: str,
        others: Iterable[Place] = (),
        probe: Pair | None = None,
    ) -> Blame:
        counts = [c for pair in pairs if (c := self.whole.counts.get(pair)) is not None]
        errors = sorted({c.error for c in counts} - {""})
        sources = sorted({c.source for c in counts} - {""})
        percent = sum(c.percent for c in counts) / len(counts) if counts else TOTAL
        if errors:
            text += f"; hccn_tool: {'; '.join(errors[:2])}"
        return Blame(
            kind=place.kind,
            where=place.where,
            loss=loss,
            explained=len(pairs),
            evidence=text,
            percent=TOTAL if loss is Loss.TOTAL else percent,
            sources=tuple(sources[:SOURCES]),
            place=place,
            others=tuple(others),
            probe=probe,
        )
