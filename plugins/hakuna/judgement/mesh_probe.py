# SPDX-License-Identifier: Apache-2.0
"""The ping that would decide between explanations that are equally good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hakuna.inventory.model import Layout
from hakuna.judgement.mesh_matrix import LossMatrix, ones
from hakuna.judgement.mesh_places import Pair, Place

#: How many devices of each end are tried.
TRIED = 24


def next_probe(
    matrix: LossMatrix, place: Place, others: Sequence[Place], blamed: Iterable[Place], layout: Layout
) -> Pair | None:
    """A pair that was not measured and is lost under some of the explanations only: the one that splits them best.

    Its ends are at no other blamed place. Two devices of one node may be asked too, where a switch joins them.
    """
    grid, every = matrix.grid, [place, *others]
    elsewhere = [p for p in blamed if p != place]
    best: tuple[int, int, int] | None = None
    for s, t in _unmeasured(matrix, _ends(place, others), layout):
        if any(p.covers(s, t) for p in elsewhere):
            continue
        lost = sum(p.covers(s, t) for p in every)
        split = min(lost, len(every) - lost)
        if split and (best is None or split > best[0]):
            best = (split, s, t)
    return (grid.devices[best[1]], grid.devices[best[2]]) if best else None


def _ends(place: Place, others: Sequence[Place]) -> int:
    """The devices that the narrowest explanations are about."""
    found = 0
    for p in (place, *others):
        for rows, columns in p.rectangles:
            found |= min(rows, columns, key=lambda bits: bits.bit_count())
    return found


def _unmeasured(matrix: LossMatrix, ends: int, layout: Layout) -> Iterator[tuple[int, int]]:
    grid = matrix.grid
    near = [d for _, d in zip(range(TRIED), ones(ends), strict=False)]
    nodes = {grid.node_of[d] for d in near}
    mates = [d for n in sorted(nodes) for d in ones(grid.node_bits[n])][: TRIED * 2]
    far = [d for d in range(len(grid.devices)) if grid.node_of[d] not in nodes][:TRIED]
    for one in near:
        for other in dict.fromkeys([*mates, *far]):
            for s, t in ((one, other), (other, one)):
                wired = layout is Layout.SWITCHED or (
                    grid.devices[s].device == grid.devices[t].device and grid.node_of[s] != grid.node_of[t]
                )
                if s != t and wired and not matrix.known[s] >> t & 1:
                    yield s, t
