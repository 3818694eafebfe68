# SPDX-License-Identifier: Apache-2.0
"""The fewest places that explain all lost pairs, and nothing that works.

Lost pairs that the same places could explain are one cell; the cells are found row by row with sets of bits, never pair
by pair. A cell that one place alone could explain decides for it. What is left is searched through, all of it up to a
number of steps that one or two faults never come near; beyond, the best cover found so far stands, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hakuna.judgement import mesh_places as places
from hakuna.judgement.mesh_matrix import Grid, LossMatrix, ones
from hakuna.judgement.mesh_places import BlameKind, Place
from hakuna.where import Where

#: Steps of the search after which the best cover found so far is taken.
STEPS = 20_000
#: More covers of the same size than this are not told apart.
COVERS = 32

Rows = dict[int, int]


@dataclass
class Cover:
    """The places; for each the others that would explain as much in its stead; whether nothing smaller can exist."""

    places: list[Place]
    others: dict[Place, list[Place]] = field(default_factory=dict)
    proven: bool = True


class Options:
    """Which places are possible: all of their measured pairs are lost."""

    def __init__(self, matrix: LossMatrix, groups: Iterable[Place]) -> None:
        self.matrix, self.grid = matrix, matrix.grid
        self.groups = list(groups)
        known, gone = matrix.known, matrix.gone
        self.work = [k & ~g for k, g in zip(known, gone, strict=True)]
        asked = reached = once = twice = 0
        for row, lost in zip(known, gone, strict=True):
            asked |= row
            twice |= once & lost
            once |= lost
        for row in self.work:
            reached |= row
        self.rows = sum(1 << s for s, row in enumerate(known) if row and not self.work[s])
        self.columns = asked & ~reached
        self._twice = twice
        self._silent = sum(1 << s for s, row in enumerate(known) if not row)  # they sent nothing
        self._unasked = self.grid.everything & ~asked
        nodes = range(len(self.grid.nodes))
        self._lost_by = [self._together(gone, n) for n in nodes]
        self._works_by = [self._together(self.work, n) for n in nodes]
        self.out_nodes = {n for n in nodes if self._all(n, self.rows, self._silent)}
        self.in_nodes = {n for n in nodes if self._all(n, self.columns, self._unasked)}

    def _together(self, rows: Sequence[int], n: int) -> int:
        out = 0
        for s in ones(self.grid.node_bits[n]):
            out |= rows[s]
        return out

    def _all(self, n: int, full: int, silent: int) -> bool:
        own = self.grid.node_bits[n]
        return bool(own & full) and not own & ~(full | silent)

    def pair_valid(self, n: int, m: int) -> bool:
        """Whether nothing that node ``n`` sent to node ``m`` came back, and something was sent."""
        target = self.grid.node_bits[m]
        return not self._works_by[n] & target and bool(self._lost_by[n] & target)

    def of(self, s: int, t: int) -> Iterator[Place]:
        """Every possible place that a lost pair belongs to."""
        grid, n, m = self.grid, self.grid.node_of[s], self.grid.node_of[t]
        yield from (g for g in self.groups if g.covers(s, t))
        yield from self._both_ways(s, t)
        if self.rows >> s & 1:
            yield places.out_of(grid, grid.devices[s], 1 << s)
        if self.columns >> t & 1:
            yield places.into(grid, grid.devices[t], 1 << t)
        if n in self.out_nodes:
            yield places.out_of(grid, Where(grid.nodes[n]), grid.node_bits[n])
        if m in self.in_nodes:
            yield places.into(grid, Where(grid.nodes[m]), grid.node_bits[m])
        if self.pair_valid(n, m):
            yield places.node_pair(grid, n, m, both=False)
        yield places.pair(grid, s, t, both=False)

    def _both_ways(self, s: int, t: int) -> Iterator[Place]:
        """Devices, nodes and pairs of which nothing works in either direction."""
        grid, n, m = self.grid, self.grid.node_of[s], self.grid.node_of[t]
        for d in (s, t):
            if (self.rows | self._silent) >> d & 1 and (self.columns | self._unasked) >> d & 1:
                yield places.device(grid, d)
        for own in {n, m}:
            span = grid.node_bits[own]
            if not span & ~(self.rows | self._silent) and not span & ~(self.columns | self._unasked):
                yield places.node(grid, own)
        if self.pair_valid(n, m) and not self._works_by[m] & grid.node_bits[n]:
            yield places.node_pair(grid, n, m, both=True)
        if not self.work[t] >> s & 1:
            yield places.pair(grid, s, t, both=True)

    # -- those that point at one thing: not merely another name for a pair -------------------------------------------

    def sources(self) -> dict[int, list[Place]]:
        """For each device of which nothing came back, the widest places that explain it."""
        return self._ends(self.rows, self.out_nodes, outward=True)

    def targets(self) -> dict[int, list[Place]]:
        """For each device that nothing reached, likewise."""
        return self._ends(self.columns, self.in_nodes, outward=False)

    def _ends(self, full: int, nodes: set[int], *, outward: bool) -> dict[int, list[Place]]:
        grid = self.grid
        found: dict[int, list[Place]] = {}
        make = places.out_of if outward else places.into
        for d in ones(full):
            options = [g for g in self.groups if g.span >> d & 1]
            n = grid.node_of[d]
            whole = n in self.out_nodes and n in self.in_nodes and self._node_points(n)
            if whole:
                options.append(places.node(grid, n))
            elif self.rows >> d & 1 and self.columns >> d & 1 and self._points(d):
                options.append(places.device(grid, d))
            options = [p for p in options if not any(_within(p, q) for q in options)]
            if not whole and n in nodes and self._node_points(n, outward=outward):
                if not any(g.span & grid.node_bits[n] == grid.node_bits[n] for g in options):
                    options.append(make(grid, Where(grid.nodes[n]), grid.node_bits[n]))
            elif not options and (self.matrix.gone[d].bit_count() > 1 if outward else self._twice >> d & 1):
                options.append(make(grid, grid.devices[d], 1 << d))
            found[d] = options
        return found

    def _points(self, d: int) -> bool:
        """Whether a device lost more than one peer."""
        if self.matrix.gone[d].bit_count() > 1 or self._twice >> d & 1:
            return True
        return bool(sum(1 << s for s, row in enumerate(self.matrix.gone) if row >> d & 1) & ~self.matrix.gone[d])

    def _node_points(self, n: int, *, outward: bool | None = None) -> bool:
        """Whether a node lost more than one other node, with more than one of its own devices."""
        own = self.grid.node_bits[n]
        peers, mine = set(), 0
        if outward is not False:
            peers |= set(self.grid.nodes_in(self._lost_by[n]))
            mine |= sum(1 << s for s in ones(own) if self.matrix.gone[s])
        if outward is not True:
            for m, lost in enumerate(self._lost_by):
                if lost & own:
                    peers.add(m)
                    mine |= lost & own
        return len(peers) > 1 and mine.bit_count() > 1

    def node_pairs(
        self, sources: dict[int, list[Place]], targets: dict[int, list[Place]]
    ) -> dict[int, dict[int, Place]]:
        """The pairs of nodes (from, to) that no wider place explains."""
        grid = self.grid
        found: dict[int, dict[int, Place]] = {}
        wide = [0] * 2
        for side, ends in enumerate((sources, targets)):
            for n, own in enumerate(grid.node_bits):
                first = ends.get((own & -own).bit_length() - 1, [])
                if any(_spans_node(p, own) for p in first):
                    wide[side] |= 1 << n
        for n, lost in enumerate(self._lost_by):
            if not lost or wide[0] >> n & 1:
                continue
            for m in grid.nodes_in(lost):
                if wide[1] >> m & 1 or not self.pair_valid(n, m):
                    continue
                back = self.pair_valid(m, n)
                if self._pair_count(n, m) > 1 or (back and self._pair_count(m, n) > 1):
                    found.setdefault(n, {})[m] = places.node_pair(grid, n, m, both=back)
        return found

    def _pair_count(self, n: int, m: int) -> int:
        target = self.grid.node_bits[m]
        return sum((self.matrix.gone[s] & target).bit_count() for s in ones(self.grid.node_bits[n]))


def _within(p: Place, q: Place) -> bool:
    """Whether ``q`` makes ``p`` needless: it is wider, or as wide and named first."""
    return p is not q and p.span & ~q.span == 0 and (p.span != q.span or q < p)


def _spans_node(p: Place, own: int) -> bool:
    if p.kind in (BlameKind.DIRECTION_OUT, BlameKind.DIRECTION_IN):
        return p.where.device < 0
    return own & ~p.span == 0 and own.bit_count() > 1


Key = tuple[Place, ...]


def cells_of(options: Options) -> dict[Key, Rows]:
    """The lost pairs by the widest places that could explain them."""
    sources, targets = options.sources(), options.targets()
    between = options.node_pairs(sources, targets)
    by_target: dict[Key, int] = {}
    for t, found in targets.items():
        by_target[tuple(found)] = by_target.get(tuple(found), 0) | 1 << t
    by_target[()] = options.grid.everything & ~sum(1 << t for t, found in targets.items() if found)
    flat = [g for g in options.groups if not g.span]
    cells: dict[Key, Rows] = {}
    for s, lost in enumerate(options.matrix.gone):
        if not lost:
            continue
        pieces: list[tuple[Key, int]] = [(tuple(sources.get(s, ())), lost)]
        for group in flat:
            pieces = list(_cut(pieces, group, group.targets(s)))
        for m, place in between.get(options.grid.node_of[s], {}).items():
            pieces = list(_cut(pieces, place, options.grid.node_bits[m]))
        for key, bits in pieces:
            for more, columns in by_target.items():
                if bits & columns:
                    row = cells.setdefault(tuple(sorted({*key, *more})), {})
                    row[s] = row.get(s, 0) | bits & columns
    return cells


def _cut(pieces: Iterable[tuple[Key, int]], place: Place, columns: int) -> Iterator[tuple[Key, int]]:
    for key, bits in pieces:
        if bits & columns:
            yield (*key, place), bits & columns
        if bits & ~columns:
            yield key, bits & ~columns


def cover(matrix: LossMatrix, groups: Iterable[Place] = ()) -> Cover:
    """The fewest places; single pairs for what no place explains. ``groups`` are the possible wider places."""
    options = Options(matrix, groups)
    cells = _without_told(cells_of(options))
    # A pair that loses both ways may stand for two places: only cells of many pairs decide by themselves.
    forced = {key[0] for key, rows in cells.items() if len(key) == 1 and _undirected(rows) is None}
    left = {key: rows for key, rows in cells.items() if key and not forced.intersection(key)}
    search = _Search(left)
    search.run()
    chosen_by_size = [[*sorted(forced), *found] for found in search.found]
    best = max(chosen_by_size, key=lambda found: _preference(found, matrix))
    left_over = ((s, t) for s, row in enumerate(_uncovered(matrix, best)) for t in ones(row))
    paid = pairs_of(options.grid, left_over)
    result = Cover([*best, *paid], proven=search.proven)
    _name_others(result, options, [f for f in chosen_by_size if f != best])
    return result


def _without_told(cells: dict[Key, Rows]) -> dict[Key, Rows]:
    """The cells without the ways back of pairs that only themselves explain: those cost nothing more."""
    told = cells.get((), {})
    back: Rows = {}
    for s, bits in told.items():
        for t in ones(bits):
            back[t] = back.get(t, 0) | 1 << s
    found = {}
    for key, rows in cells.items():
        own = {s: left for s, bits in rows.items() if (left := bits & ~back.get(s, 0))} if key else rows
        if own:
            found[key] = own
    return found


class _Search:
    """All smallest choices of places, and pairs, for the cells that no single place decides."""

    def __init__(self, cells: dict[Key, Rows]) -> None:
        self.cells = [(key, _undirected(rows)) for key, rows in cells.items()]
        self.best = len(self.cells) + sum(len(p) for _, p in self.cells if p is not None) + 1
        self.found: list[list[Place]] = [[]]
        self.steps = 0
        self.proven = True

    def run(self) -> None:
        if self.cells:
            self.found = []
            self._try(self.cells, [], frozenset())

    def _try(
        self,
        cells: list[tuple[Key, frozenset[tuple[int, int]] | None]],
        chosen: list[Place],
        paid: frozenset[tuple[int, int]],
    ) -> None:
        self.steps += 1
        cost = len(chosen) + len(paid)
        if not cells:
            if cost < self.best:
                self.best, self.found = cost, []
            if len(self.found) < COVERS and sorted(chosen) not in self.found:
                self.found.append(sorted(chosen))
            return
        if cost + 1 > self.best or (self.steps > STEPS and self.found):
            self.proven = self.proven and self.steps <= STEPS
            return
        weight = {p: sum(p in key for key, _ in cells) for key, _ in cells for p in key}
        key, pairs = min(cells, key=lambda cell: (len(cell[0]), -sum(weight[p] for p in cell[0])))
        for place in sorted(key, key=lambda p: (-weight[p], p)):
            self._try([c for c in cells if place not in c[0]], [*chosen, place], paid)
        if pairs is not None and cost + len(pairs - paid) <= self.best:
            self._try([c for c in cells if c[1] is None or not c[1] <= paid | pairs], chosen, paid | pairs)


#: Cells of more pairs than this are never explained pair by pair.
FEW = 6


def _undirected(rows: Rows) -> frozenset[tuple[int, int]] | None:
    """The pairs of a cell, whichever way; None when they are many."""
    found: set[tuple[int, int]] = set()
    for s, bits in rows.items():
        for t in ones(bits):
            found.add((min(s, t), max(s, t)))
            if len(found) > FEW:
                return None
    return frozenset(found)


def coverage(place: Place, rows: Sequence[int]) -> int:
    """How many of the pairs in ``rows`` a place explains."""
    return sum((rows[s] & columns).bit_count() for sources, columns in place.rectangles for s in ones(sources))


def _preference(found: Sequence[Place], matrix: LossMatrix) -> tuple[list[int], list[int]]:
    """Of covers of one size, the one whose widest place explains most; then the kind that is named first."""
    return sorted((coverage(p, matrix.gone) for p in found), reverse=True), sorted(-p.rank for p in found)


def _uncovered(matrix: LossMatrix, chosen: Iterable[Place]) -> list[int]:
    left = list(matrix.gone)
    for place in chosen:
        for rows, columns in place.rectangles:
            for s in ones(rows):
                left[s] &= ~columns
    return left


def pairs_of(grid: Grid, found: Iterable[tuple[int, int]]) -> list[Place]:
    """Single pairs as places; both ways are one."""
    every = dict.fromkeys(found)
    return list(dict.fromkeys(places.pair(grid, s, t, both=(t, s) in every) for s, t in every))


#: With more places than this, what else could explain each is not looked for.
MANY = 64


def _name_others(result: Cover, options: Options, covers: Sequence[Sequence[Place]]) -> None:
    if len(result.places) > MANY:
        return
    gone = options.matrix.gone
    once, twice = [0] * len(gone), [0] * len(gone)
    for place in result.places:
        for rows, columns in place.rectangles:
            for s in ones(rows):
                twice[s] |= once[s] & columns
                once[s] |= columns
    for place in result.places:
        own = {
            s: bits
            for rows, _ in place.rectangles
            for s in ones(rows)
            if (bits := gone[s] & place.targets(s) & ~twice[s])
        }
        if not own:
            continue
        s, bits = next(iter(own.items()))
        found = {q for q in options.of(s, (bits & -bits).bit_length() - 1) if q != place and _has(q, own)}
        chosen = set(result.places)
        for other in covers:
            if place not in other:
                found |= {q for q in other if q not in chosen}
        result.others[place] = sorted(found - chosen)


def _has(place: Place, own: Rows) -> bool:
    return all(not bits & ~place.targets(s) for s, bits in own.items())
