# SPDX-License-Identifier: Apache-2.0
"""What a row of the table of releases is."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

#: Chips by the names that inventories have (:class:`hakuna.inventory.model.Chip`).
A2, A3, DUO = CHIPS = ("atlas-800t-a2", "atlas-800t-a3", "atlas-300i-duo")


class Comparable(Protocol):
    """A release as whoever asks compares them."""

    def __lt__(self, other: Any, /) -> bool: ...


V = TypeVar("V", bound=Comparable)


class Topology(enum.Enum):
    """Over how many nodes tensor parallelism goes."""

    ONE = "one node"
    SEVERAL = "several nodes"

    @classmethod
    def of(cls, nodes: int) -> Topology:
        return cls.SEVERAL if nodes > 1 else cls.ONE


class Behaviour(enum.Enum):
    """What can differ from release to release; the value is its name in the table."""

    SPANS = "several nodes"
    TABLE = "rank table"
    FORMAT = "rank table's format"
    DEVICE = "device of a worker"
    RANKS = "check of ranks"
    EAGER = "eager mode"
    FORWARDED = "environment of workers"
    IF_IP = "HCCL_IF_IP"
    NOSET = "visible devices"
    HEALTH = "/health"
    DEATH = "death of the engine"
    REFUSAL = "validation error"
    STOPPED = "answer of a stopped engine"
    KEY = "API key"


class TableUse(enum.Enum):
    """What a release does with ASCEND_RANK_TABLE_FILE_PATH."""

    UNREAD = "not read"
    READ = "read when it is set"
    NEEDED = "needed"


class DeviceChoice(enum.Enum):
    """What a worker takes its device from."""

    RANK = "its rank"  # one machine only
    LIST_POSITION = "position in the table's device list"  # device_id is ignored
    DEVICE_ID = "device_id of the table"  # the position where it is missing
    WORKER_INDEX = "its index within its node"  # no table


class EagerDemand(enum.Enum):
    """Whether a deployment must run in eager mode."""

    REQUIRED = "required"
    ADVISED = "advised"
    FORBIDDEN = "forbidden"
    FREE = "free"


@dataclass(frozen=True)
class Row:
    """From release ``since`` on, and before ``until`` (empty: from the first, to the newest), ``value`` holds.

    ``chips`` and ``topology`` limit it to some; ``says`` is what is told to people, ``source`` what it rests on.
    """

    key: str
    behaviour: Behaviour
    value: Any
    says: str
    source: str
    since: str = ""
    until: str = ""
    chips: tuple[str, ...] = CHIPS
    topology: Topology | None = None

    def fits(self, chip: str | None, topology: Topology | None) -> bool:
        """Whether it speaks of this chip and topology; None where the answer must not depend on it."""
        return (chip is None or chip in self.chips) and (None in (topology, self.topology) or topology is self.topology)

    def holds(self, release: V, read: Callable[[str], V]) -> bool:
        """Whether it holds for a release; ``read`` makes of a release's text what ``release`` is."""
        return not (self.since and release < read(self.since)) and not (self.until and not release < read(self.until))

    @property
    def releases(self) -> str:
        """The releases that it holds for, in words."""
        if self.since and self.until:
            return f"from {self.since}, before {self.until}"
        return f"from {self.since}" if self.since else f"before {self.until}" if self.until else "every release"

    @property
    def scope(self) -> str:
        """Releases, chips and topology that it holds for, in words."""
        chips = "" if self.chips == CHIPS else " and ".join(self.chips)
        return ", ".join(x for x in (self.releases, chips, self.topology.value if self.topology else "") if x)

    @property
    def ground(self) -> str:
        return f"{self.says} ({self.source})"
