# SPDX-License-Identifier: Apache-2.0
"""What the model was asked and what it answered, and how fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hakuna.evidence import HttpAnswer
from hakuna.evidence.store import EvidenceStore
from hakuna.probes import lmdeploy, lmdeploy_http
from hakuna.probes.reading import UnparsedError, read
from hakuna.where import Where

#: How the model was reached, by name of the request; kept apart as the checks do.
_DOORS = (
    ("completion", "generation.completion", lmdeploy_http.parse_completion),
    ("chat", "generation.chat", lmdeploy_http.parse_chat),
)


@dataclass(frozen=True)
class Answer:
    """One answer. ``first_token`` and ``seconds`` in seconds, None or 0 where unknown; ``error`` instead of a text."""

    door: str
    text: str = ""
    tokens: int | None = None
    seconds: float = 0.0
    first_token: float | None = None
    error: str = ""

    @property
    def rate(self) -> float | None:
        """Completion tokens per second."""
        return self.tokens / self.seconds if self.tokens and self.seconds else None


@dataclass(frozen=True)
class Generation:
    """All answers to one prompt."""

    prompt: str = ""
    answers: tuple[Answer, ...] = ()

    @property
    def first_token(self) -> float | None:
        return next((a.first_token for a in self.answers if a.first_token), None)

    @property
    def rate(self) -> float | None:
        return next((a.rate for a in self.answers if a.rate), None)


def generation(store: EvidenceStore, prompt: str, head: str) -> Generation:
    """Read the answers that the stage generation got."""
    found = [a for door, name, parse in _DOORS if (a := _answer(store, door, name, parse)) is not None]
    if (stream := _stream(store)) is not None:
        found.append(stream)
    if (pipeline := _pipeline(store, head)) is not None:
        found.append(pipeline)
    return Generation(prompt if found else "", tuple(found))


def _answer(
    store: EvidenceStore, door: str, name: str, parse: Callable[[HttpAnswer], lmdeploy_http.Completion]
) -> Answer | None:
    heard = store.http(name)
    if heard is None:
        return None
    if heard.error:
        return Answer(door, seconds=heard.seconds, error=heard.error)
    try:
        parsed = parse(heard)
    except UnparsedError as error:
        return Answer(door, seconds=heard.seconds, error=f"HTTP {heard.status}: {error}")
    return Answer(door, parsed.text, parsed.completion_tokens, heard.seconds)


def _stream(store: EvidenceStore) -> Answer | None:
    heard = store.http("generation.stream")
    if heard is None:
        return None
    if heard.error:
        return Answer("stream", seconds=heard.seconds, error=heard.error)
    try:
        parsed = lmdeploy_http.parse_stream(heard)
    except UnparsedError as error:
        return Answer("stream", seconds=heard.seconds, error=f"HTTP {heard.status}: {error}")
    return Answer("stream", parsed.text, None, heard.seconds, parsed.first_token or None, parsed.error)


def _pipeline(store: EvidenceStore, head: str) -> Answer | None:
    answer = (store.answers("server.pipeline") or {}).get(head)
    outcome = answer.outcomes.get("pipeline") if answer else None
    if answer is None or outcome is None:
        return None
    reading = read(Where(head), outcome, lmdeploy.parse_pipeline, "", answer.trouble)
    if reading.fact is None:
        return Answer("pipeline", error=reading.detail)
    fact = reading.fact
    return Answer("pipeline", fact.text, fact.output_tokens, fact.seconds, None, fact.error)
