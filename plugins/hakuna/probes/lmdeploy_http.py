# SPDX-License-Identifier: Apache-2.0
"""LMDeploy's HTTP interface: the requests that Hakuna sends and the answers of all releases since 0.11."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hakuna.evidence import HttpAnswer, HttpRequest
from hakuna.inventory.model import Inventory
from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import shaped, shown

_JSON = {"Content-Type": "application/json"}
_OK = 200


@dataclass(frozen=True)
class Health:
    """``/health``. ``status`` is empty up to 0.13.0, whose 200 only says that the HTTP loop lives."""

    ok: bool
    status: str = ""
    message: str = ""


@dataclass(frozen=True)
class Models:
    """The ids in ``/v1/models``."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class Completion:
    """One answer of ``/v1/completions``. Token counts are None where ``usage`` is missing."""

    text: str
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None


@dataclass(frozen=True)
class ChatCompletion(Completion):
    """One answer of ``/v1/chat/completions``."""

    role: str = "assistant"
    tool_calls: int = 0


@dataclass(frozen=True)
class Stream:
    """A streamed answer. ``first_token`` in seconds since the request (0: none came); ``done``: [DONE] was the end."""

    deltas: tuple[str, ...]
    done: bool
    first_token: float
    finish_reason: str | None = None
    error: str = ""

    @property
    def text(self) -> str:
        return "".join(self.deltas)


@dataclass(frozen=True)
class ErrorBody:
    """A refusal, in FastAPI's form (``detail``) or OpenAI's (``message``, ``type``)."""

    status: int
    message: str
    kind: str = ""


def _request(
    inventory: Inventory, name: str, path: str, body: Mapping[str, Any] | bytes | None = None, **more: Any
) -> HttpRequest:
    data = (
        body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode() if body is not None else b""
    )
    return HttpRequest(
        name,
        inventory.head_node.name,
        inventory.server.port,
        "POST" if body is not None else "GET",
        path,
        data,
        _JSON if body is not None else {},
        **more,
    )


def _greedy(inventory: Inventory, max_tokens: int) -> dict[str, Any]:
    """Decoding with one right answer: LMDeploy's own top_k next to OpenAI's temperature."""
    return {"model": inventory.model_name, "max_tokens": max_tokens, "temperature": 0, "top_k": 1}


def health(inventory: Inventory, name: str) -> HttpRequest:
    return _request(inventory, name, "/health", deadline=15.0)


def models(inventory: Inventory, name: str) -> HttpRequest:
    return _request(inventory, name, "/v1/models", deadline=15.0)


def completion(inventory: Inventory, name: str, prompt: str, *, max_tokens: int) -> HttpRequest:
    body = {**_greedy(inventory, max_tokens), "prompt": prompt}
    return _request(inventory, name, "/v1/completions", body, deadline=120.0)


def chat(inventory: Inventory, name: str, prompt: str, *, max_tokens: int, stream: bool = False) -> HttpRequest:
    body = {**_greedy(inventory, max_tokens), "messages": [{"role": "user", "content": prompt}], "stream": stream}
    return _request(inventory, name, "/v1/chat/completions", body, stream=stream, deadline=120.0)


def unknown_model(inventory: Inventory, name: str) -> HttpRequest:
    """A model that nobody serves; 404 is right."""
    body = {"model": "hakuna-no-such-model", "prompt": "Hakuna", "max_tokens": 1}
    return _request(inventory, name, "/v1/completions", body)


def bad_temperature(inventory: Inventory, name: str) -> HttpRequest:
    """A temperature beyond 2; 400 (422 in old releases) is right."""
    body = {**_greedy(inventory, 1), "prompt": "Hakuna", "temperature": 3}
    return _request(inventory, name, "/v1/completions", body)


def broken_json(inventory: Inventory, name: str) -> HttpRequest:
    """A body that is no JSON; 400 (422 in old releases) is right."""
    return _request(inventory, name, "/v1/completions", b'{"model": ')


def without_key(inventory: Inventory, name: str) -> HttpRequest:
    """A good request without the API key; 401 is right."""
    body = {**_greedy(inventory, 1), "prompt": "Hakuna"}
    return _request(inventory, name, "/v1/completions", body, authorize=False)


def _object(what: str, answer: HttpAnswer) -> dict[str, Any]:
    try:
        value = json.loads(answer.text)
    except ValueError as error:
        raise UnparsedError(f"{what}: no JSON: {shown(answer.text)!r}") from error
    if not isinstance(value, dict):
        raise UnparsedError(f"{what}: no object: {shown(answer.text)!r}")
    return value


@shaped
def parse_health(answer: HttpAnswer) -> Health:
    """Read ``/health`` of any release.

    Raises:
        UnparsedError: a body that is neither empty nor an object.
    """
    ok = answer.status == _OK
    if not answer.body.strip():
        return Health(ok)
    body = _object("/health", answer)
    status = str(body.get("status") or "")
    return Health(ok and status in ("", "healthy", "sleeping"), status, str(body.get("message") or ""))


@shaped
def parse_models(answer: HttpAnswer) -> Models:
    """Read ``/v1/models``.

    Raises:
        UnparsedError: no list of models.
    """
    rows = _object("/v1/models", answer).get("data")
    if not isinstance(rows, list) or not all(isinstance(r, dict) and isinstance(r.get("id"), str) for r in rows):
        raise UnparsedError(f"/v1/models: no list of models: {shown(answer.text)!r}")
    return Models(tuple(r["id"] for r in rows))


def _choice(what: str, answer: HttpAnswer) -> tuple[dict[str, Any], dict[str, Any]]:
    body = _object(what, answer)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnparsedError(f"{what}: no choices: {shown(answer.text)!r}")
    usage = body.get("usage")
    return choices[0], usage if isinstance(usage, dict) else {}


def _tokens(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) else None


@shaped
def parse_completion(answer: HttpAnswer) -> Completion:
    """Read ``/v1/completions``.

    Raises:
        UnparsedError: no choice with a text.
    """
    choice, usage = _choice("/v1/completions", answer)
    if not isinstance(choice.get("text"), str):
        raise UnparsedError(f"/v1/completions: no text: {shown(answer.text)!r}")
    return Completion(
        choice["text"],
        choice.get("finish_reason"),
        _tokens(usage, "prompt_tokens"),
        _tokens(usage, "completion_tokens"),
        _tokens(usage, "total_tokens"),
    )


@shaped
def parse_chat(answer: HttpAnswer) -> ChatCompletion:
    """Read ``/v1/chat/completions``; an answer that is only a tool call has an empty text.

    Raises:
        UnparsedError: no choice with a message.
    """
    choice, usage = _choice("/v1/chat/completions", answer)
    message = choice.get("message")
    if not isinstance(message, dict) or "content" not in message:
        raise UnparsedError(f"/v1/chat/completions: no message: {shown(answer.text)!r}")
    return ChatCompletion(
        str(message["content"] or ""),
        choice.get("finish_reason"),
        _tokens(usage, "prompt_tokens"),
        _tokens(usage, "completion_tokens"),
        _tokens(usage, "total_tokens"),
        str(message.get("role") or ""),
        len(message.get("tool_calls") or ()),
    )


@shaped
def parse_stream(answer: HttpAnswer) -> Stream:
    """Read a stream of server-sent events, chat or completion; events may be cut anywhere by the network's chunks.

    Raises:
        UnparsedError: not one event, or an event that is no JSON.
    """
    deltas: list[str] = []
    done, first, finish, error, events = False, 0.0, None, "", 0
    for seconds, line in _lines(answer):
        if not line.startswith("data:"):
            continue
        word = line[5:].strip()
        events += 1
        if word == "[DONE]":
            done = True
            continue
        try:
            event = json.loads(word)
        except ValueError as problem:
            raise UnparsedError(f"stream: no JSON: {shown(word)!r}") from problem
        if event.get("error") or event.get("object") == "error":
            error = error or _message(event.get("error") or event)
        for choice in event.get("choices") or ():
            delta = choice.get("delta")
            text = delta.get("content") if isinstance(delta, dict) else choice.get("text")
            finish = choice.get("finish_reason") or finish
            if text:
                first = first or seconds
                deltas.append(str(text))
    if not events:
        raise UnparsedError(f"stream: no events: {shown(answer.text)!r}")
    return Stream(tuple(deltas), done, first, finish, error)


def _lines(answer: HttpAnswer) -> list[tuple[float, str]]:
    """The lines of a stream, each with the time when its end arrived."""
    found: list[tuple[float, str]] = []
    rest = b""
    chunks = answer.chunks or ((answer.first_byte, answer.body),)
    for seconds, chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        found += [(seconds, w.decode("utf-8", "replace").strip()) for w in whole]
    if rest.strip():
        found.append((chunks[-1][0], rest.decode("utf-8", "replace").strip()))
    return found


@shaped
def parse_error(answer: HttpAnswer) -> ErrorBody:
    """Read a refusal of any release.

    Raises:
        UnparsedError: the status is no error, or the body is in no known form.
    """
    if answer.status < 400:  # noqa: PLR2004  # HTTP's first error
        raise UnparsedError(f"HTTP {answer.status} is no error")
    body = _object(f"HTTP {answer.status}", answer)
    message = _message(body)
    if not message:
        raise UnparsedError(f"HTTP {answer.status}: no message: {shown(answer.text)!r}")
    inner = body.get("error") if isinstance(body.get("error"), dict) else body
    detail = body.get("detail")
    if isinstance(detail, dict) and isinstance(detail.get("error"), dict):
        inner = detail["error"]
    kind = inner.get("type") if isinstance(inner, dict) else ""
    return ErrorBody(answer.status, message, str(kind or ""))


def _message(body: Any) -> str:
    """The words of an error, wherever this release keeps them."""
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        parts = [f"{'.'.join(map(str, e.get('loc', ())))}: {e.get('msg', '')}" for e in body if isinstance(e, dict)]
        return "; ".join(parts)
    if not isinstance(body, dict):
        return ""
    return next((m for k in ("message", "error", "detail") if (m := _message(body.get(k)))), "")
