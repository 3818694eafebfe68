# SPDX-License-Identifier: Apache-2.0
"""The answers of all nodes to one batch, and readings made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from hakuna.evidence import Ending, NodeAnswer, Outcome
from hakuna.probes.reading import Reading, ReadingState, Table, read
from hakuna.where import Where

T = TypeVar("T")


@dataclass(frozen=True)
class Answers:
    """``name`` is the batch's name; readings name their evidence ``NAME/NODE/COMMAND``."""

    name: str
    by_node: Mapping[str, NodeAnswer]

    def outcome(self, node: str, command: str) -> Outcome:
        answer = self.by_node.get(node)
        found = answer.outcomes.get(command) if answer else None
        return found or Outcome(command, Ending.NOT_RUN)

    def reading(self, node: str, command: str, parse: Callable[[str], T], where: Where | None = None) -> Reading[T]:
        """What ``parse`` makes of one command's output, at ``where`` (the node if not given)."""
        answer = self.by_node.get(node)
        place = where if where is not None else Where(node)
        source = f"{self.name}/{node}/{command}"
        return read(place, self.outcome(node, command), parse, source, answer.trouble if answer else None)

    def per_node(self, command: str, parse: Callable[[str], T]) -> Table[T]:
        """One command's readings on all nodes that were asked it."""
        asked = [n for n, a in self.by_node.items() if command in a.outcomes]
        return Table({Where(n): self.reading(n, command, parse) for n in asked})

    def per_device(self, command: str, parse: Callable[[str], T], devices: Iterable[Where]) -> Table[T]:
        """The readings of ``COMMAND/DEVICE`` for each device."""
        return Table({d: self.reading(d.node, f"{command}/{d.device}", parse, d) for d in devices})


def lost(where: Where, detail: str, source: str = "") -> Reading[T]:
    """A reading that does not exist, because what it needs never came about."""
    return Reading(where, ReadingState.LOST, None, detail, source)
