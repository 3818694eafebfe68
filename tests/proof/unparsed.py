# SPDX-License-Identifier: Apache-2.0
"""The mutant of every check: UNPARSED taken for empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mutator

from hakuna.judgement.findings import Findings
from hakuna.probes.reading import Consulted, ReadingState

#: Checks that report what cannot be parsed as a FAIL of their own, at the same place: the table cannot be made of it.
TOLD_ANYWAY = ("RNK400",)


@contextmanager
def unparsed_is_empty() -> Iterator[None]:
    """The mutant of every check: what cannot be parsed is left out, as if it were not there."""
    unreadable, unparsed = Consulted.unreadable, Findings.unparsed

    def only_lost(consulted: Consulted) -> list[Any]:
        kept = [r for r in consulted.readings.values() if not r.readable]
        lost = [r for r in kept if r.state is ReadingState.LOST]
        if len(lost) < len(kept):
            mutator.DROPPED.add("UNPARSED as empty")
        return lost

    def silent(_findings: Findings, _message: str) -> None:
        mutator.DROPPED.add("UNPARSED as empty")

    Consulted.unreadable = property(only_lost)  # type: ignore[assignment,method-assign]  # a mutant
    Findings.unparsed = silent  # type: ignore[method-assign]  # a mutant
    try:
        yield
    finally:
        Consulted.unreadable = unreadable  # type: ignore[method-assign]  # as it was
        Findings.unparsed = unparsed  # type: ignore[method-assign]  # as it was
