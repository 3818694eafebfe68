# SPDX-License-Identifier: Apache-2.0
"""The loss matrix of a mesh, as one set of bits per source: a million pairs cost a few operations per device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from hakuna.inventory.model import Layout
from hakuna.probes.mesh import PingMesh
from hakuna.where import Where

TOTAL = 100.0


class PingCounts(Protocol):
    """What is needed of a ping's fact: packets, and the tool's word where it could not ping at all."""

    @property
    def sent(self) -> int: ...

    @property
    def received(self) -> int: ...

    @property
    def error(self) -> str: ...


@dataclass(frozen=True)
class Count:
    """What came back of one ping that is not a full answer to the usual number of packets."""

    sent: int
    received: int
    error: str = ""
    source: str = ""

    @property
    def percent(self) -> float:
        return TOTAL * (self.sent - self.received) / self.sent if self.sent > 0 else TOTAL


def ones(bits: int) -> Iterator[int]:
    """The numbers of the bits that are set, smallest first."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


class Grid:
    """The devices of a mesh by number, and their nodes."""

    def __init__(self, devices: Iterable[Where]) -> None:
        self.devices = tuple(devices)
        self.number = {(d.node, d.device): i for i, d in enumerate(self.devices)}
        names = list(dict.fromkeys(d.node for d in self.devices))
        by_name = {name: n for n, name in enumerate(names)}
        self.nodes = tuple(names)
        self.node_of = [by_name[d.node] for d in self.devices]
        self.node_bits = [0] * len(names)
        for i, n in enumerate(self.node_of):
            self.node_bits[n] |= 1 << i
        self.everything = (1 << len(self.devices)) - 1

    def bits(self, devices: Iterable[Where]) -> int:
        """The set of those of the devices that are in the mesh."""
        out = 0
        for device in devices:
            i = self.number.get((device.node, device.device))
            if i is not None:
                out |= 1 << i
        return out

    def names(self, bits: int) -> list[Where]:
        return [self.devices[i] for i in ones(bits)]

    def nodes_in(self, bits: int) -> list[int]:
        """The numbers of the nodes that have a device in the set."""
        found = []
        while bits:
            n = self.node_of[(bits & -bits).bit_length() - 1]
            found.append(n)
            bits &= ~self.node_bits[n]
        return found


class LossMatrix:
    """Which pairs were measured, which of them lost every packet (``gone``), and the counts of all that lost any.

    Row ``s`` is the set of targets of device number ``s``. A pair without a count got back all of the usual
    ``packets``.
    """

    def __init__(self, devices: Iterable[Where], packets: int = 3) -> None:
        self.grid = Grid(devices)
        self.packets = packets
        size = len(self.grid.devices)
        self.known = [0] * size
        self.gone = [0] * size
        self.some = [0] * size
        self.counts: dict[tuple[int, int], Count] = {}

    def add(self, source: Where, target: Where, ping: PingCounts, evidence: str = "", limit: float = 0.0) -> None:
        """Take in one ping. Loss of at most ``limit`` per cent is none."""
        s, t = self.grid.number[source.node, source.device], self.grid.number[target.node, target.device]
        self.known[s] |= 1 << t
        error = ping.error or ("" if ping.sent else "nothing was sent")
        count = self.counts[s, t] = Count(ping.sent, ping.received, error, evidence)
        if count.received == 0:
            self.gone[s] |= 1 << t
        elif count.percent > limit:
            self.some[s] |= 1 << t

    def without(self, rows: Sequence[int]) -> LossMatrix:
        """The same, where the pairs in ``rows`` are not known."""
        out = LossMatrix((), self.packets)
        out.grid, out.counts = self.grid, self.counts
        out.known = [k & ~r for k, r in zip(self.known, rows, strict=True)]
        out.gone = [g & ~r for g, r in zip(self.gone, rows, strict=True)]
        out.some = [x & ~r for x, r in zip(self.some, rows, strict=True)]
        return out

    def count(self, source: int, target: int) -> Count:
        found = self.counts.get((source, target))
        if found is not None:
            return found
        return Count(self.packets, 0 if self.gone[source] >> target & 1 else self.packets)


def matrix_of_mesh(mesh: PingMesh, *, layout: Layout = Layout.SWITCHED, limit: float = 0.0) -> LossMatrix:
    """The matrix of a mesh, lane by lane; an empty one when nothing in it is lost.

    The running check hears of the whole mesh. With layout rail only devices of one device_id are wired to each other:
    other pairs are left out.
    """
    mesh.consult()
    lanes = list(mesh.all_lanes())
    if not any(reading.readable for _, lane in lanes for reading in lane.odd.values()):
        return LossMatrix(())
    matrix = LossMatrix(sorted({s for s, _ in lanes}.union(*(lane.targets for _, lane in lanes))))
    number, rail = matrix.grid.number, layout is Layout.RAIL
    for source, lane in lanes:
        row = 0
        for i, target in zip(range(lane.count), lane.targets, strict=False):
            odd = lane.odd.get(i)
            if rail and target.device != source.device:
                continue
            if odd is None:
                row |= 1 << number[target.node, target.device]
            elif odd.fact is not None:
                matrix.add(source, target, odd.fact, odd.source, limit)
        matrix.known[number[source.node, source.device]] |= row
    return matrix


def matrix_of(
    pings: Iterable[tuple[Where, PingCounts]],
    *,
    layout: Layout = Layout.SWITCHED,
    limit: float = 0.0,
) -> LossMatrix:
    """The matrix of a table of pings by directed pair.

    With layout rail only devices of one device_id are wired to each other: pings between others are not expected to
    work, and are left out.
    """
    found = [(w, p) for w, p in pings if layout is Layout.SWITCHED or w.device == w.peer_device]
    matrix = LossMatrix(sorted({w.source for w, _ in found} | {w.target for w, _ in found}))
    for where, ping in found:
        matrix.add(where.source, where.target, ping, "", limit)
    return matrix
