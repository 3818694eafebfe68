# SPDX-License-Identifier: Apache-2.0
"""What is asked of a release's server and of the simulated one alike, and what of the answers is compared.

Everything but text, counts, times and made-up ids must be the same: status, content type, every field and its value.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

TEXT = "/v1/completions"
CHAT = "/v1/chat/completions"
_JSON = {"Content-Type": "application/json"}
_LONG, _SHORT = 64, 3  # tokens: beyond what both servers say, and less


class Server(enum.Enum):
    """Which of the servers that stand is asked."""

    PLAIN = "plain"
    KEYED = "keyed"
    DEAD = "dead"  # its engine has stopped


@dataclass(frozen=True)
class Exchange:
    """One request. ``point`` is the column of the table that it counts for."""

    point: str
    name: str
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    server: Server = Server.PLAIN
    since: tuple[int, int, int] = (0, 0, 0)  # older releases leave the answer to the engine

    @property
    def data(self) -> bytes | None:
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body).encode()


@dataclass(frozen=True)
class Said:
    """What is compared of an answer."""

    status: int
    kind: str
    allow: str
    body: Any

    def differences(self, simulated: Said) -> list[str]:
        """What the simulated server says otherwise, as ``place: real, not simulated``."""
        found = [
            f"{name}: {real!r}, not {other!r}"
            for name, real, other in (
                ("status", self.status, simulated.status),
                ("content-type", self.kind, simulated.kind),
                ("allow", self.allow, simulated.allow),
            )
            if real != other
        ]
        return found + _differences("body", self.body, simulated.body)


def _differences(place: str, real: Any, simulated: Any) -> list[str]:
    if isinstance(real, dict) and isinstance(simulated, dict):
        found: list[str] = []
        for name in sorted({*real, *simulated}):
            here = f"{place}.{name}"
            if name not in simulated:
                found.append(f"{here}: {real[name]!r} is missing")
            elif name not in real:
                found.append(f"{here}: {simulated[name]!r} is too much")
            else:
                found += _differences(here, real[name], simulated[name])
        return found
    if isinstance(real, list) and isinstance(simulated, list) and len(real) == len(simulated):
        pairs = enumerate(zip(real, simulated, strict=True))
        return [d for i, (a, b) in pairs for d in _differences(f"{place}[{i}]", a, b)]
    return [] if real == simulated else [f"{place}: {real!r}, not {simulated!r}"]


def ask(exchange: Exchange, port: int) -> Said:
    """Put the request to the server that listens at ``port`` of this machine."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(
            exchange.method,
            f"http://127.0.0.1:{port}{exchange.path}",
            data=exchange.data,
            headers={**(_JSON if exchange.body is not None else {}), **exchange.headers},
            timeout=30,
        )
    kind = answer.headers.get("content-type", "")
    told = "TEXT" if exchange.path == "/openapi.json" and answer.ok else _body(kind, answer.content)
    return Said(answer.status_code, kind, answer.headers.get("allow", ""), told)


#: Fields whose values are no part of the contract, only that they are there and of which type they are.
_LOOSE = frozenset(
    ("created", "content", "text", "prompt_tokens", "completion_tokens", "total_tokens", "length", "cached_tokens")
)
_IDS = (
    (re.compile(r"(chatcmpl|modelperm|cmpl)-.+"), r"\1-ID"),
    (re.compile(r"\d+"), "NUMBER"),
)


def _body(kind: str, raw: bytes) -> Any:
    if kind.startswith("text/event-stream"):
        return _events(raw.decode())
    if kind.startswith("application/json"):
        return _loose("", json.loads(raw))
    return "TEXT" if raw else ""


def _events(text: str) -> list[Any]:
    """The kinds of events, in order: events alike that follow each other count as one."""
    found: list[Any] = []
    for line in text.split("\n\n"):
        word = line.removeprefix("data: ").strip()
        if word:
            event = word if word == "[DONE]" else _loose("", json.loads(word))
            if not found or found[-1] != event:
                found.append(event)
    return found


def _loose(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _loose(key, one) for key, one in value.items()}
    if isinstance(value, list):
        if name in ("output_ids", "input_ids", "length"):
            return sorted({repr(_loose(name, one)) for one in value})
        return [_loose(name, one) for one in value]
    if name == "id" and isinstance(value, str):
        return next((p.sub(word, value) for p, word in _IDS if p.fullmatch(value)), value)
    if (name in _LOOSE or name in ("output_ids", "input_ids")) and value not in ("", None):
        return type(value).__name__.upper()
    return value


def chat(model: str, /, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hakuna Matata"}], "max_tokens": _LONG, **more}


def text(model: str, /, **more: Any) -> dict[str, Any]:
    return {"model": model, "prompt": "Hakuna Matata", "max_tokens": _LONG, **more}


def exchanges(model: str, key: str) -> tuple[Exchange, ...]:
    """All of them, for servers of ``model``; the keyed ones ask for ``key``."""
    return (*_health(model), *_answers(model), *_streams(model), *_values(model), *_bodies(model), *_keys(model, key))


def _health(model: str) -> list[Exchange]:
    dead = Server.DEAD
    return [
        Exchange("health", "healthy", "GET", "/health"),
        Exchange("health", "engine stopped", "GET", "/health", server=dead),
        Exchange("health", "models, engine stopped", "GET", "/v1/models", server=dead),
        Exchange("health", "completion, engine stopped", "POST", TEXT, text(model), server=dead),
        Exchange("health", "chat, engine stopped", "POST", CHAT, chat(model), server=dead),
    ]


def _answers(model: str) -> list[Exchange]:
    both = ((TEXT, text), (CHAT, chat))
    found = [
        Exchange("answers", "models", "GET", "/v1/models"),
        Exchange("answers", "encode", "POST", "/v1/encode", {"input": "Hakuna Matata"}),
        Exchange("answers", "encode two", "POST", "/v1/encode", {"input": ["Hakuna", "Hakuna Matata"]}),
        Exchange("answers", "generate", "POST", "/generate", {"prompt": "Hakuna Matata", "max_tokens": _SHORT}),
        Exchange("answers", "is_sleeping", "GET", "/is_sleeping"),
        Exchange("answers", "terminate", "GET", "/terminate"),
        Exchange("answers", "metrics", "GET", "/metrics"),
        Exchange("answers", "no such path", "GET", "/nope"),
        Exchange("answers", "wrong method", "GET", TEXT),
        Exchange("answers", "wrong method of models", "POST", "/v1/models", {}),
        Exchange("answers", "embeddings", "POST", "/v1/embeddings", {"input": "Hakuna", "model": model}),
    ]
    for path, make in both:
        found += [
            Exchange("answers", f"{path} to its end", "POST", path, make(model)),
            Exchange("answers", f"{path} cut", "POST", path, make(model, max_tokens=_SHORT)),
            Exchange("answers", f"{path} as Hakuna asks", "POST", path, make(model, temperature=0, top_k=1)),
        ]
    found.append(Exchange("answers", "messages as a string", "POST", CHAT, chat(model, messages="Hakuna Matata")))
    return found


def _streams(model: str) -> list[Exchange]:
    found = []
    for path, make in ((TEXT, text), (CHAT, chat)):
        usage = {"stream_options": {"include_usage": True}}
        found += [
            Exchange("streams", f"{path} to its end", "POST", path, make(model, stream=True)),
            Exchange("streams", f"{path} cut", "POST", path, make(model, stream=True, max_tokens=_SHORT)),
            Exchange("streams", f"{path} with usage", "POST", path, make(model, stream=True, **usage)),
        ]
    return found


_VALUES: tuple[dict[str, Any], ...] = (
    {"model": "nobody's"},
    {"temperature": 3.0},
    {"temperature": -1},
    {"top_p": 0},
    {"top_p": 2},
    {"n": 0},
    {"top_k": -1},
)


def _values(model: str) -> list[Exchange]:
    return [
        Exchange("values", f"{path} {change}", "POST", path, make(model, **change))
        for path, make in ((TEXT, text), (CHAT, chat))
        for change in _VALUES
    ] + [
        Exchange("values", f"{path} max_tokens {n}", "POST", path, make(model, max_tokens=n), since=(0, 16, 0))
        for path, make in ((TEXT, text), (CHAT, chat))
        for n in (0, -1)
    ]


def _bodies(model: str) -> list[Exchange]:
    unfit: list[tuple[str, str, Any]] = [
        ("no model", TEXT, {"prompt": "x"}),
        ("no prompt", TEXT, {"model": model}),
        ("no messages", CHAT, {"model": model}),
        ("words for a number", TEXT, text(model, max_tokens="x")),
        ("words for a temperature", CHAT, chat(model, temperature="x")),
        ("a list for a number", TEXT, text(model, temperature=[1])),
        ("half a token", TEXT, text(model, max_tokens=1.5)),
        ("messages that are numbers", CHAT, chat(model, messages=[1])),
        ("messages that are a number", CHAT, chat(model, messages=1)),
        ("no message", CHAT, chat(model, messages=[])),
        ("a list", TEXT, []),
        ("a word", TEXT, "x"),
        ("cut JSON", TEXT, b'{"model": '),
        ("no JSON", TEXT, b"{oops"),
        ("no UTF-8", TEXT, b"\xff\xfe"),
        ("nothing", TEXT, b""),
    ]
    found = [Exchange("bodies", name, "POST", path, body) for name, path, body in unfit]
    plain = {"Content-Type": "text/plain"}
    found.append(Exchange("bodies", "text/plain", "POST", TEXT, json.dumps(text(model)).encode(), plain))
    return found


def _keys(model: str, key: str) -> list[Exchange]:
    right, wrong, basic = f"Bearer {key}", "Bearer nonsense", f"Basic {key}"
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/health", None),
        ("GET", "/v1/models", None),
        ("GET", "/is_sleeping", None),
        ("GET", "/metrics", None),
        ("GET", "/openapi.json", None),
        ("GET", "/nope", None),
        ("GET", TEXT, None),
        ("POST", TEXT, text(model)),
        ("POST", CHAT, chat(model)),
        ("POST", "/generate", {"prompt": "Hakuna Matata", "max_tokens": _SHORT}),
        ("POST", "/v1/encode", {"input": "Hakuna"}),
    ]
    found = [
        Exchange("key", f"{method} {path} without", method, path, body, server=Server.KEYED)
        for method, path, body in asked
    ]
    for name, word in (("right", right), ("wrong", wrong), ("basic", basic)):
        more = {"Authorization": word}
        found += [
            Exchange("key", f"{name} key", "POST", TEXT, text(model), more, Server.KEYED),
            Exchange("key", f"models, {name} key", "GET", "/v1/models", None, more, Server.KEYED),
        ]
    return found
