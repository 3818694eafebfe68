# SPDX-License-Identifier: Apache-2.0
"""Which device pings which, and in which order, so that no device ever sends or receives two pings in one round.

In the round of node shift ``s`` and rotation ``j``, device number ``i`` of node ``n`` pings device number
``(i + j) mod K`` of node ``(n + s) mod N`` (K: the most devices that a node has). Each round is a one-to-one mapping,
and the (N - 1) K rounds together hold every directed pair across nodes exactly once: the fewest rounds that there can
be, for any N.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hakuna.inventory.model import Layout
from hakuna.where import Where

#: Up to this many nodes ``auto`` pings every pair.
FULL_NODES = 16
#: More pairs than this are not pinged by ``auto``: about what preflight can send and judge within a minute.
PAIR_BUDGET = 300_000

NamedNode = tuple[str, Sequence[int]]
Pair = tuple[Where, Where]


class MeshMode(enum.Enum):
    """Which pairs across nodes are pinged; each in both directions."""

    FULL = "full"  # every device pings every device of every other node
    RAIL = "rail"  # devices of the same device_id, all nodes
    RING = "ring"  # devices of the same device_id, neighbours in the inventory's order only
    SAMPLED = "sampled"  # devices of the same device_id, some nodes each: neighbours first, then ever further ones


@dataclass(frozen=True)
class Schedule:
    """The pings of one mesh. Pairs are made when they are asked for: nothing here grows with their number."""

    mode: MeshMode
    nodes: tuple[tuple[str, tuple[int, ...]], ...]
    shifts: tuple[int, ...]
    rotations: tuple[int, ...]

    @property
    def rounds(self) -> Iterator[tuple[Pair, ...]]:
        """The rounds in order: in each, a device sends at most once and receives at most once."""
        for rotation in self.rotations:
            for shift in self.shifts:
                yield tuple(self._round(shift, rotation))

    @property
    def round_count(self) -> int:
        return len(self.rotations) * len(self.shifts)

    @property
    def pairs(self) -> Iterator[Pair]:
        """Every (source, target), round by round."""
        for pairs in self.rounds:
            yield from pairs

    def sends(self) -> Mapping[str, Mapping[int, tuple[Where, ...]]]:
        """For each node, and each of its devices, the targets in the order in which to ping them."""
        lanes: dict[str, dict[int, list[Where]]] = {name: {i: [] for i in ids} for name, ids in self.nodes}
        for source, target in self.pairs:
            lanes[source.node][source.device].append(target)
        return {name: {i: tuple(targets) for i, targets in lane.items()} for name, lane in lanes.items()}

    @cached_property
    def pair_count(self) -> int:
        """How many directed pairs are pinged."""
        if self.mode is MeshMode.FULL:
            return self.full_count
        ids = [set(own) for _, own in self.nodes]
        return sum(len(own & ids[(n + s) % len(ids)]) for s in self.shifts for n, own in enumerate(ids))

    @property
    def full_count(self) -> int:
        """How many directed pairs across nodes there are."""
        return _full_count([len(ids) for _, ids in self.nodes])

    @property
    def coverage(self) -> str:
        """What the mesh holds, in words for the report."""
        if len(self.nodes) < len(("from", "to")):
            return "no mesh: one node has no pairs across nodes"
        words = f"{self.mode.value} mesh: {self.pair_count:,} of {self.full_count:,} pairs"
        alone = self._alone()
        return f"{words}; in no pair: {', '.join(str(d) for d in alone)}" if alone else words

    def _alone(self) -> tuple[Where, ...]:
        """Devices that no ping of a mesh by device_id leaves from."""
        if self.mode is MeshMode.FULL:
            return ()
        ids = [set(own) for _, own in self.nodes]
        total = len(ids)
        return tuple(
            Where(name, i)
            for n, (name, own) in enumerate(self.nodes)
            for i in own
            if not any(i in ids[(n + s) % total] for s in self.shifts)
        )

    def _round(self, shift: int, rotation: int) -> Iterator[Pair]:
        total = len(self.nodes)
        for n, sources in enumerate(self._places):
            targets = self._places[(n + shift) % total]
            if self.mode is MeshMode.FULL:
                for i, source in enumerate(sources):
                    target = (i + rotation) % self._most
                    if target < len(targets):
                        yield source, targets[target]
            else:
                by_id = {t.device: t for t in targets}
                for source in sources:
                    if source.device in by_id:
                        yield source, by_id[source.device]

    @cached_property
    def _places(self) -> tuple[tuple[Where, ...], ...]:
        return tuple(tuple(Where(name, i) for i in ids) for name, ids in self.nodes)

    @cached_property
    def _most(self) -> int:
        return max((len(ids) for _, ids in self.nodes), default=0)


def schedule(nodes: Sequence[NamedNode], mode: MeshMode, shifts: int | None = None) -> Schedule:
    """The schedule of one mode. ``shifts`` limits how many other nodes each device of a sampled mesh pings.

    Raises:
        ValueError: two nodes have one name, or a node lists a device twice.
    """
    own = tuple((name, tuple(ids)) for name, ids in nodes)
    if len({name for name, _ in own}) < len(own) or any(len(set(ids)) < len(ids) for _, ids in own):
        raise ValueError("node names and the device ids of one node must be unique")
    everyone = range(1, len(own))
    order = tuple(everyone)
    if mode is MeshMode.RING:
        order = _spread(len(own))[:2]
    elif mode is MeshMode.SAMPLED:
        order = _spread(len(own))[:shifts]
    most = max((len(ids) for _, ids in own), default=0)
    return Schedule(mode, own, order, tuple(range(most)) if mode is MeshMode.FULL else (0,))


def choose(
    nodes: Sequence[NamedNode],
    mode: str = "auto",
    layout: Layout = Layout.SWITCHED,
    budget: int = PAIR_BUDGET,
) -> Schedule:
    """The schedule for a cluster. ``mode`` is a :class:`MeshMode`'s value, or ``auto``.

    ``auto``: full up to 16 nodes, else rail, else (more pairs than ``budget``) sampled. Fibre between same-index
    devices (layout rail) leaves no more than the rail mesh, whatever the mode says.

    Raises:
        ValueError: there is no such mode.
    """
    rail = schedule(nodes, MeshMode.RAIL)
    if mode != "auto":
        wanted = MeshMode(mode)
        return rail if wanted is MeshMode.FULL and layout is Layout.RAIL else schedule(nodes, wanted)
    full = schedule(nodes, MeshMode.FULL)
    if layout is Layout.SWITCHED and len(nodes) <= FULL_NODES and full.pair_count <= budget:
        return full
    if rail.pair_count <= budget:
        return rail
    devices = sum(len(ids) for _, ids in nodes)
    return schedule(nodes, MeshMode.SAMPLED, max(2, budget // devices // 2 * 2))


def _full_count(sizes: Sequence[int]) -> int:
    total = sum(sizes)
    return sum(size * (total - size) for size in sizes)


def _spread(total: int) -> tuple[int, ...]:
    """All shifts, both directions of each distance together: neighbours first, then doubling, then the others."""
    half = total // 2
    doubling = [1 << p for p in range(half.bit_length()) if 1 << p <= half]
    distances = [*doubling, *(d for d in range(1, half + 1) if d not in set(doubling))]
    shifts = [s for d in distances for s in ((d, total - d) if d * 2 != total else (d,))]
    return tuple(shifts)
