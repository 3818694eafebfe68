# SPDX-License-Identifier: Apache-2.0
"""LMDeploy's HTTP surface: answers that no engine is needed for, the API key, and how errors look.

What differs between releases stands in lmdeploy_server_release. Standard library only: the simulated server's own
process loads it by path.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from hakuna.simulator.lmdeploy_server_release import GUARDED, OPEN_PREFIXES, Release
else:  # lmdeploy_server.py was started by path and has made the siblings findable
    from lmdeploy_server_release import GUARDED, OPEN_PREFIXES, Release

Json = dict[str, Any]

#: The routes that are played; the others of a release answer 501 and say so.
PLAYED = frozenset(
    (
        "/v1/chat/completions",
        "/v1/completions",
        "/generate",
        "/v1/encode",
        "/v1/embeddings",
        "/health",
        "/v1/models",
        "/is_sleeping",
        "/terminate",
        "/metrics",
        "/openapi.json",
        "/",
        "/redoc",
    )
)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; ``body`` is JSON unless ``kind`` says otherwise."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def json(cls, status: int, data: object, *headers: tuple[str, str]) -> Answer:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return cls(status, text.encode("utf-8", "replace"), headers=headers)


class RefusedError(Exception):
    """A request that gets an error answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body.decode())
        self.answer = answer


def error(status: int, message: str, kind: str = "invalid_request_error") -> Answer:
    """LMDeploy's error object."""
    return Answer.json(status, {"message": message, "type": kind, "code": status, "param": None, "object": "error"})


def route_answer(release: Release, method: str, path: str) -> Answer | None:
    """The answer to a path or method that does not exist, or is not played; None when it is to be answered."""
    methods = release.methods(path)
    if not methods:
        return Answer.json(404, {"detail": "Not Found"})
    if method not in methods and not path.startswith("/metrics"):
        return Answer.json(405, {"detail": "Method Not Allowed"}, ("allow", methods[0]))
    if path not in PLAYED and not path.startswith("/metrics"):
        return Answer.json(501, {"detail": "Not simulated"})
    if path == "/v1/embeddings":
        return error(400, "Unsupported by turbomind.")
    return None


def key_answer(release: Release, path: str, authorization: str, keys: tuple[str, ...]) -> Answer | None:
    """The answer to a request without a valid API key; None when it may pass."""
    scheme, _, token = authorization.partition(" ")
    if not keys or (scheme.lower() == "bearer" and token.strip() in keys):
        return None
    if release.key_middleware:
        return None if path.startswith(OPEN_PREFIXES) else _unauthorized(release)
    if path not in GUARDED:
        return None
    detail = {
        "message": "Please request with valid api key!",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    return Answer.json(401, {"detail": {"error": detail}})


def _unauthorized(release: Release) -> Answer:
    """What the middleware says."""
    if release.openai_errors:
        return error(401, "Unauthorized.", "authentication_error")
    return Answer.json(401, {"error": "Unauthorized"})


def check_values(release: Release, path: str, body: Json, models: tuple[str, ...]) -> None:
    """LMDeploy's own checks, after pydantic's.

    Raises:
        RefusedError: a value is out of its range, or the model is unknown.
    """
    if path == "/v1/encode":
        return
    shown = (lambda value: f"`{value}`") if release.quotes_with_backticks else repr
    model = body.get("model")
    if model is not None and model not in models:
        kind = "not_found_error" if release.openai_errors else "invalid_request_error"
        raise RefusedError(error(404, f"The model {shown(model)} does not exist.", kind))
    number = body.get("n", 1)
    if number is not None and number <= 0:
        raise RefusedError(error(400, f"The n {shown(number)} must be a positive int."))
    top_p = body.get("top_p", 1.0)
    if top_p is not None and not 0 < top_p <= 1:
        raise RefusedError(error(400, f"The top_p {shown(float(top_p))} must be in (0, 1]."))
    top_k = body.get("top_k", 40)
    if top_k is not None and top_k < 0:
        raise RefusedError(error(400, f"The top_k {shown(top_k)} cannot be a negative integer."))
    temperature = body.get("temperature", 0.7)
    if temperature is not None and not 0 <= temperature <= 2:  # noqa: PLR2004  # LMDeploy's own bound
        raise RefusedError(error(400, f"The temperature {shown(float(temperature))} must be in [0, 2]"))
    _check_limits(release, path, body)


def _check_limits(release: Release, path: str, body: Json) -> None:
    """How many tokens are asked for: only the newest releases check it, each in its own words."""
    for field in ("max_tokens", "max_completion_tokens"):
        limit = body.get(field)
        if limit is None or limit > 0 or not release.checks_limits:
            continue
        if path == "/v1/chat/completions" and not release.one_word_for_limits:
            raise RefusedError(error(400, f"The {field} {limit!r} must be a positive integer."))
        raise RefusedError(error(400, f"max_new_tokens must be at least 1, got {limit}."))
    if body.get("logprobs") and release.checks_logprobs:
        raise RefusedError(
            error(400, "logprobs requested but logprobs_mode is not enabled in the engine configuration.")
        )


def stopped_answer(release: Release, path: str) -> Answer | None:
    """What an engine that does not run makes of a request; None when the answer itself tells it, as its reason."""
    if release.fails_as_http:
        return error(503, "The inference engine is unavailable.", "server_error")
    if release.fails_unhandled and path == "/v1/completions":
        return Answer(500, b"Internal Server Error", "text/plain; charset=utf-8")
    return None


def health(release: Release, state: str) -> Answer:
    """``state`` is "initializing", "healthy" or "unhealthy"."""
    if not release.json_health:
        return Answer(200, b"", "")
    messages = {
        "healthy": "PyTorch engine is healthy.",
        "initializing": "PyTorch engine is initializing.",
        "unhealthy": "PyTorch engine request loop is not alive.",
    }
    return Answer.json(200 if state == "healthy" else 503, {"status": state, "message": messages[state]})


def models(name: str) -> Json:
    """The answer of /v1/models."""
    now = int(time.time())
    permission = {
        "id": "modelperm-simulated",
        "object": "model_permission",
        "created": now,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": True,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    card = {
        "id": name,
        "object": "model",
        "created": now,
        "owned_by": "lmdeploy",
        "root": name,
        "parent": None,
        "permission": [permission],
    }
    return {"object": "list", "data": [card]}


def openapi(release: Release) -> Json:
    """The part of /openapi.json that names the routes."""
    paths: Json = {}
    for method, path in release.routes:
        paths.setdefault(path, {})[method.lower()] = {}
    info = {"title": "FastAPI", "version": "0.1.0", "description": f"simulated LMDeploy {release.text}"}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def page(release: Release, model: str, path: str) -> Answer:
    """The answer to a GET that does not depend on the engine."""
    if path == "/v1/models":
        return Answer.json(200, models(model))
    if path == "/is_sleeping":
        return Answer.json(200, {"is_sleeping": False})
    if path == "/openapi.json":
        return Answer.json(200, openapi(release))
    if path == "/terminate":
        message = "The server can not be terminated. Please add --allow-terminate-by-client when start the server."
        return error(400, message)
    return Answer(200, b"<!DOCTYPE html><title>FastAPI - simulated LMDeploy</title>\n", "text/html")
