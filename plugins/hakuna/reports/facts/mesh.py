# SPDX-License-Identifier: Apache-2.0
"""The ping mesh as a map: one cell per directed pair, put together by nodes where there are too many."""

from __future__ import annotations

import statistics
from array import array
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hakuna.probes.mesh import Lane, PingMesh
from hakuna.where import ByPlace, Where

#: Up to so many nodes every pair of devices has a cell of its own; beyond, every pair of nodes.
DEVICE_NODES = 16
#: So many of the worst pairs are listed one by one.
LISTED = 24
#: The median round trip is taken from about so many pairs, spread over all.
TIMED = 200_000
#: No map has more rows than this: nodes that stand together in the inventory share one.
SQUARES = 128


@dataclass(frozen=True)
class Pair:
    """One directed pair. ``loss`` in per cent and ``ms`` (the median round trip) are None where nothing was read."""

    source: Where
    target: Where
    loss: float | None = None
    ms: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Cell:
    """One square of the map: row and column, worst loss, median and slowest round trip of ``count`` pairs.

    ``why`` says why nothing was sent, where nothing was.
    """

    row: int
    column: int
    loss: float | None
    ms: float | None
    slowest: float | None
    count: int
    lossy: int
    unread: int
    why: str = ""


@dataclass(frozen=True)
class MeshMap:
    """The whole map. ``labels`` name rows and columns alike; ``worst`` are the pairs to look at first."""

    labels: tuple[str, ...] = ()
    by_node: bool = False
    nodes: tuple[tuple[str, int], ...] = ()
    cells: tuple[Cell, ...] = ()
    worst: tuple[Pair, ...] = ()
    worst_count: int = 0
    pairs: int = 0
    lossy: int = 0
    unread: int = 0
    median_ms: float | None = None
    slowest: Pair | None = None


def mesh_map(
    mesh: PingMesh,
    nodes: Iterable[tuple[str, tuple[int, ...]]],
    *,
    loss_limit: float = 0.0,
    ms_limit: float = 5.0,
) -> MeshMap:
    """Put a mesh into the squares of a map of ``nodes`` (name and device ids). Limits say which pairs are bad."""
    named = list(nodes)
    total = len(mesh)
    unread = sum(lane.whole is not None for _, lane in mesh.all_lanes())
    if not total and not unread:
        return MeshMap()
    by_node = len(named) > DEVICE_NODES
    step = -(-len(named) // SQUARES) if by_node else 1
    labels, index = _rows(named, step, by_node=by_node)
    column_of = ByPlace(index)
    rows: dict[int, dict[int, _Square]] = {}
    bad: list[Pair] = []
    slowest: Pair | None = None
    times = array("f")
    every = 1 + total // TIMED
    for source, lane in mesh.all_lanes():
        row = rows.setdefault(index[source], defaultdict(_Square))
        columns = column_of.all_of(lane.targets)
        if not lane.odd and lane.slowest <= ms_limit and min(lane.ms, default=-1.0) >= 0:
            for column, ms in zip(columns, lane.ms, strict=False):
                row[column].times.append(ms)
        else:
            odd = _odd_pairs(source, lane, columns, row, loss_limit, ms_limit)
            bad += [pair for pair in odd if _is_bad(pair, loss_limit, ms_limit)]
        times += array("f", (ms for ms in lane.ms[::every] if ms >= 0)) if lane.odd else lane.ms[::every]
        if lane.count and lane.slowest > (slowest.ms or 0.0 if slowest else 0.0):
            slowest = _pair(source, lane, max(range(lane.count), key=lane.ms.__getitem__))
    bad.sort(key=_badness)
    counts = _counts(named, step, by_node=by_node)
    cells = [square.cell(r, c) for r, row in rows.items() for c, square in row.items()]
    if not by_node:
        cells += _not_sent(mesh, index, {(cell.row, cell.column) for cell in cells})
    return MeshMap(
        labels=labels,
        by_node=by_node,
        nodes=counts,
        cells=tuple(sorted(cells, key=lambda cell: (cell.row, cell.column))),
        worst=tuple(bad[:LISTED]),
        worst_count=len(bad),
        pairs=total,
        lossy=sum(p.loss is not None and p.loss > loss_limit for p in bad),
        unread=sum(p.loss is None for p in bad),
        median_ms=statistics.median(times) if times else None,
        slowest=slowest,
    )


def _odd_pairs(
    source: Where, lane: Lane, columns: Iterable[int], row: dict[int, _Square], loss_limit: float, ms_limit: float
) -> Iterator[Pair]:
    """Put a lane with something odd in it into its squares; the pairs that are not simply fine."""
    for i, column in zip(range(lane.count), columns, strict=False):
        ms = lane.ms[i]
        if 0 <= ms <= ms_limit and i not in lane.odd:
            row[column].times.append(ms)
            continue
        pair = _pair(source, lane, i)
        row[column].add(pair, loss_limit)
        yield pair


def _not_sent(mesh: PingMesh, index: Mapping[Where, int], sent: Container[tuple[int, int]]) -> Iterator[Cell]:
    """The squares of devices that could not be pinged: without them they would look like a mesh that left them out."""
    found: dict[tuple[int, int], str] = {}
    for device, reading in mesh.unprobed.items():
        for other, row in index.items():
            if other.node != device.node:
                found[index[device], row] = found[row, index[device]] = f"{device}: {reading.detail}"
    return (Cell(*at, None, None, None, 0, 0, 0, why) for at, why in found.items() if at not in sent)


def _rows(
    named: Sequence[tuple[str, tuple[int, ...]]], step: int, *, by_node: bool
) -> tuple[tuple[str, ...], dict[Where, int]]:
    """The map's labels, and the row of each device."""
    if not by_node:
        places = [Where.of_device(n, d) for n, ids in named for d in ids]
        return tuple(map(str, places)), {place: i for i, place in enumerate(places)}
    groups = [named[i : i + step] for i in range(0, len(named), step)]
    labels = tuple(g[0][0] if len(g) == 1 else f"{g[0][0]} … {g[-1][0]}" for g in groups)
    return labels, {Where.of_device(n, d): row for row, group in enumerate(groups) for n, ids in group for d in ids}


def _counts(named: Sequence[tuple[str, tuple[int, ...]]], step: int, *, by_node: bool) -> tuple[tuple[str, int], ...]:
    """The names along the map's edges, and how many squares each is wide."""
    return tuple((n, 1 if by_node else len(ids)) for n, ids in named[::step])


def _pair(source: Where, lane: Lane, i: int) -> Pair:
    target, reading = lane.targets[i], lane.odd.get(i)
    ms = lane.ms[i] if lane.ms[i] >= 0 else None
    if reading is None:
        return Pair(source, target, 0.0, ms)
    if reading.fact is None:
        return Pair(source, target, detail=f"{reading.state.value}: {reading.detail}")
    return Pair(source, target, reading.fact.loss_percent, ms, reading.fact.error)


class _Square:
    """What is put into one square while the mesh is gone through."""

    def __init__(self) -> None:
        self.times = array("f")
        self.loss = 0.0
        self.lossy = self.unread = self.untimed = 0

    def add(self, pair: Pair, loss_limit: float) -> None:
        """A pair that is not simply fine."""
        if pair.loss is None:
            self.unread += 1
            return
        self.loss = max(self.loss, pair.loss)
        self.lossy += pair.loss > loss_limit
        if pair.ms is None:
            self.untimed += 1
        else:
            self.times.append(pair.ms)

    def cell(self, row: int, column: int) -> Cell:
        read = len(self.times) + self.untimed
        return Cell(
            row,
            column,
            self.loss if read else None,
            statistics.median(self.times) if self.times else None,
            max(self.times) if self.times else None,
            read + self.unread,
            self.lossy,
            self.unread,
        )


def _is_bad(pair: Pair, loss_limit: float, ms_limit: float) -> bool:
    return pair.loss is None or pair.loss > loss_limit or (pair.ms is not None and pair.ms > ms_limit)


def _badness(pair: Pair) -> tuple[float, float, Where, Where]:
    return (-(100.5 if pair.loss is None else pair.loss), -(pair.ms or 0.0), pair.source, pair.target)
