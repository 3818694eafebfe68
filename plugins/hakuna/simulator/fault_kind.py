# SPDX-License-Identifier: Apache-2.0
"""What an entry of the fault catalogue holds."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Scope(enum.Enum):
    """What a fault belongs to. DEVICE faults may be given a node: then all its devices have it."""

    CLUSTER = "cluster"
    NODE = "node"
    DEVICE = "device"
    NODE_PAIR = "node pair"
    PAIR = "device pair"
    INVENTORY = "inventory"


class Shows(enum.Enum):
    """Where a fault is to be reported, when that is not the place it is at."""

    HERE = "where it is"
    HEAD = "the head"
    CLUSTER = "the cluster"
    NODES = "every node"
    LAST_DEVICE = "the last device"
    NEIGHBOUR = "the device before it"
    NEIGHBOUR_TOO = "the device and the one before it"


@dataclass(frozen=True)
class FaultKind:
    """One entry. ``rule`` is the code that must report it, ``blocks`` what can not be judged because of it.

    ``verdict`` is the rule's verdict then; ``shows`` where it is told. ``settings`` are inventory entries (dotted) that
    the fault needs to be seen at all; of a fault of scope INVENTORY they are the fault itself. ``also`` are further
    rules that cannot be judged without being blocked (the same evidence is unreadable to them).
    """

    name: str
    scope: Scope
    summary: str
    rule: str
    blocks: str = ""
    source: str = ""
    verdict: str = "FAIL"
    shows: Shows = Shows.HERE
    settings: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Combination:
    """Several faults at once. ``faults`` are written as ``--fault`` takes them, ``causes`` as reports name them."""

    name: str
    faults: tuple[str, ...]
    causes: tuple[str, ...]
    why: str
    source: str
    settings: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
