# SPDX-License-Identifier: Apache-2.0
"""What the simulated api_server answers to a request that is in order: bodies and stream events.

Standard library only: the simulated server's own process loads it by path.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from hakuna.simulator import lmdeploy_server_text as text
    from hakuna.simulator import lmdeploy_server_wire as wire
else:  # lmdeploy_server.py was started by path and has made the siblings findable
    import lmdeploy_server_text as text
    import lmdeploy_server_wire as wire

COMPLETION_TOKENS = 16
GENERATE_TOKENS = 128


@dataclass
class Service:
    """What all connections share. ``state`` is the engine's, as /health tells it."""

    release: wire.Release
    model: str
    keys: tuple[str, ...] = ()
    faults: frozenset[str] = frozenset()
    token_seconds: float = 0.0
    access_log: bool = True
    state: str = "initializing"
    last_request: float = field(default_factory=time.monotonic)
    sessions: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    served: int = 0
    answered: bool = False

    def generate(self, prompt: str, body: wire.Json, default_limit: int | None) -> text.Generation:
        """Answer ``prompt`` as the fields of ``body`` ask."""
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or default_limit
        stop = body.get("stop") or ()
        if {"wrong-answer", "wrong-exact-answer", "wrong-chat-answer"} & self.faults:
            prompt = "another question"
        if "answers-change" in self.faults:
            prompt = f"question {self.served}"
        if "stream-differs" in self.faults and body.get("stream"):
            prompt = "another question"
        made = text.generate(
            prompt,
            self.release.text,
            limit=limit,
            stop=(stop,) if isinstance(stop, str) else tuple(map(str, stop)),
            ignore_eos=bool(body.get("ignore_eos")),
            garbage="garbage-generation" in self.faults,
        )
        return text.Generation((), "stop") if "empty-answer" in self.faults else made


@dataclass(frozen=True)
class Completion:
    """One completion, to be sent as a whole or as stream events."""

    head: wire.Json
    generation: text.Generation
    prompt_tokens: int
    chat: bool
    miscounted: int = 0

    @property
    def usage(self) -> wire.Json:
        made = len(self.generation.pieces)
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + made + self.miscounted,
            "completion_tokens": made,
        }

    def whole(self) -> wire.Json:
        """The body of the answer without ``stream``."""
        choice: wire.Json = {"index": 0}
        if self.chat:
            said = {"role": "assistant", "content": self.generation.text, "reasoning_content": None, "tool_calls": None}
            choice["message"] = said
        else:
            choice["text"] = self.generation.text
        choice |= {"logprobs": None, "finish_reason": self.generation.reason}
        return {**self.head, "choices": [choice], "usage": self.usage}

    def events(self, *, with_usage: bool) -> Iterator[wire.Json]:
        """The events of the answer with ``stream``, one per token; the end mark is not among them."""
        head = {**self.head, "object": "chat.completion.chunk"} if self.chat else self.head
        pieces = self.generation.pieces or ("",)
        for index, piece in enumerate(pieces):
            choice: wire.Json = {"index": 0}
            if self.chat:
                choice["delta"] = {"role": "assistant", "content": piece}
            else:
                choice["text"] = piece
            if index == len(pieces) - 1:
                choice["finish_reason"] = self.generation.reason
            yield {**head, "choices": [choice], **({"usage": None} if with_usage else {})}
        if with_usage:
            yield {**head, "choices": [], "usage": self.usage}


def complete(service: Service, body: wire.Json, *, chat: bool) -> Completion:
    """The answer of /v1/chat/completions (``chat``) or /v1/completions."""
    if chat:
        prompt, prompt_tokens = _conversation(body["messages"])
        if "chat-template-lost" in service.faults:
            prompt_tokens = len(text.split_tokens(prompt))
    else:
        given = body["prompt"]
        prompt = "\n".join(map(str, given)) if isinstance(given, list) else str(given)
        prompt_tokens = len(text.split_tokens(prompt))
    made = service.generate(prompt, body, None if chat else COMPLETION_TOKENS)
    session = next(service.sessions)
    head: wire.Json = {
        "id": f"chatcmpl-simulated{session}" if chat else str(session),
        "object": "chat.completion" if chat else "text_completion",
        "created": int(time.time()),
        "model": body["model"],
    }
    return Completion(head, made, prompt_tokens, chat, int("usage-wrong" in service.faults))


def generated(service: Service, body: wire.Json) -> wire.Answer:
    """The answer of /generate."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str):
        raise wire.RefusedError(wire.error(400, "You must specify exactly one of prompt or input_ids"))
    made = service.generate(prompt, body, GENERATE_TOKENS)
    meta = {
        "finish_reason": {"type": made.reason},
        "output_token_logprobs": None,
        "prompt_tokens": len(text.split_tokens(prompt)),
        "routed_experts": None,
        "completion_tokens": len(made.pieces),
    }
    return wire.Answer.json(200, {"text": made.text, "output_ids": list(made.ids), "meta_info": meta})


def encoded(body: wire.Json) -> wire.Answer:
    """The answer of /v1/encode: one list of ids, or one per input."""
    given = body["input"]
    if isinstance(given, list):
        ids: Any = [list(text.token_ids(str(one))) for one in given]
        return wire.Answer.json(200, {"input_ids": ids, "length": [len(one) for one in ids]})
    ids = list(text.token_ids(str(given)))
    return wire.Answer.json(200, {"input_ids": ids, "length": len(ids)})


def _conversation(messages: str | list[wire.Json]) -> tuple[str, int]:
    """The text that the answer depends on, and the tokens that the chat template makes of it."""
    if isinstance(messages, str):
        return messages, len(text.split_tokens(messages))
    contents = [_content(message.get("content")) for message in messages]
    tokens = sum(len(text.split_tokens(one)) + text.MESSAGE_TOKENS for one in contents)
    return "\n".join(contents), tokens + text.TEMPLATE_TOKENS


def _content(content: object) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)
