# SPDX-License-Identifier: Apache-2.0
"""The decoder against streams that end anywhere, and against output that plays a frame."""

from __future__ import annotations

import functools
import itertools
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakuna.evidence import Batch, Command, Ending
from hakuna.transports.framing import Decoder, new_nonce, script

NONCE = "0123456789abcdef0123456789abcdef"
BATCH = Batch(
    (
        Command("text", ("printf", "no newline at the end")),
        Command("binary", ("cat",), stdin=bytes(range(256)), lane="b"),
        Command("both", ("sh", "-c", "echo out; echo err >&2; exit 3"), lane="b"),
        Command("silent", ("true",), lane="c"),
        Command("frame", ("printf", "%s", "\n@00000000000000000000000000000000 E 5\n\n@"), lane="c"),
    )
)


@functools.cache
def recorded() -> bytes:
    """What a real shell answers to the batch."""
    return subprocess.run(["/bin/sh", "-s"], input=script(BATCH, NONCE), capture_output=True, check=True).stdout


@functools.cache
def whole() -> dict[str, object]:
    decoder = Decoder(BATCH, NONCE)
    decoder.feed(recorded())
    assert decoder.complete
    return dict(decoder.outcomes())


def test_the_whole_stream_gives_every_outcome() -> None:
    outcomes = whole()
    assert outcomes["text"].stdout == b"no newline at the end"
    assert outcomes["binary"].stdout == bytes(range(256))
    assert (outcomes["both"].stdout, outcomes["both"].stderr, outcomes["both"].exit_code) == (b"out\n", b"err\n", 3)
    assert outcomes["silent"].ok
    assert outcomes["frame"].stdout == b"\n@00000000000000000000000000000000 E 5\n\n@"


def test_a_stream_cut_at_any_byte_gives_finished_frames_and_lost_ones_but_never_other_data() -> None:
    stream = recorded()
    counts = set()
    for stop in range(len(stream)):
        decoder = Decoder(BATCH, NONCE)
        decoder.feed(stream[:stop])
        outcomes = decoder.outcomes()
        assert set(outcomes) == {c.id for c in BATCH}
        for name, outcome in outcomes.items():
            assert outcome == whole()[name] or (outcome.ending is Ending.LOST and outcome.stdout == b"")
        # The end mark's own last newline is all that may be missing.
        assert not decoder.ended
        counts.add(sum(o.ending is Ending.EXITED for o in outcomes.values()))
    assert counts == set(range(len(BATCH) + 1))


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, 2000), max_size=30))
def test_how_the_stream_is_cut_into_pieces_does_not_matter(cuts: list[int]) -> None:
    stream = recorded()
    points = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    decoder = Decoder(BATCH, NONCE)
    for start, stop in itertools.pairwise(points):
        decoder.feed(stream[start:stop])
    assert decoder.complete
    assert dict(decoder.outcomes()) == whole()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 10_000))
def test_foreign_bytes_in_the_stream_never_become_data(junk: bytes, where: int) -> None:
    # Before any of the script's own lines: between frames, and inside of one before its end.
    parts = recorded().split(f"\n@{NONCE} ".encode())
    at = where % (len(parts) - 1)
    parts[at] += junk
    decoder = Decoder(BATCH, NONCE)
    decoder.feed(f"\n@{NONCE} ".encode().join(parts))
    for name, outcome in decoder.outcomes().items():
        assert outcome == whole()[name] or (outcome.ending is Ending.LOST and not outcome.stdout)
    assert decoder.ended


def test_noise_before_the_script_is_kept_apart() -> None:
    decoder = Decoder(BATCH, NONCE)
    decoder.feed(b"Welcome to node-a!\n" + recorded())
    assert decoder.complete
    assert decoder.noise.startswith(b"Welcome to node-a!")


def test_frames_of_another_batch_are_not_ours() -> None:
    decoder = Decoder(BATCH, new_nonce())
    decoder.feed(recorded())
    assert not decoder.begun
    assert {o.ending for o in decoder.outcomes().values()} == {Ending.LOST}
    assert {o.ending for o in decoder.outcomes(sent=False).values()} == {Ending.NOT_RUN}


@pytest.mark.parametrize(
    "line",
    [
        "F 99 0 - 1.0 2.0 0 0",
        "F -1 0 - 1.0 2.0 0 0",
        "F 0 0 - 1.0 2.0 99999999 0",
        "F 0 0 - 1.0 2.0 -5 0",
        "F 0 zero - 1.0 2.0 0 0",
        "F 0",
        "D 99",
        "B",
        "?",
        "",
    ],
)
def test_a_line_that_the_script_never_writes_is_not_believed(line: str) -> None:
    decoder = Decoder(BATCH, NONCE)
    decoder.feed(f"\n@{NONCE} {line}\n\n@{NONCE} ;\n".encode())
    assert all(o.ending is Ending.LOST for o in decoder.outcomes().values())
    assert not decoder.ended


def test_a_frame_that_is_shorter_than_it_says_loses_only_itself() -> None:
    decoder = Decoder(BATCH, NONCE)
    decoder.feed(
        f"\n@{NONCE} B 1 10.00\n"
        f"\n@{NONCE} F 0 0 - 11.00 12.00 50 0\nonly this\n@{NONCE} ;\n"
        f"\n@{NONCE} F 3 0 - 12.00 12.50 0 0\n\n@{NONCE} ;\n"
        f"\n@{NONCE} F 4 0 - 12.00 12.50 2 0\nok\n@{NONCE} ;\n"
        f"\n@{NONCE} E 5\n".encode()
    )
    outcomes = decoder.outcomes()
    assert outcomes["text"].ending is Ending.LOST
    assert outcomes["frame"].stdout == b"ok"
    assert (outcomes["frame"].started, outcomes["frame"].seconds) == (2.0, 0.5)
    assert decoder.problem
    assert decoder.ended
    assert not decoder.complete


def test_memory_does_not_grow_with_noise() -> None:
    decoder = Decoder(BATCH, NONCE)
    for _ in range(200):
        decoder.feed(b"y" * 65536)
    assert len(decoder.noise) < 10_000
    assert len(decoder._buffer) < 1000
