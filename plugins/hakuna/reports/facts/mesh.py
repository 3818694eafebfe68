# SPDX-License-Identifier: Apache-2.0
"""The ping mesh as a map: one cell per directed pair, put together by nodes where there are too many."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hakuna.evidence import NodeAnswer
from hakuna.probes import hccn
from hakuna.probes.reading import Reading, ReadingState, read
from hakuna.where import Where

#: Up to so many nodes every pair of devices has a cell of its own; beyond, every pair of nodes.
DEVICE_NODES = 16
#: So many of the worst pairs are listed one by one.
LISTED = 24
_PING = re.compile(r"hccn\.ping/(\d+)/(.+)/(\d+)")


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
    """One square of the map: row and column, worst loss, median and slowest round trip of ``count`` pairs."""

    row: int
    column: int
    loss: float | None
    ms: float | None
    slowest: float | None
    count: int
    lossy: int
    unread: int


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


def pairs_of(answers: Mapping[str, NodeAnswer], again: Mapping[str, NodeAnswer] | None = None) -> list[Pair]:
    """Every pair that the mesh probed, through the probes' own parser; ``again`` is what was said when asked again."""
    first, second = _readings(answers), _readings(again or {})
    found = []
    for (source, target), reading in (first | second).items():
        if reading.state is not ReadingState.READ or reading.fact is None:
            found.append(Pair(source, target, detail=f"{reading.state.value}: {reading.detail}"))
        else:
            before = first[source, target].fact if (source, target) in second else None
            ping = before.plus(reading.fact) if before is not None else reading.fact
            middle = sorted(ping.times_ms)[len(ping.times_ms) // 2] if ping.times_ms else None  # as NET222 judges
            found.append(Pair(source, target, ping.loss_percent, middle, ping.error))
    return found


def _readings(answers: Mapping[str, NodeAnswer]) -> dict[tuple[Where, Where], Reading[hccn.Ping]]:
    found = {}
    for node, answer in answers.items():
        for outcome in answer.outcomes.values():
            match = _PING.fullmatch(outcome.id)
            if match is not None:
                source, target = Where(node, int(match[1])), Where(match[2], int(match[3]))
                pair = Where.pair(source, target)
                found[source, target] = read(pair, outcome, hccn.parse_ping, "", answer.trouble)
    return found


def mesh_map(
    pairs: Iterable[Pair],
    nodes: Iterable[tuple[str, tuple[int, ...]]],
    *,
    loss_limit: float = 0.0,
    ms_limit: float = 5.0,
) -> MeshMap:
    """Put pairs into the cells of a map of ``nodes`` (name and device ids). Limits say which pairs are bad."""
    listed = list(pairs)
    named = list(nodes)
    if not listed:
        return MeshMap()
    by_node = len(named) > DEVICE_NODES
    places = [Where(n) for n, _ in named] if by_node else [Where(n, d) for n, ids in named for d in ids]
    index = {place: i for i, place in enumerate(places)}
    squares: dict[tuple[int, int], list[Pair]] = {}
    for pair in listed:
        ends = (pair.source, pair.target)
        row, column = (index.get(Where(e.node) if by_node else e) for e in ends)
        if row is not None and column is not None:
            squares.setdefault((row, column), []).append(pair)
    bad = sorted((p for p in listed if _is_bad(p, loss_limit, ms_limit)), key=_badness)
    times = [p.ms for p in listed if p.ms is not None]
    timed = [p for p in listed if p.ms is not None]
    return MeshMap(
        labels=tuple(map(str, places)),
        by_node=by_node,
        nodes=tuple((n, 1 if by_node else len(ids)) for n, ids in named),
        cells=tuple(_cell(r, c, squares[r, c], loss_limit) for r, c in sorted(squares)),
        worst=tuple(bad[:LISTED]),
        worst_count=len(bad),
        pairs=len(listed),
        lossy=sum(p.loss is not None and p.loss > loss_limit for p in listed),
        unread=sum(p.loss is None for p in listed),
        median_ms=statistics.median(times) if times else None,
        slowest=max(timed, key=lambda p: p.ms or 0.0) if timed else None,
    )


def _cell(row: int, column: int, pairs: list[Pair], loss_limit: float) -> Cell:
    losses = [p.loss for p in pairs if p.loss is not None]
    times = [p.ms for p in pairs if p.ms is not None]
    return Cell(
        row,
        column,
        max(losses) if losses else None,
        statistics.median(times) if times else None,
        max(times) if times else None,
        len(pairs),
        sum(loss > loss_limit for loss in losses),
        len(pairs) - len(losses),
    )


def _is_bad(pair: Pair, loss_limit: float, ms_limit: float) -> bool:
    return pair.loss is None or pair.loss > loss_limit or (pair.ms is not None and pair.ms > ms_limit)


def _badness(pair: Pair) -> tuple[float, float, Where, Where]:
    return (-(100.5 if pair.loss is None else pair.loss), -(pair.ms or 0.0), pair.source, pair.target)
