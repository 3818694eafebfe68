# SPDX-License-Identifier: Apache-2.0
"""Readings: what a parser made of one outcome, and tables of them that remember what was consulted.

A green must rest on evidence. A check reads facts only through a :class:`Table` (or one :class:`Reading`),
and each access is told to the :class:`Consulted` of the check that runs, if there is one. What could not be
read is never an empty value: iteration leaves it out, but the check's verdict hears of it.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hakuna.evidence import Ending, NodeTrouble, Outcome
from hakuna.where import Where

T = TypeVar("T")
U = TypeVar("U")


class ReadingState(enum.Enum):
    """What became of one command's output."""

    READ = "read"  # a parser recognised it; ``value`` holds the fact
    UNPARSED = "unparsed"  # the command answered, but no parser recognises the text
    FAILED = "failed"  # the command could not do its work (missing tool, permission, its own deadline)
    LOST = "lost"  # there is no answer: the transport had trouble


@dataclass(frozen=True)
class Reading(Generic[T]):
    """One fact or the reason why there is none. ``source`` names the evidence ("network/node-a/hccn.ip/3")."""

    where: Where
    state: ReadingState
    fact: T | None = None
    detail: str = ""
    source: str = ""
    trouble: NodeTrouble | None = None

    @property
    def value(self) -> T:
        """The fact.

        Raises:
            UnreadableError: there is none; the running check becomes UNPARSED, ERROR or BLOCKED.
        """
        consulted = CONSULTED.get()
        if consulted is not None:
            consulted.add(self)
        if self.state is not ReadingState.READ:
            raise UnreadableError(self)
        return self.fact  # type: ignore[return-value]  # READ always carries a fact (which may be None itself)

    @property
    def readable(self) -> bool:
        return self.state is ReadingState.READ


class UnreadableError(Exception):
    """A check asked for a fact that could not be read."""

    def __init__(self, reading: Reading[object] | Reading[T]) -> None:
        super().__init__(f"{reading.where}: {reading.state.value}: {reading.detail}")
        self.reading = reading


class UnparsedError(ValueError):
    """Raised by a parser: the text is not what the tool is known to print. The message says why."""


#: What the source of a reading of the inventory begins with.
INVENTORY = "inventory:"


@dataclass
class Consulted:
    """What one running check has looked at."""

    readings: dict[str, Reading[object]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, number: int) -> None:
        """Count ``number`` facts at once: a mesh has millions, and no check needs each of them remembered."""
        self.counts[name] = number

    def add(self, reading: Reading[T]) -> None:
        self.readings[f"{reading.where}|{reading.source}"] = reading  # type: ignore[assignment]  # only kept, never written through

    @property
    def unreadable(self) -> list[Reading[object]]:
        return [r for r in self.readings.values() if not r.readable]

    @property
    def read_count(self) -> int:
        """How many facts of the nodes could be read; what the inventory says is an expectation, not evidence."""
        single = sum(r.readable and not r.source.startswith(INVENTORY) for r in self.readings.values())
        return single + sum(self.counts.values())

    @property
    def expectation_count(self) -> int:
        """How often the inventory was looked at."""
        return sum(r.source.startswith(INVENTORY) for r in self.readings.values())


#: The running check's record; unset outside of checks (in parsers' and judges' own tests).
CONSULTED: ContextVar[Consulted | None] = ContextVar("hakuna_consulted", default=None)


def read(
    where: Where, outcome: Outcome, parse: Callable[[str], T], source: str, trouble: NodeTrouble | None = None
) -> Reading[T]:
    """Turn an outcome into a reading with ``parse``, which gets stdout + stderr as text.

    A parser is called whenever the command ended with an exit status, whatever that was: tools here say much
    in words and little in exit codes. It returns a fact or raises :class:`UnparsedError`. Exit codes 126 and 127
    (cannot run, not found) are FAILED without asking the parser.
    """
    if outcome.ending in (Ending.LOST, Ending.NOT_RUN):
        detail = trouble.detail if trouble else "no answer from the node"
        return Reading(where, ReadingState.LOST, None, detail, source, trouble)
    if outcome.ending is Ending.TIMED_OUT:
        return Reading(
            where, ReadingState.FAILED, None, f"no end within its deadline ({outcome.seconds:.0f} s)", source
        )
    text = outcome.all_text
    if outcome.exit_code in (126, 127):
        return Reading(
            where, ReadingState.FAILED, None, text.strip()[:300] or f"exit status {outcome.exit_code}", source
        )
    if outcome.stdout_cut:
        return Reading(where, ReadingState.UNPARSED, None, "output was cut: longer than its limit", source)
    try:
        return Reading(where, ReadingState.READ, parse(text), "", source)
    except UnparsedError as error:
        return Reading(where, ReadingState.UNPARSED, None, f"{error} (exit status {outcome.exit_code})", source)


class Table(Generic[T]):
    """Readings of one kind by place, in a fixed order. Iterating gives ``(where, value)`` of the readable ones."""

    def __init__(self, readings: Mapping[Where, Reading[T]]) -> None:
        self.readings = dict(readings)

    def _consult(self, reading: Reading[T]) -> Reading[T]:
        consulted = CONSULTED.get()
        if consulted is not None:
            consulted.add(reading)
        return reading

    def __iter__(self) -> Iterator[tuple[Where, T]]:
        for where, reading in self.readings.items():
            if self._consult(reading).readable:
                yield where, reading.value

    def __len__(self) -> int:
        return len(self.readings)

    def __contains__(self, where: Where) -> bool:
        return where in self.readings

    def __getitem__(self, where: Where) -> T:
        return self.readings[where].value

    def get(self, where: Where) -> T | None:
        """The value at a place, or None if it could not be read (which the running check hears of)."""
        reading = self.readings.get(where)
        if reading is None or not self._consult(reading).readable:
            return None
        return reading.value

    def map(self, get: Callable[[T], U]) -> Table[U]:
        """The same readings with ``get`` applied to each fact."""
        return Table(
            {
                w: Reading(w, r.state, get(r.fact) if r.readable else None, r.detail, r.source, r.trouble)  # type: ignore[arg-type]
                for w, r in self.readings.items()
            }
        )

    def where(self, keep: Callable[[Where], bool]) -> Table[T]:
        """Only the readings at places that ``keep`` accepts."""
        return Table({w: r for w, r in self.readings.items() if keep(w)})

    @property
    def majority(self) -> T | None:
        """The value that most readable places have (None without any). On a tie, the one met first."""
        counts = self._counts()
        return max(counts.values(), key=lambda pair: pair[0])[1] if counts else None

    def minority(self) -> list[tuple[Where, T]]:
        """The places whose value is not the majority's: those to blame when all should agree."""
        if not self._counts():
            return []
        majority = self.majority
        return [(w, v) for w, v in self if v != majority]

    def duplicates(self) -> list[tuple[T, list[Where]]]:
        """Values that stand at more than one place, each with its places."""
        places: dict[Hashable, tuple[T, list[Where]]] = {}
        for where, value in self:
            places.setdefault(_key(value), (value, []))[1].append(where)
        return [pair for pair in places.values() if len(pair[1]) > 1]

    def _counts(self) -> dict[Hashable, tuple[int, T]]:
        values = [v for _, v in self]
        counted = Counter(_key(v) for v in values)
        return {_key(v): (counted[_key(v)], v) for v in values}


def _key(value: object) -> Hashable:
    return value if isinstance(value, Hashable) else repr(value)
