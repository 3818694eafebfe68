# SPDX-License-Identifier: Apache-2.0
"""Faults of the network as a whole: groups of devices that do not reach each other, and rails that are dead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hakuna.judgement.mesh_places import BlameKind, Pair, Place
from hakuna.where import Where

#: Fewer nodes cannot show whether it is the network or a node.
NODES = 3
SHOWN = 4


def splits(known: Mapping[Pair, object], lost: set[Pair]) -> dict[Place, set[Pair]]:
    """Explanations that blame the network itself, with the lost pairs that they explain."""
    nodes = {end.node for pair in known for end in pair}
    if len(lost) == len(known) and len(nodes) >= NODES:
        return {_split("no device reaches any device of another node"): set(lost)}
    out: dict[Place, set[Pair]] = {}
    groups = _groups(known, lost)
    wide = [g for g in groups if len(g) > 1]
    if len(wide) > 1:
        number = {device: n for n, group in enumerate(wide) for device in group}
        apart = {(s, t) for s, t in lost if s in number and t in number and number[s] != number[t]}
        if apart:
            out[_split(f"{len(wide)} groups do not reach each other: {_words(wide)}")] = apart
    if len(nodes) >= NODES:
        out.update(_rails(known, lost))
    return out


def _split(note: str) -> Place:
    return Place(BlameKind.SPLIT, Where.cluster(), note=note)


def _groups(known: Iterable[Pair], lost: set[Pair]) -> list[list[Where]]:
    """Devices that reach each other, directly or over others; each group sorted, the first device's group first."""
    leader: dict[Where, Where] = {}

    def find(device: Where) -> Where:
        while leader[device] != device:
            leader[device] = leader[leader[device]]
            device = leader[device]
        return device

    for pair in known:
        for end in pair:
            leader.setdefault(end, end)
        if pair not in lost:
            leader[find(pair[0])] = find(pair[1])
    groups: dict[Where, list[Where]] = {}
    for device in sorted(leader):
        groups.setdefault(find(device), []).append(device)
    return list(groups.values())


def _rails(known: Iterable[Pair], lost: set[Pair]) -> dict[Place, set[Pair]]:
    """A rail (the devices of one device_id) on which nothing gets through, while others work: its switch."""
    measured: dict[int, set[Pair]] = {}
    for pair in known:
        if pair[0].device == pair[1].device:
            measured.setdefault(pair[0].device, set()).add(pair)
    return {
        _split(f"rail {rail}: no device {rail} reaches the device {rail} of another node"): pairs
        for rail, pairs in measured.items()
        if len(measured) > 1 and pairs <= lost
    }


def _words(groups: list[list[Where]]) -> str:
    if all(len({d.device for d in g}) == 1 for g in groups):
        return "only devices of the same device_id do (is the layout rail?)"
    nodes = [sorted({d.node for d in g}) for g in groups]
    apart = sum(len(n) for n in nodes) == len({n for names in nodes for n in names})
    shown = [
        ", ".join(n[:SHOWN]) if apart else ", ".join(str(d) for d in g[:SHOWN])
        for n, g in zip(nodes, groups, strict=True)
    ]
    sizes = [len(n) if apart else len(g) for n, g in zip(nodes, groups, strict=True)]
    parts = [s + (", ..." if size > SHOWN else "") for s, size in zip(shown, sizes, strict=True)]
    more = " | ..." if len(parts) > SHOWN else ""
    return " | ".join(parts[:SHOWN]) + more
