# SPDX-License-Identifier: Apache-2.0
"""The pings of a whole mesh as columns: a few bytes per pair, however many there are.

A :class:`PingMesh` reads like a :class:`hakuna.probes.reading.Table` of pings by directed pair. Only what is not an
answer in full is an object of its own; a fact of the others is made when somebody asks for it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hakuna.evidence import Ending, NodeTrouble, Outcome
from hakuna.probes.hccn_ping import Ping
from hakuna.probes.hccn_pings import PingProblem, each_ping, fine_times
from hakuna.probes.reading import CONSULTED, Reading, ReadingState
from hakuna.where import Where

#: More unreadable pings of one device than this are one reading, at the device.
FEW = 8
_PACKETS = 3
_STATES = {"unparsed": ReadingState.UNPARSED, "failed": ReadingState.FAILED, "lost": ReadingState.LOST}


@dataclass
class Lane:
    """What one device sent. ``ms`` holds median round trips (-1: none); ``odd`` the pings that are no full answer.

    ``whole`` stands for the lane where none, or not enough, of it could be read: those pings are in no table.
    """

    targets: Sequence[Where]
    ms: array[float] = field(default_factory=lambda: array("f"))
    odd: dict[int, Reading[Ping]] = field(default_factory=dict)
    source: str = ""
    whole: Reading[Ping] | None = None
    slowest: float = -1.0

    @property
    def count(self) -> int:
        """How many of its pings are in the table."""
        return len(self.ms)


class PingMesh:
    """All lanes of a mesh, in the order in which they were opened."""

    def __init__(self, lanes: Mapping[Where, list[Lane]] | None = None) -> None:
        self._lanes: dict[Where, list[Lane]] = dict(lanes or {})
        self._unprobed: dict[Where, Reading[Ping]] = {}
        self._readings = _Readings(self)

    # -- filling it ----------------------------------------------------------------------------------------------

    def open(self, source: Where, targets: Sequence[Where]) -> Lane:
        """The lane of a device's pings, to be read later: keeps the table's order whatever comes first."""
        self._readings.forget(source)
        lane = Lane(targets)
        self._lanes.setdefault(source, []).append(lane)
        return lane

    def leave_out(self, device: Where, detail: str, source: str, trouble: NodeTrouble | None = None) -> None:
        """Say why pings from and to a device were not sent."""
        self._unprobed[device] = Reading(device, ReadingState.LOST, None, detail, source, trouble)

    @staticmethod
    def read(
        lane: Lane,
        place: Where,
        addresses: Sequence[str],
        outcome: Outcome,
        source: str,
        trouble: NodeTrouble | None = None,
    ) -> None:
        """Fill a lane from the answer to its command."""
        lane.source = source
        if outcome.ending in (Ending.LOST, Ending.NOT_RUN):
            detail = trouble.detail if trouble else "no answer from the node"
            lane.whole = Reading(place, ReadingState.LOST, None, detail, source, trouble)
            return
        text = outcome.all_text
        times = fine_times(text, addresses)
        if times is not None:
            lane.ms = array("f", times)
            lane.slowest = max(times, default=-1.0)
            return
        bad = 0
        for i, found in enumerate(each_ping(text, addresses, outcome.ending)):
            pair = Where.pair(place, lane.targets[i])
            if isinstance(found, PingProblem):
                bad += 1
                lane.odd[i] = Reading(pair, _STATES[found.kind], None, found.detail, source)
                lane.ms.append(-1.0)
                continue
            median = sorted(found.times_ms)[len(found.times_ms) // 2] if found.times_ms else -1.0
            lane.ms.append(median)
            if (found.sent, found.received, found.error) != (_PACKETS, _PACKETS, ""):
                lane.odd[i] = Reading(pair, ReadingState.READ, found, "", source)
        lane.slowest = max(lane.ms, default=-1.0)
        if bad > FEW or (bad and bad == len(addresses)):
            _put_together(lane, place, bad)

    def put(self, reading: Reading[Ping]) -> None:
        """Replace what is known of one pair."""
        lane, i = self._readings.place(reading.where)
        lane.odd[i] = reading
        times = reading.fact.times_ms if reading.fact is not None else ()
        lane.ms[i] = sorted(times)[len(times) // 2] if times else -1.0
        lane.slowest = max(lane.ms)

    # -- reading it ----------------------------------------------------------------------------------------------

    @property
    def unprobed(self) -> Mapping[Where, Reading[Ping]]:
        """The devices whose pings were not sent, and why."""
        return self._unprobed

    def all_lanes(self) -> Iterator[tuple[Where, Lane]]:
        """Every lane with its device, in order."""
        return ((source, lane) for source, lanes in self._lanes.items() for lane in lanes)

    def lanes(self, source: Where) -> Sequence[Lane]:
        """What a device sent, batch by batch."""
        return self._lanes.get(source, ())

    @property
    def readings(self) -> Mapping[Where, Reading[Ping]]:
        """The readings by directed pair, made when they are asked for."""
        return self._readings

    def __len__(self) -> int:
        return sum(lane.count for lanes in self._lanes.values() for lane in lanes)

    def __iter__(self) -> Iterator[tuple[Where, Ping]]:
        """Every pair that could be read; the running check hears of all of them at once."""
        self.consult()
        for where, reading in self.each():
            if reading.fact is not None:
                yield where, reading.fact

    def each(self) -> Iterator[tuple[Where, Reading[Ping]]]:
        """Every reading of a pair; nobody hears of it."""
        for source, lanes in self._lanes.items():
            for lane in lanes:
                for i in range(lane.count):
                    yield Where.pair(source, lane.targets[i]), _reading(source, lane, i)

    def consult(self) -> None:
        """Tell the running check that it looked at the whole mesh."""
        consulted = CONSULTED.get()
        if consulted is None:
            return
        count = 0
        for lanes in self._lanes.values():
            for lane in lanes:
                count += lane.count
                for reading in (*lane.odd.values(), *((lane.whole,) if lane.whole else ())):
                    if not reading.readable:
                        consulted.add(reading)
                        count -= reading is not lane.whole
        for reading in self._unprobed.values():
            consulted.add(reading)
        consulted.count("mesh", count)

    def slower_than(self, limit: float) -> Iterator[tuple[Where, float]]:
        """The pairs whose median round trip is above ``limit`` ms, with that. The check hears of the whole mesh."""
        self.consult()
        for source, lanes in self._lanes.items():
            for lane in lanes:
                if lane.slowest > limit:
                    yield from ((Where.pair(source, lane.targets[i]), ms) for i, ms in enumerate(lane.ms) if ms > limit)

    def times(self) -> list[float]:
        """The median round trip in ms of every pair that has one. The check hears of the whole mesh."""
        self.consult()
        return [ms for lanes in self._lanes.values() for lane in lanes for ms in lane.ms if ms >= 0]

    @property
    def slowest(self) -> float:
        """The longest median round trip in ms; 0 without any."""
        return max((lane.slowest for lanes in self._lanes.values() for lane in lanes), default=0.0)

    def around_loss(self) -> PingMesh:
        """The mesh without what no lost packet is near: pairs of which neither node has a pair that lost something.

        What explains a loss is a place that a lost pair touches, and all pairs of such places are kept. Without any
        loss that is none. The running check hears of the whole mesh.
        """
        self.consult()
        return self.near_loss()

    def near_loss(self) -> PingMesh:
        """As :meth:`around_loss`, for those who are no check."""
        nodes: set[str] = set()
        for source, lanes in self._lanes.items():
            for lane in lanes:
                for i, reading in lane.odd.items():
                    if reading.readable:
                        nodes |= {source.node, lane.targets[i].node}
        near = {
            source: lanes if source.node in nodes else [_only(lane, nodes) for lane in lanes]
            for source, lanes in (self._lanes.items() if nodes else ())
        }
        return _View(near)

    def dead(self) -> list[Where]:
        """Devices of which no ping came back and that no ping reached, where they had at least two peers."""
        alive: set[Where] = set()
        peers: dict[Where, set[Where]] = {}
        for source, lanes in self._lanes.items():
            for lane in lanes:
                lost = {i for i, r in lane.odd.items() if r.fact is not None and r.fact.received == 0}
                if not lost and lane.count:
                    alive.add(source)
                for i in range(lane.count):
                    if lane.odd and i in lost:
                        peers.setdefault(source, set()).add(lane.targets[i])
                        peers.setdefault(lane.targets[i], set()).add(source)
                    elif i not in lane.odd or lane.odd[i].readable:
                        alive |= {source, lane.targets[i]}
        return sorted(w for w, met in peers.items() if w not in alive and len(met) > 1)


class _View(PingMesh):
    """A part of a mesh; it was consulted as a whole already."""

    def consult(self) -> None:
        pass


class _Readings(Mapping[Where, Reading[Ping]]):
    """A mesh's readings as a mapping."""

    def __init__(self, mesh: PingMesh) -> None:
        self._mesh = mesh
        self._index: dict[Where, dict[Where, tuple[Lane, int]]] = {}

    def __getitem__(self, where: Where) -> Reading[Ping]:
        return _reading(where.source, *self.place(where))

    def place(self, where: Where) -> tuple[Lane, int]:
        """The lane of a pair, and its number there."""
        source = where.source
        if source not in self._index:
            lanes = self._mesh.lanes(source)
            self._index[source] = {lane.targets[i]: (lane, i) for lane in lanes for i in range(lane.count)}
        return self._index[source][where.target]

    def forget(self, source: Where) -> None:
        """A lane was added: what was known of the device's pairs is out of date."""
        self._index.pop(source, None)

    def __iter__(self) -> Iterator[Where]:
        return (where for where, _ in self._mesh.each())

    def __len__(self) -> int:
        return len(self._mesh)

    def items(self) -> Iterator[tuple[Where, Reading[Ping]]]:  # type: ignore[override]  # no view is needed
        return self._mesh.each()


def _reading(source: Where, lane: Lane, i: int) -> Reading[Ping]:
    odd = lane.odd.get(i)
    if odd is not None:
        return odd
    times = (lane.ms[i],) if lane.ms[i] >= 0 else ()
    fact = Ping("", _PACKETS, _PACKETS, 0.0, times)
    return Reading(Where.pair(source, lane.targets[i]), ReadingState.READ, fact, "", lane.source)


def _only(lane: Lane, nodes: set[str]) -> Lane:
    """The part of a lane that goes to these nodes."""
    kept = [i for i in range(lane.count) if lane.targets[i].node in nodes]
    return _part(lane, kept)


def _part(lane: Lane, kept: Sequence[int]) -> Lane:
    return Lane(
        [lane.targets[i] for i in kept],
        array("f", (lane.ms[i] for i in kept)),
        {new: lane.odd[i] for new, i in enumerate(kept) if i in lane.odd},
        lane.source,
        lane.whole,
        lane.slowest,
    )


def _put_together(lane: Lane, place: Where, bad: int) -> None:
    """Make one reading of many that could not be read; only the others stay in the table."""
    first = next(r for r in lane.odd.values() if not r.readable)
    total = lane.count
    part = _part(lane, [i for i in range(total) if i not in lane.odd or lane.odd[i].readable])
    lane.targets, lane.ms, lane.odd = part.targets, part.ms, part.odd
    lane.whole = Reading(place, first.state, None, f"{bad:,} of {total:,} pings: {first.detail}", lane.source)
