# SPDX-License-Identifier: Apache-2.0
"""Faults of a simulated cluster: how they are written (``NAME[@PLACE]``), and where one is when no place is given.

The catalogue itself stands in :mod:`hakuna.simulator.catalogue`.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from hakuna.inventory.model import Inventory
from hakuna.simulator.catalogue import CATALOGUE, VARIANTS, FaultKind, Scope, markdown
from hakuna.where import Where

#: The device that a fault is on when no place is given: one in the middle, so that "the first" can not pass by luck.
DEFAULT_DEVICE = 3


@dataclass(frozen=True)
class Fault:
    """One fault: its name in the catalogue and the place that it is at."""

    name: str
    where: Where

    @property
    def kind(self) -> FaultKind:
        return CATALOGUE[self.name]

    def __str__(self) -> str:
        if not self.where.node:
            return self.name
        return f"{self.name}@{str(self.where).replace(' -> ', '>')}"


def parse_fault(text: str, inventory: Inventory) -> Fault:
    """Read ``NAME[@node[/device][>node[/device]]]``.

    Without a place the fault is at the last node, there at device 3 when it belongs to a device; a pair goes
    from the first node (device 0) to that place.

    Raises:
        ValueError: no such fault or place (with the nearest name that exists), or not the kind of place that
            the fault can be at.
    """
    name, at, place = text.strip().partition("@")
    if name in VARIANTS:
        entries = ", ".join(f"{path}: {value}" for path, value in VARIANTS[name].settings.items())
        raise ValueError(f"fault {name!r} is one of the inventory itself: write {entries}")
    if name not in CATALOGUE:
        raise ValueError(f"no fault is called {name!r}{_nearest(name, CATALOGUE)}")
    kind = CATALOGUE[name]
    if not at:
        return Fault(name, default_place(kind.scope, inventory))
    source, arrow, target = place.partition(">")
    where = _place(source.strip(), inventory, text)
    if arrow:
        where = Where.pair(where, _place(target.strip(), inventory, text))
    if not _fits(kind.scope, where):
        raise ValueError(f"fault {text!r}: {name} belongs to {_PLACES[kind.scope]}, not to {where}")
    return Fault(name, where)


def parse_faults(texts: Iterable[str], inventory: Inventory) -> tuple[Fault, ...]:
    """Several faults, in order.

    Raises:
        ValueError: as :func:`parse_fault`.
    """
    return tuple(parse_fault(text, inventory) for text in texts)


def default_place(scope: Scope, inventory: Inventory) -> Where:
    """Where a fault is that was given without a place."""
    first, last = inventory.nodes[0], inventory.nodes[-1]
    device = DEFAULT_DEVICE if DEFAULT_DEVICE in last.device_ids else last.device_ids[-1]
    if scope is Scope.CLUSTER:
        return Where.cluster()
    if scope is Scope.NODE:
        return last.where
    if scope is Scope.DEVICE:
        return Where(last.name, device)
    if scope is Scope.NODE_PAIR:
        return Where.pair(first.where, last.where)
    return Where.pair(Where(first.name, first.device_ids[0]), Where(last.name, device))


_PLACES = {
    Scope.CLUSTER: "the cluster (it takes no place)",
    Scope.NODE: "a node (@NODE)",
    Scope.DEVICE: "a device (@NODE/DEVICE) or all devices of a node (@NODE)",
    Scope.NODE_PAIR: "a pair of nodes (@NODE>NODE)",
    Scope.PAIR: "a pair of devices (@NODE/DEVICE>NODE/DEVICE)",
}


def _fits(scope: Scope, where: Where) -> bool:
    if scope is Scope.DEVICE:
        return not where.is_pair
    if scope is Scope.NODE:
        return not where.is_pair and where.device < 0
    if scope is Scope.NODE_PAIR:
        return where.is_pair and where.device < 0 and where.peer_device < 0
    if scope is Scope.PAIR:
        return where.is_pair and where.device >= 0 and where.peer_device >= 0
    return False


def _place(text: str, inventory: Inventory, fault: str) -> Where:
    name, slash, device = text.partition("/")
    try:
        node = inventory.node(name)
    except KeyError:
        nearest = _nearest(name, [n.name for n in inventory.nodes])
        raise ValueError(f"fault {fault!r}: no node is called {name!r}{nearest}") from None
    if not slash:
        return node.where
    if not (device.isascii() and device.isdigit()) or int(device) not in node.device_ids:
        raise ValueError(f"fault {fault!r}: {name} has no device {device!r}; it has {_span(node.device_ids)}")
    return Where(name, int(device))


def _span(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(list(known)[:60])}"


def main() -> int:
    """Print the catalogue as docs/faults.md has it."""
    sys.stdout.write(markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
