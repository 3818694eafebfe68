# SPDX-License-Identifier: Apache-2.0
"""The time in reserve for a teardown: kept even where a node hangs.

A node whose answer did not come is not asked again, so that it costs its silence once; no command is given more time
than is left; and what could not be asked any more is answered in words, as if the node had been silent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from hakuna.evidence import Batch, NodeTrouble, Trouble
from hakuna.stages.answers import Answers

#: What a batch may take beyond its commands' own deadlines: the transports' margin for a shell, and for ending one.
MARGIN = 20.0
#: A command is never given less than this: it would only be broken off in the middle.
LEAST = 1.0


class Send(Protocol):
    """:meth:`hakuna.stages.run.Run.send`, or the like outside of a run."""

    def __call__(self, name: str, batches: Mapping[str, Batch], unsent: Mapping[str, NodeTrouble] = ..., /) -> Answers:
        """Send a batch to each node but those of ``unsent``, which get that trouble for an answer."""


class Reserve:
    """Sends while there is time, to the nodes that answer. Itself a :class:`Send`."""

    def __init__(self, send: Send, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._send = send
        self._clock = clock
        self._end = clock() + seconds
        self._silent: dict[str, NodeTrouble] = {}

    @property
    def left(self) -> float:
        return max(0.0, self._end - self._clock())

    def __call__(
        self, name: str, batches: Mapping[str, Batch], unsent: Mapping[str, NodeTrouble] | None = None, /
    ) -> Answers:
        """As :class:`Send` says."""
        left = self.left
        without = dict(unsent or {}) | {n: self._silent[n] for n in batches if n in self._silent}
        if left <= MARGIN:
            words = f"the {self.seconds:.0f} s in reserve for the teardown are over (thresholds.teardown)"
            over = NodeTrouble(Trouble.DEADLINE, words)
            without = {n: without.get(n, over) for n in batches}
        answers = self._send(name, {n: _within(b, left - MARGIN) for n, b in batches.items()}, without)
        for node, answer in answers.by_node.items():
            if answer.trouble is not None:
                self._silent.setdefault(node, answer.trouble)
        return answers


def _within(batch: Batch, seconds: float) -> Batch:
    """The same commands, none of which may take longer than its share of the time."""
    lanes: dict[str, int] = {}
    for command in batch:
        lanes[command.lane] = lanes.get(command.lane, 0) + 1
    return Batch(tuple(replace(c, deadline=min(c.deadline, max(LEAST, seconds / lanes[c.lane]))) for c in batch))
