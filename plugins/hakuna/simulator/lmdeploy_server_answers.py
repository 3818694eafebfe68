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
    from hakuna.simulator.lmdeploy_server_release import Release
else:  # lmdeploy_server.py was started by path and has made the siblings findable
    import lmdeploy_server_text as text
    import lmdeploy_server_wire as wire
    from lmdeploy_server_release import Release

COMPLETION_TOKENS = 16
GENERATE_TOKENS = 128


@dataclass
class Service:
    """What all connections share. ``state`` is the engine's, as /health tells it."""

    release: Release
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
        if self.state == "unhealthy":  # a release that does not answer 503 tells it by the reason
            return text.Generation(("internal error happened",), "error")
        return text.Generation((), "stop") if "empty-answer" in self.faults else made


@dataclass(frozen=True)
class Completion:
    """One completion, to be sent as a whole or as stream events."""

    release: Release
    head: wire.Json
    generation: text.Generation
    prompt_tokens: int
    chat: bool
    miscounted: int = 0

    def usage(self, *, streamed: bool = False) -> wire.Json:
        made = len(self.generation.pieces)
        usage: wire.Json = {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + made + self.miscounted,
            "completion_tokens": made,
        }
        if self.release.long_choices:
            usage["prompt_tokens_details"] = {"cached_tokens": 0} if self.chat else None
        if self.release.service_tier:
            usage["completion_tokens_details"] = None
        return self._streamed(usage) if streamed else usage

    def _streamed(self, fields: wire.Json) -> wire.Json:
        """The fields as a stream shows them: since 0.14.0 without the empty ones."""
        if not self.release.long_choices:
            return fields
        return {name: value for name, value in fields.items() if value is not None}

    def _rest(self) -> wire.Json:
        """What else a choice has."""
        long = {"output_token_logprobs": None, "output_ids": None, "routed_experts": None}
        old = {"gen_tokens": None} if self.release.shows_gen_tokens and not self.chat else {}
        return {"logprobs": None, **(long if self.release.long_choices and self.chat else {}), **old}

    def _message(self) -> wire.Json:
        old = {"gen_tokens": None} if self.release.shows_gen_tokens else {}
        return {"role": "assistant", "reasoning_content": None, **old}

    def whole(self) -> wire.Json:
        """The body of the answer without ``stream``."""
        choice: wire.Json = {"index": 0, **self._rest(), "finish_reason": self.generation.reason}
        if self.chat:
            choice["message"] = {**self._message(), "content": self.generation.text or None, "tool_calls": None}
        else:
            choice["text"] = self.generation.text
        tier = {"service_tier": None} if self.release.service_tier and self.chat else {}
        return {**self.head, "choices": [choice], "usage": self.usage(), **tier}

    def events(self, *, with_usage: bool) -> Iterator[wire.Json]:
        """The events of the answer with ``stream``; the end mark is not among them.

        One per token, the stop token too (it says nothing), and one that tells the reason of the end.
        """
        head = {**self.head, "object": "chat.completion.chunk"} if self.chat else self.head
        usage: wire.Json = {"usage": None} if with_usage or not self.release.long_choices else {}
        ends = ("",) if self.generation.reason == "stop" and self.release.tells_stop_token else ()
        if with_usage and self.release.usage_in_all_events:
            usage = {"usage": self.usage(streamed=True)}
        for piece in (*self.generation.pieces, *ends):
            yield {**head, "choices": [self._part(piece, None)], **usage}
        if with_usage and not self.release.long_choices:
            usage = {"usage": self.usage(streamed=True)}
        yield {**head, "choices": [self._part("", self.generation.reason)], **usage}
        if with_usage and self.release.long_choices:
            yield {**head, "choices": [], "usage": self.usage(streamed=True)}

    def _part(self, piece: str, reason: str | None) -> wire.Json:
        choice: wire.Json = {"index": 0, **self._rest(), "finish_reason": reason}
        if self.chat:
            tools: wire.Json = {"tool_calls": [] if self.release.lists_no_tools else None}
            choice["delta"] = self._streamed({**self._message(), "content": piece, **tools})
        else:
            choice["text"] = piece
        return self._streamed(choice)


def complete(service: Service, body: wire.Json, *, chat: bool) -> Completion:
    """The answer of /v1/chat/completions (``chat``) or /v1/completions."""
    release = service.release
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
    named = release.chat_ids if chat else release.nameless_completions
    name = (f"chatcmpl-simulated{session}" if chat else "-1") if named else str(session)
    head: wire.Json = {
        "id": name,
        "object": "chat.completion" if chat else "text_completion",
        "created": int(time.time()),
        "model": body["model"],
    }
    return Completion(release, head, made, prompt_tokens, chat, int("usage-wrong" in service.faults))


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
        "completion_tokens": len(made.pieces),
        **dict.fromkeys(service.release.generate_fields),
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
