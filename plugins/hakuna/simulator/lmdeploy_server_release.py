# SPDX-License-Identifier: Apache-2.0
"""What LMDeploy's releases do differently in their HTTP interface: each difference, and the release that made it.

What Hakuna's rules rest on, too, stands in the table of releases; the rest is needed by the simulated server only.
Shown by running the releases themselves (``make contract``, docs/contract.md). Standard library only: the simulated
server's own process loads it by path.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hakuna import releases
else:
    try:
        from hakuna import releases
    except ImportError:  # started by path: the server has put the package's folder behind the standard library
        import releases

Number = tuple[int, int, int]

_FIRST: Number = (0, 0, 0)
_NEVER: Number = (99, 0, 0)
#: Every route that /openapi.json names: method, path, from which release on, and before which one it went.
_ROUTES: tuple[tuple[str, str, Number, Number], ...] = (
    ("GET", "/health", _FIRST, _NEVER),
    ("GET", "/v1/models", _FIRST, _NEVER),
    ("POST", "/v1/chat/completions", _FIRST, _NEVER),
    ("POST", "/v1/completions", _FIRST, _NEVER),
    ("POST", "/v1/embeddings", _FIRST, _NEVER),
    ("POST", "/v1/encode", _FIRST, _NEVER),
    ("POST", "/v1/chat/interactive", _FIRST, (0, 12, 0)),  # and unlisted up to 0.15.0
    ("GET", "/terminate", (0, 9, 0), _NEVER),
    ("GET", "/distserve/engine_info", (0, 9, 0), _NEVER),
    ("POST", "/distserve/free_cache", (0, 9, 0), _NEVER),
    ("POST", "/distserve/p2p_connect", (0, 9, 0), _NEVER),
    ("POST", "/distserve/p2p_drop_connect", (0, 9, 2), _NEVER),
    ("POST", "/distserve/p2p_initialize", (0, 9, 0), _NEVER),
    ("POST", "/update_weights", (0, 9, 0), _NEVER),
    ("POST", "/pooling", (0, 9, 1), _NEVER),
    ("POST", "/sleep", (0, 10, 0), _NEVER),
    ("POST", "/wakeup", (0, 10, 0), _NEVER),
    ("POST", "/generate", (0, 10, 2), _NEVER),
    ("GET", "/is_sleeping", (0, 11, 0), _NEVER),
    ("POST", "/abort_request", (0, 11, 0), _NEVER),
    ("GET", "/anthropic/v1/models", (0, 13, 0), _NEVER),
    ("POST", "/v1/messages", (0, 13, 0), _NEVER),
    ("POST", "/v1/messages/count_tokens", (0, 13, 0), _NEVER),
    ("POST", "/v1/responses", (0, 14, 0), _NEVER),
    ("POST", "/get_ppl", (0, 14, 0), _NEVER),
    ("POST", "/init_weights_update_group", (0, 14, 0), _NEVER),
    ("POST", "/destroy_weights_update_group", (0, 14, 0), _NEVER),
    ("POST", "/update_weights_from_distributed", (0, 14, 0), _NEVER),
    ("GET", "/update_weights_from_ipc", (0, 18, 0), _NEVER),
    ("POST", "/update_weights_from_ipc", (0, 18, 0), _NEVER),
)
#: Paths that are there without being listed, and what of them the middleware leaves open.
_UNLISTED = ("/metrics", "/openapi.json", "/", "/redoc")
OPEN_PREFIXES = ("/health", "/docs", "/redoc", "/nodes")
#: What up to 0.12.1 asks for the key by itself.
GUARDED = frozenset(
    (
        "/v1/models",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/encode",
        "/v1/chat/interactive",
        "/generate",
        "/is_sleeping",
        "/sleep",
        "/wakeup",
        "/update_weights",
    )
)


@dataclass(frozen=True)
class Release:
    """One LMDeploy version and what it does differently from others."""

    text: str

    @cached_property
    def number(self) -> Number:
        return releases.number(self.text)

    def _does(self, behaviour: releases.Behaviour) -> Any:
        return releases.row_of(behaviour, self.number, releases.number).value

    @cached_property
    def routes(self) -> tuple[tuple[str, str], ...]:
        """Method and path of every route in /openapi.json."""
        return tuple((method, path) for method, path, since, until in _ROUTES if since <= self.number < until)

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that a path takes; none when there is no such path."""
        if path.startswith("/metrics") and self.number >= METRICS_SINCE:
            return ("GET",)
        return ("GET",) if path in _UNLISTED and path != "/metrics" else tuple(m for m, p in self.routes if p == path)

    @property
    def json_health(self) -> bool:
        """/health tells its state in JSON; before, it is an empty 200 whatever the engine does."""
        return bool(self._does(releases.Behaviour.HEALTH))

    @property
    def key_middleware(self) -> bool:
        """All routes but a few need the API key; before, only those that were told to."""
        return bool(self._does(releases.Behaviour.KEY))

    @property
    def checks_media_type(self) -> bool:
        """A body must say that it is JSON."""
        return self.number >= (0, 12, 2)

    @property
    def openai_errors(self) -> bool:
        """A body that does not fit gives 400 and an OpenAI-like object; before, FastAPI's 422."""
        return bool(self._does(releases.Behaviour.REFUSAL) == 400)  # noqa: PLR2004  # HTTP Bad Request

    @property
    def fails_as_http(self) -> bool:
        """An engine that stopped gives 503; before, 200 with the finish reason "error"."""
        return bool(self._does(releases.Behaviour.STOPPED) == 503)  # noqa: PLR2004  # HTTP Service Unavailable

    @property
    def string_messages(self) -> bool:
        """``messages`` may be a plain string."""
        return self.number < (0, 18, 0)

    @property
    def messages_type(self) -> str:
        """How pydantic calls the list that ``messages`` may be."""
        return "list[dict[str,any]]"

    @property
    def checks_empty_messages(self) -> bool:
        """A chat without a message is refused; before, it is a 500."""
        return self.number >= (0, 18, 0)

    @property
    def checks_limits(self) -> bool:
        """max_tokens below 1 is refused."""
        return self.number >= (0, 16, 0)

    @property
    def checks_logprobs(self) -> bool:
        """Asking for logprobs is refused, unless the engine was started for it."""
        return self.number >= (0, 10, 2)

    @property
    def reads_bodies_itself(self) -> bool:
        """Completions read their body themselves, whatever it says it is: one that does not fit is a plain 500."""
        return (0, 9, 0) <= self.number < (0, 10, 0)

    @property
    def usage_in_all_events(self) -> bool:
        """A stream that is asked for usage tells it in each event; then in the last one only."""
        return self.number < (0, 10, 0)

    @property
    def shows_bodies(self) -> bool:
        """A 422 shows the body that did not fit (LMDeploy's own handler)."""
        return self.number >= (0, 9, 0)

    @property
    def fails_unhandled(self) -> bool:
        """In a completion an engine that stopped is an exception that nobody catches."""
        return self.number < (0, 7, 3)

    @property
    def lists_no_tools(self) -> bool:
        """A part of a streamed chat has an empty list of tool calls; then none."""
        return self.number < (0, 13, 0)

    @property
    def one_word_for_limits(self) -> bool:
        """A chat's refused max_tokens is worded as a completion's."""
        return self.number < (0, 18, 0)

    @property
    def tells_stop_token(self) -> bool:
        """The stop token is an event of a stream, although it says nothing."""
        return self.number >= (0, 11, 0)

    @property
    def quotes_with_backticks(self) -> bool:
        """Errors quote a value as `value`; since, as Python's repr."""
        return self.number < (0, 10, 2)

    @property
    def shows_gen_tokens(self) -> bool:
        """Messages and choices have a field ``gen_tokens``."""
        return (0, 10, 1) <= self.number < (0, 14, 0)

    @property
    def long_choices(self) -> bool:
        """Chat choices hold output_ids and more; streams leave empty fields out and end with an event for usage."""
        return self.number >= (0, 14, 0)

    @property
    def chat_ids(self) -> bool:
        """The id of a chat completion is "chatcmpl-..."; before, the session's number."""
        return self.number >= (0, 15, 0)

    @property
    def nameless_completions(self) -> bool:
        """The id of a completion is the session that was asked for: "-1"."""
        return self.number >= (0, 12, 0)

    @property
    def generate_fields(self) -> tuple[str, ...]:
        """What /generate tells besides, empty."""
        newest = ("input_token_logprobs", "output_top_logprobs", "input_top_logprobs")
        routed = ("routed_experts",) if self.number >= (0, 11, 0) else ()
        return (*routed, *(newest if self.number >= (0, 18, 0) else ()))

    @property
    def service_tier(self) -> bool:
        """Chat completions have a service_tier, and usage the details of the completion's tokens."""
        return self.number >= (0, 16, 0)


#: From which release on /metrics is there without being asked for.
METRICS_SINCE: Number = (0, 11, 0)
