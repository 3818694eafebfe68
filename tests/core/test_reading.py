# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hakuna.evidence import Ending, NodeTrouble, Outcome, Trouble
from hakuna.probes.reading import (
    CONSULTED,
    Consulted,
    Reading,
    ReadingState,
    Table,
    UnparsedError,
    UnreadableError,
    read,
)
from hakuna.where import Where

A, B, C = Where("a"), Where("b"), Where("c")


def number(text):
    if not text.strip().isdigit():
        raise UnparsedError("not a number")
    return int(text)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome("x", Ending.EXITED, 0, b"7"), ReadingState.READ),
        (Outcome("x", Ending.EXITED, 1, b"7"), ReadingState.READ),
        (Outcome("x", Ending.EXITED, 0, b"seven"), ReadingState.UNPARSED),
        (Outcome("x", Ending.EXITED, 0, b""), ReadingState.UNPARSED),
        (Outcome("x", Ending.EXITED, 127, b"", b"sh: 1: x: not found"), ReadingState.FAILED),
        (Outcome("x", Ending.TIMED_OUT, -1, b"7"), ReadingState.FAILED),
        (Outcome("x", Ending.LOST), ReadingState.LOST),
        (Outcome("x", Ending.NOT_RUN), ReadingState.LOST),
        (Outcome("x", Ending.EXITED, 0, b"7", stdout_cut=True), ReadingState.UNPARSED),
    ],
)
def test_an_outcome_becomes_a_reading_of_its_kind(outcome, state):
    assert read(A, outcome, number, "e").state is state


def test_a_lost_reading_says_what_the_transport_said():
    trouble = NodeTrouble(Trouble.UNREACHABLE, "no route")
    reading = read(A, Outcome("x", Ending.NOT_RUN), number, "e", trouble)
    assert (reading.detail, reading.trouble) == ("no route", trouble)


def test_the_value_of_an_unreadable_reading_is_an_error_and_is_remembered():
    consulted = Consulted()
    token = CONSULTED.set(consulted)
    try:
        reading = Reading(A, ReadingState.UNPARSED, None, "odd", "e")
        with pytest.raises(UnreadableError, match="odd"):
            _ = reading.value
    finally:
        CONSULTED.reset(token)
    assert [r.where for r in consulted.unreadable] == [A]
    assert consulted.read_count == 0


def table(**values):
    return Table(
        {
            Where(n): Reading(Where(n), ReadingState.READ if v is not None else ReadingState.LOST, v, "", n)
            for n, v in values.items()
        }
    )


def test_iterating_leaves_out_what_could_not_be_read_but_tells_of_it():
    consulted = Consulted()
    token = CONSULTED.set(consulted)
    try:
        assert list(table(a=1, b=None, c=1)) == [(A, 1), (C, 1)]
    finally:
        CONSULTED.reset(token)
    assert [r.where for r in consulted.unreadable] == [B]
    assert consulted.read_count == 2


def test_majority_and_minority():
    assert table(a=1, b=2, c=2).majority == 2
    assert table(a=1, b=2, c=2).minority() == [(A, 1)]
    assert table(a=1, b=2).majority == 1
    assert table(a=1, b=2).minority() == [(B, 2)]
    assert table(b=None).majority is None
    assert table(b=None).minority() == []


def test_duplicates_name_all_places():
    assert table(a=1, b=2, c=1).duplicates() == [(1, [A, C])]


def test_map_keeps_what_could_not_be_read():
    mapped = table(a=1, b=None).map(lambda v: v * 10)
    assert mapped.readings[A].fact == 10
    assert mapped.readings[B].state is ReadingState.LOST
