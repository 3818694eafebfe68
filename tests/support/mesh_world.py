# SPDX-License-Identifier: Apache-2.0
"""A network of devices that breaks, for tests and benchmark of the mesh's localisation. It shares nothing with it.

A fault is a function of one ping: whether it is lost on the way from ``s`` to ``t``. :func:`smallest` finds, by trying,
*all* smallest sets of faults that predict a loss matrix: what any method could know at best.
"""

from __future__ import annotations

import ipaddress
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from hakuna.judgement.mesh_schedule import MeshMode, schedule
from hakuna.where import Where

Pair = tuple[Where, Where]
BOTH, OUT, IN = "both", "out", "in"


@dataclass(frozen=True)
class Fault:
    """``kind`` as a blame's; ``what`` tells it from others of its kind: a place, or the devices that it is about.

    ``pairs`` gives the measured pairs that lose everything, as bits of a board.
    """

    kind: str
    what: object
    pairs: Callable[[Board], int] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {sorted(map(str, self.what)) if isinstance(self.what, frozenset) else self.what}"


def device(d: Where) -> Fault:
    return Fault("device", str(d), lambda b: b.sent({d}) | b.received({d}))


def device_out(d: Where) -> Fault:
    return Fault("direction-out", str(d), lambda b: b.sent({d}))


def device_in(d: Where) -> Fault:
    return Fault("direction-in", str(d), lambda b: b.received({d}))


def node(n: str) -> Fault:
    return Fault("node", n, lambda b: b.sent(b.of(n)) | b.received(b.of(n)))


def node_out(n: str) -> Fault:
    return Fault("direction-out", n, lambda b: b.sent(b.of(n)))


def node_in(n: str) -> Fault:
    return Fault("direction-in", n, lambda b: b.received(b.of(n)))


def node_pair(n: str, m: str) -> Fault:
    """Both ways; one way is :func:`node_way`."""
    return Fault("node-pair", frozenset((n, m)), lambda b: node_way(n, m).pairs(b) | node_way(m, n).pairs(b))


def node_way(n: str, m: str) -> Fault:
    return Fault("node-pair", f"{n} -> {m}", lambda b: b.sent(b.of(n)) & b.received(b.of(m)))


def pair(a: Where, b: Where) -> Fault:
    """Both ways; one way is :func:`way`."""
    return Fault("pair", frozenset((str(a), str(b))), lambda board: way(a, b).pairs(board) | way(b, a).pairs(board))


def way(a: Where, b: Where) -> Fault:
    return Fault("pair", f"{a} -> {b}", lambda board: board.sent({a}) & board.received({b}))


def cut(kind: str, group: frozenset[Where]) -> Fault:
    """A group and all others do not reach each other: a VLAN (``split``), ``uplink``, ``subnet`` or ``tls``."""
    return Fault(kind, group, lambda b: b.sent(group) ^ b.received(group))


def gone(kind: str, group: frozenset[Where]) -> Fault:
    """No device of a group reaches anything: ``leaf`` or ``rail``."""
    return Fault(kind, group, lambda b: b.sent(group) | b.received(group))


def _apart(b: Board, groups: Iterable[frozenset[Where]]) -> int:
    whole = frozenset().union(*groups)
    return b.sent(whole) & b.received(whole) & ~union(b.sent(g) & b.received(g) for g in groups)


@dataclass(frozen=True)
class World:
    """Devices, what was pinged, and what is known of the devices besides."""

    nodes: int
    devices: int
    mode: MeshMode = MeshMode.FULL
    prefix: int = 16  # the right one of all addresses 10.0.NODE.DEVICE
    leaf_nodes: int = 0  # nodes at one leaf switch; 0: not told
    netmasks: tuple[tuple[Where, int], ...] = ()  # devices with another one
    tls: frozenset[Where] = frozenset()  # devices whose TLS switch is on
    shared: tuple[Where, ...] = ()  # devices that have the address of the first of them

    @cached_property
    def all(self) -> tuple[Where, ...]:
        return tuple(Where(f"node-{n:02}", d) for n in range(self.nodes) for d in range(self.devices))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(d.node for d in self.all))

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        return _pairs(self.nodes, self.devices, self.mode)

    def address(self, d: Where) -> tuple[str, int]:
        of = self.shared[0] if d in self.shared else d
        return f"10.0.{int(of.node[5:])}.{of.device + 10}", dict(self.netmasks).get(d, self.prefix)

    def leaf(self, d: Where) -> str:
        return f"leaf-{int(d.node[5:]) // self.leaf_nodes}" if self.leaf_nodes else ""

    def groups(self, value: Callable[[Where], object]) -> list[frozenset[Where]]:
        found: dict[object, set[Where]] = {}
        for d in self.all:
            found.setdefault(value(d), set()).add(d)
        return [frozenset(g) for g in found.values() if len(g) < len(self.all)]

    def netmask(self, d: Where) -> Fault:
        """What a device with another netmask loses: peers that it looks for at the wrong place, both ways."""
        ip, prefix = self.address(d)
        thinks = ipaddress.ip_network(f"{ip}/{prefix}", strict=False)
        is_so = ipaddress.ip_network(f"{ip}/{self.prefix}", strict=False)
        lost = {p for p in self.all if (_ip(self, p) in thinks) != (_ip(self, p) in is_so)}
        return Fault("netmask", str(d), lambda b: b.sent({d}) & b.received(lost) | b.received({d}) & b.sent(lost))

    @cached_property
    def special(self) -> tuple[Fault, ...]:
        """The faults of several devices that this world's switches, addresses and settings make possible."""
        found: list[Fault] = []
        if self.leaf_nodes:
            found += [make(g) for g in self.groups(self.leaf) for make in (_leaf, _uplink)]
        subnets = self.groups(lambda d: ipaddress.ip_network(f"{self.address(d)[0]}/{self.prefix}", strict=False))
        found += [cut("subnet", g) for g in subnets]
        if self.tls:
            found.append(cut("tls", self.tls))
        found += [self.netmask(d) for d, _ in self.netmasks]
        return tuple(found)


def _ip(world: World, d: Where) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(world.address(d)[0])


def _leaf(group: frozenset[Where]) -> Fault:
    return gone("leaf", group)


def _uplink(group: frozenset[Where]) -> Fault:
    return cut("uplink", group)


class Board:
    """The measured pairs as bits, and each standing fault as a set of them: kept, for they are asked often."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.number = {p: i for i, p in enumerate(world.pairs)}
        self._sent, self._received = _ends(world.nodes, world.devices, world.mode)
        plain = World(world.nodes, world.devices, world.mode)
        self.masks = (_plain_masks(plain) if world != plain else {f: f.pairs(self) for f in _plain(world)}) | {
            f: f.pairs(self) for f in world.special
        }

    def of(self, node: str) -> Iterable[Where]:
        return (Where(node, d) for d in range(self.world.devices))

    def sent(self, group: Iterable[Where]) -> int:
        """The pairs that go out from a group."""
        return union(self._sent[d] for d in group)

    def received(self, group: Iterable[Where]) -> int:
        return union(self._received[d] for d in group)


def _plain(world: World) -> Iterator[Fault]:
    """Every fault of any world but those of single pairs, and VLANs of any devices."""
    for d in world.all:
        yield from (device(d), device_out(d), device_in(d))
    for n in world.names:
        yield from (node(n), node_out(n), node_in(n))
    yield from (node_way(n, m) for n, m in itertools.permutations(world.names, 2))
    yield from (node_pair(n, m) for n, m in itertools.combinations(world.names, 2))
    if world.nodes > 2 and world.devices > 1:
        yield from (gone("rail", g) for g in world.groups(lambda d: d.device))


@lru_cache(maxsize=100)
def _plain_masks(world: World) -> dict[Fault, int]:
    return Board(world).masks


@lru_cache(maxsize=64)
def _pairs(nodes: int, devices: int, mode: MeshMode) -> tuple[Pair, ...]:
    names = [f"node-{n:02}" for n in range(nodes)]
    return tuple(schedule([(n, range(devices)) for n in names], mode, 6).pairs)


@lru_cache(maxsize=64)
def _ends(nodes: int, devices: int, mode: MeshMode) -> tuple[dict[Where, int], dict[Where, int]]:
    ends: tuple[dict[Where, int], dict[Where, int]] = ({}, {})
    for n in range(nodes):
        for d in range(devices):
            for side in ends:
                side[Where(f"node-{n:02}", d)] = 0
    for i, pair_of in enumerate(_pairs(nodes, devices, mode)):
        for side, d in zip(ends, pair_of, strict=True):
            side[d] |= 1 << i
    return ends


def union(masks: Iterable[int]) -> int:
    out = 0
    for mask in masks:
        out |= mask
    return out


def components(board: Board, pairs: int) -> list[frozenset[Where]]:
    """Devices that these pairs join, directly or over others."""
    left = set(board.world.all)
    found = []
    while left:
        group = set()
        edge = {min(left)}
        while edge:
            group |= edge
            near = pairs & (board.sent(edge) | board.received(edge))
            edge = {d for d in left - group if near & (board.sent({d}) | board.received({d}))}
        left -= group
        found.append(frozenset(group))
    return found


def vlans(board: Board, lost: int, kept: int = -1) -> list[Fault]:
    """The one split that a matrix can show: groups each of which has a pair that works, among devices that were asked
    of each other.
    """
    everything = (1 << len(board.world.pairs)) - 1 & kept
    groups = [g for g in components(board, everything & ~lost) if len(g) > 1]
    within = (
        components(board, everything)
        if board.world.mode is not MeshMode.FULL or kept != -1
        else [frozenset(board.world.all)]
    )
    parts = [own for asked in within if len(own := [g for g in groups if g & asked]) > 1]
    if not parts:
        return []
    return [Fault("split", frozenset(g for own in parts for g in own), lambda b: union(_apart(b, p) for p in parts))]


def smallest(board: Board, lost: int, most: int, kept: int = -1) -> tuple[list[frozenset[Fault]], dict[Fault, int]]:
    """All smallest sets of at most ``most`` faults that lose exactly these of the pairs ``kept``, and the pairs of each."""
    masks = {f: own for f, m in board.masks.items() if (own := m & kept) and not own & ~lost}
    for fault in vlans(board, lost, kept):
        masks[fault] = fault.pairs(board) & kept
    if board.world.nodes > 2 and lost == (1 << len(board.world.pairs)) - 1 & kept:
        masks[Fault("split", "everything", lambda b: (1 << len(b.world.pairs)) - 1)] = lost
    for size in range(1, most + 1):
        found: set[frozenset[Fault]] = set()
        _search(board, lost, lost, masks, size, (), found)
        if found:
            return list(found), masks
    return [], masks


def _search(
    board: Board,
    lost: int,
    left: int,
    masks: dict[Fault, int],
    size: int,
    chosen: tuple[Fault, ...],
    found: set[frozenset[Fault]],
) -> None:
    if not left:
        found.add(frozenset(chosen))
        return
    if not size or len(found) > 200:
        return
    options: list[Fault] | None = None
    for bit in _some(left):
        own = [f for f, m in masks.items() if m >> bit & 1]
        if options is None or len(own) < len(options) - 2:
            options, at = own, bit
    s, t = board.world.pairs[at]
    singles = [way(s, t)]
    back = board.number.get((t, s))
    if back is not None and lost >> back & 1:
        singles.append(pair(s, t))
    for fault in [*(options or ()), *singles]:
        if fault not in masks:
            masks[fault] = fault.pairs(board)
        rest = left & ~masks[fault]
        if size == 1 and rest:
            continue
        _search(board, lost, rest, masks, size - 1, (*chosen, fault), found)


def _some(left: int) -> Iterator[int]:
    """A few of the bits that are set: the first, the last, and some between."""
    yield (left & -left).bit_length() - 1
    top = left.bit_length() - 1
    yield top
    for part in (1, 2, 3, 4, 5):
        high = left >> (top * part // 6)
        if high:
            yield top * part // 6 + (high & -high).bit_length() - 1


# --- drawing ----------------------------------------------------------------------------------------------------------


def draw(dice: random.Random, world: World) -> tuple[World, Fault]:  # noqa: PLR0911  # one for each kind
    """One random fault, and the world with what shows of it besides the pings."""
    a, b = dice.choice(world.pairs)
    n, m = a.node, b.node
    simple = [device(a), device_out(a), device_in(a), way(a, b), pair(a, b)]
    wide = [node_pair(n, m), node_way(n, m)]
    if world.nodes > 2:
        wide += [node(n), node_out(n), node_in(n)]
    kind = dice.choice(("simple", "simple", "wide", "group"))
    if kind == "simple":
        return world, dice.choice(simple)
    if kind == "wide" or world.nodes < 3:
        return world, dice.choice(wide)
    what = dice.choice(("split", "leaf", "uplink", "subnet", "tls", "netmask", "rail"))
    if what == "leaf" and world.leaf_nodes:
        return world, gone("leaf", dice.choice(world.groups(world.leaf)))
    if what == "uplink" and world.leaf_nodes:
        return world, cut("uplink", dice.choice(world.groups(world.leaf)))
    subnets = world.groups(lambda d: ipaddress.ip_network(f"{world.address(d)[0]}/{world.prefix}", strict=False))
    if what == "subnet" and subnets:
        return world, cut("subnet", dice.choice(subnets))
    if what == "rail" and world.devices > 1:
        return world, gone("rail", frozenset(d for d in world.all if d.device == a.device))
    if what == "netmask" and not any(d == a for d, _ in world.netmasks):
        odd = replace(
            world, netmasks=(*world.netmasks, (a, dice.choice([p for p in (16, 22, 24) if p != world.prefix])))
        )
        return odd, odd.netmask(a)
    group = _some_devices(dice, world)
    if what == "tls" and not world.tls:
        return replace(world, tls=group), cut("tls", group)
    split = cut("split", group)
    board = Board(world)
    alone = vlans(board, split.pairs(board))
    # A VLAN in which nothing works is no other than dead devices.
    return world, split if alone and alone[0].pairs(board) == split.pairs(board) else device(a)


def _some_devices(dice: random.Random, world: World) -> frozenset[Where]:
    """A VLAN: a few nodes, a few rails, or a few devices of at least two nodes."""
    how = dice.choice(("nodes", "devices", "rails"))
    if how == "nodes" and world.nodes > 3:
        names = dice.sample(world.names, dice.randint(2, world.nodes - 2))
        return frozenset(d for d in world.all if d.node in names)
    if how == "rails" and world.devices > 1:
        rails = dice.sample(range(world.devices), dice.randint(1, world.devices - 1))
        return frozenset(d for d in world.all if d.device in rails)
    count = dice.randint(2, max(2, len(world.all) // 2))
    return frozenset(dice.sample(world.all, count))
