# SPDX-License-Identifier: Apache-2.0
"""Faults of several devices at once, and what is known of the devices besides their pings that makes them likely."""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hakuna.judgement.mesh_matrix import Grid, LossMatrix, ones
from hakuna.judgement.mesh_places import BlameKind, Place, apart, touching, valid
from hakuna.where import Where

#: Fewer nodes cannot show whether it is the network or a node.
NODES = 3
SHOWN = 4


@dataclass(frozen=True)
class Sides:
    """What the devices say of themselves: address and prefix length, the switch at their cable, the TLS switch."""

    addresses: Mapping[Where, tuple[str, int]] = field(default_factory=dict)
    leaves: Mapping[Where, str] = field(default_factory=dict)
    tls: Mapping[Where, bool] = field(default_factory=dict)


def wide_places(matrix: LossMatrix, sides: Sides, rows: Sequence[int]) -> list[Place]:
    """The places of several devices that can explain the loss of the pairs in ``rows``."""
    grid = matrix.grid
    found = [p for p in static_places(grid, sides) if valid(p, matrix.known, rows)]
    if everything_lost(matrix, rows):
        return [*found, everything(grid)]
    return [*found, *_groups(matrix, rows), *_netmasks(grid, sides, rows)]


def everything_lost(matrix: LossMatrix, rows: Sequence[int]) -> bool:
    """Whether not one pair works, among enough nodes for it to be the network."""
    return len(matrix.grid.nodes) >= NODES and all(k == k & r for k, r in zip(matrix.known, rows, strict=True))


def everything(grid: Grid) -> Place:
    return apart(BlameKind.SPLIT, grid.node_bits, "no device reaches any device of another node")


def static_places(grid: Grid, sides: Sides) -> Iterator[Place]:
    """What is there whatever is lost: leaf switches, rails, subnets, the TLS switch."""
    cluster = Where.cluster()
    for name, span in _by_value(grid, sides.leaves).items():
        if span.bit_count() > 1 and span != grid.everything:
            yield touching(grid, BlameKind.LEAF, cluster, span, f"leaf switch {name} ({_listed(grid, span)})")
            yield apart(
                BlameKind.UPLINK,
                [span, grid.everything & ~span],
                f"the uplinks of leaf switch {name} ({_listed(grid, span)})",
            )
    rails = _by_value(grid, {d: d.device for d in grid.devices})
    for rail, span in rails.items():
        if len(rails) > 1 and len(grid.nodes) >= NODES:
            yield touching(grid, BlameKind.RAIL, cluster, span, f"rail {rail}: no device {rail} reaches any other node")
    subnets = _by_value(grid, _subnets(sides))
    for subnet, span in subnets.items():
        if len(subnets) > 1:
            yield apart(
                BlameKind.SUBNET,
                [span, grid.everything & ~span],
                f"subnet {subnet} and the others do not reach each other ({_listed(grid, span)})",
            )
    tls = _by_value(grid, sides.tls)
    if len(tls) > 1:
        fewer = min(tls.values(), key=lambda bits: bits.bit_count())
        yield apart(
            BlameKind.TLS,
            list(tls.values()),
            f"devices with another TLS switch do not reach each other ({_listed(grid, fewer)} against the others)",
        )


def _by_value(grid: Grid, values: Mapping[Where, Hashable]) -> dict[Hashable, int]:
    found: dict[Hashable, int] = {}
    for device, value in values.items():
        bits = grid.bits([device])
        if bits:
            found[value] = found.get(value, 0) | bits
    return found


def _usual(sides: Sides) -> dict[int, int]:
    """The prefix length that most devices of each family have."""
    found: dict[int, list[int]] = {}
    for ip, prefix in sides.addresses.values():
        found.setdefault(ipaddress.ip_address(ip).version, []).append(prefix)
    return {version: max(sorted(set(lengths)), key=lengths.count) for version, lengths in found.items()}


def _subnets(sides: Sides) -> dict[Where, str]:
    usual = _usual(sides)
    return {d: str(_network(ip, usual[ipaddress.ip_address(ip).version])) for d, (ip, _) in sides.addresses.items()}


def _network(ip: str, prefix: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(f"{ip}/{prefix}", strict=False)


def _netmasks(grid: Grid, sides: Sides, rows: Sequence[int]) -> Iterator[Place]:
    """Devices with an odd netmask: what they lose with those peers that they look for in the wrong place.

    They need not lose all of them: a gateway may help.
    """
    usual = _usual(sides)
    for device, (ip, prefix) in sides.addresses.items():
        right = usual[ipaddress.ip_address(ip).version]
        own = grid.bits([device])
        if prefix == right or not own:
            continue
        thinks, is_so = _network(ip, prefix), _network(ip, right)
        peers = [(d, ipaddress.ip_address(peer)) for d, (peer, _) in sides.addresses.items() if d != device]
        wrong = grid.bits(d for d, peer in peers if (peer in thinks) != (peer in is_so))
        number = own.bit_length() - 1
        out = rows[number] & wrong
        back = sum(1 << s for s in ones(wrong) if rows[s] & own)
        if out or back:
            yield Place(BlameKind.NETMASK, device, rectangles=((own, out), (back, own)))


def shared_addresses(sides: Sides) -> list[tuple[str, tuple[Where, ...]]]:
    """The addresses that several devices have, with their holders."""
    found: dict[str, list[Where]] = {}
    for device, (ip, _) in sides.addresses.items():
        found.setdefault(str(ipaddress.ip_address(ip)), []).append(device)
    return [(ip, tuple(holders)) for ip, holders in found.items() if len(holders) > 1]


def _groups(matrix: LossMatrix, rows: Sequence[int]) -> list[Place]:
    """Groups that do not reach each other although they were asked.

    Each shows that it lives by a pair within it that works: devices of which nothing works are told by their own names.
    """
    works = _components([k & ~r for k, r in zip(matrix.known, rows, strict=True)])
    found: list[int] = []
    rectangles: list[tuple[int, int]] = []
    for asked in _components(matrix.known):  # in a rail mesh each rail by itself
        wide = [g for g in works if g & asked and g.bit_count() > 1]
        whole = 0
        for group in wide:
            whole |= group
        if len(wide) > 1:
            found += wide
            rectangles += [(g, whole & ~g) for g in wide]
    if not found:
        return []
    place = Place(BlameKind.SPLIT, Where.cluster(), note=_words(matrix.grid, found), rectangles=tuple(rectangles))
    return [place]


def _components(links: Sequence[int]) -> list[int]:
    """Devices that reach each other, whichever way, directly or over others."""
    groups: list[int] = []
    for s, row in enumerate(links):
        own = row | 1 << s
        apart_from = [g for g in groups if not g & own]
        for g in groups:
            if g & own:
                own |= g
        groups = [*apart_from, own]
    return sorted(groups, key=lambda g: (g & -g).bit_length())


def _listed(grid: Grid, span: int) -> str:
    """The devices of a set in few words: whole nodes by their names."""
    parts = []
    for n in grid.nodes_in(span):
        own = grid.node_bits[n]
        parts += [grid.nodes[n]] if not own & ~span else [str(d) for d in grid.names(span & own)]
    return ", ".join(parts[:SHOWN]) + (", ..." if len(parts) > SHOWN else "")


def _words(grid: Grid, groups: Sequence[int]) -> str:
    devices = [grid.names(g) for g in groups]
    rails = [{d.device for d in g} for g in devices]
    if all(len(r) == 1 for r in rails) and len(set.union(*rails)) == len(rails):
        return (
            "only devices of the same device_id reach each other: if they are joined by fibre, without a switch, "
            "write layout: rail into the inventory"
        )
    by_nodes: dict[tuple[int, ...], int] = {}  # the same nodes on several rails are one group
    for group in groups:
        nodes = tuple(grid.nodes_in(group))
        by_nodes[nodes] = by_nodes.get(nodes, 0) | group
    named = list(by_nodes.values()) if len(by_nodes) > 1 else list(groups)
    more = " | ..." if len(named) > SHOWN else ""
    return f"{len(named)} groups do not reach each other: {' | '.join(_listed(grid, g) for g in named[:SHOWN])}{more}"
