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
from dataclasses import dataclass, replace
from functools import cached_property

from hakuna.inventory.model import Layout
from hakuna.where import Where

#: More pings in a row than this ``auto`` asks of no device: at about two seconds each, four minutes.
PINGS_IN_A_ROW = 120
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
    #: Whether the network holds more pairs than this mesh: not where fibre joins devices of one index only.
    wider: bool = True

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

    def targets(self, source: Where) -> tuple[Where, ...]:
        """Whom a device pings, in the order of the rounds."""
        node, index = self._numbers[source.node], self._positions[source]
        total = len(self.nodes)
        peers = [(node + shift) % total for shift in self.shifts]
        if self.mode is not MeshMode.FULL:
            column = self._columns[source.device]
            return tuple(target for peer in peers if (target := column[peer]) is not None)
        found = []
        for rotation in self.rotations:
            at = (index + rotation) % self._most
            found += [self._places[peer][at] for peer in peers if at < len(self._places[peer])]
        return tuple(found)

    def sends(self) -> Mapping[str, Mapping[int, tuple[Where, ...]]]:
        """For each node, and each of its devices, the targets in the order in which to ping them."""
        return {name: {i: self.targets(Where.of_device(name, i)) for i in ids} for name, ids in self.nodes}

    def split(self) -> tuple[Schedule, Schedule | None]:
        """The rail part of a full mesh, to be pinged first, and the rest; other meshes are one part.

        With two nodes there is nothing to learn from the rail part: of one lost pair either end may be dead.
        """
        many = len(self.nodes) > len(("from", "to"))
        same = len({ids for _, ids in self.nodes}) == 1
        if self.mode is not MeshMode.FULL or not many or not same or len(self.rotations) == 1:
            return self, None
        return replace(self, rotations=(0,)), replace(self, rotations=self.rotations[1:])

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
        if self.pair_count < self.full_count and self.wider:
            words += "; run with --mesh full for all"
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
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, (name, _) in enumerate(self.nodes)}

    @cached_property
    def _positions(self) -> dict[Where, int]:
        return {place: index for places in self._places for index, place in enumerate(places)}

    @cached_property
    def _columns(self) -> dict[int, list[Where | None]]:
        """The device of each index on every node, None where there is none."""
        by_id = [{place.device: place for place in places} for places in self._places]
        return {device: [own.get(device) for own in by_id] for device in set().union(*by_id)}

    @cached_property
    def _places(self) -> tuple[tuple[Where, ...], ...]:
        return tuple(tuple(Where.of_device(name, i) for i in ids) for name, ids in self.nodes)

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

    ``auto``: the widest of full, rail and sampled that stays within ``budget`` pairs and within PINGS_IN_A_ROW for
    each device (16 nodes of 8 devices in full). Fibre between same-index
    devices (layout rail) leaves no more than the rail mesh, whatever the mode says.

    Raises:
        ValueError: there is no such mode.
    """
    wider = layout is Layout.SWITCHED
    devices = sum(len(ids) for _, ids in nodes)
    if mode == MeshMode.SAMPLED.value:
        return replace(schedule(nodes, MeshMode.SAMPLED, _shifts(devices, budget)), wider=wider)
    rail = replace(schedule(nodes, MeshMode.RAIL), wider=wider)
    if mode != "auto":
        wanted = MeshMode(mode)
        return rail if wanted is MeshMode.FULL and not wider else replace(schedule(nodes, wanted), wider=wider)
    full = schedule(nodes, MeshMode.FULL)
    if wider and full.round_count <= PINGS_IN_A_ROW and full.pair_count <= budget:
        return full
    if rail.round_count <= PINGS_IN_A_ROW and rail.pair_count <= budget:
        return rail
    return replace(schedule(nodes, MeshMode.SAMPLED, _shifts(devices, budget)), wider=wider)


def _shifts(devices: int, budget: int) -> int:
    """How many other nodes each device of a sampled mesh pings: both directions of each distance, within budgets."""
    return max(2, min(budget // max(1, devices), PINGS_IN_A_ROW) // 2 * 2)


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
