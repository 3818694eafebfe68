# SPDX-License-Identifier: Apache-2.0
"""LMDeploy's HTTP surface by version: routes, who needs the API key, how bodies are checked, how errors look.

Read in LMDeploy's sources 0.11 to 0.18. Standard library only: the simulated server's own process loads it by path.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hakuna import releases
else:
    try:
        from hakuna import releases
    except ImportError:  # started by path: the server has put the package's folder behind the standard library
        import releases

Json = dict[str, Any]

#: Routes that take a body, and the fields that each must have.
POST_ROUTES: Mapping[str, tuple[str, ...]] = {
    "/v1/chat/completions": ("model", "messages"),
    "/v1/completions": ("model", "prompt"),
    "/generate": (),
    "/v1/encode": ("input",),
}
GET_ROUTES = ("/health", "/v1/models", "/is_sleeping", "/terminate", "/metrics", "/openapi.json", "/", "/redoc")
#: Routes that LMDeploy has and the simulator does not.
OTHER_ROUTES = (
    "/v1/embeddings",
    "/pooling",
    "/get_ppl",
    "/sleep",
    "/wakeup",
    "/abort_request",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
)
_OPEN_PREFIXES = ("/health", "/docs", "/redoc", "/nodes")
_GUARDED_BEFORE_MIDDLEWARE = frozenset(POST_ROUTES) | {"/v1/models"}


@dataclass(frozen=True)
class Release:
    """One LMDeploy version and what it does differently from others."""

    text: str

    @property
    def number(self) -> tuple[int, int, int]:
        return releases.number(self.text)

    def _does(self, behaviour: releases.Behaviour) -> Any:
        return releases.row_of(behaviour, self.number, releases.number).value

    @property
    def json_health(self) -> bool:
        """/health tells its state in JSON; before, it is an empty 200 whatever the engine does."""
        return bool(self._does(releases.Behaviour.HEALTH))

    @property
    def key_middleware(self) -> bool:
        """All routes but a few need the API key; before, only those that were told to."""
        return bool(self._does(releases.Behaviour.KEY))

    @property
    def openai_errors(self) -> bool:
        """A body that does not fit gives 400 and an OpenAI-like object; before, FastAPI's 422."""
        return bool(self._does(releases.Behaviour.REFUSAL) == 400)  # noqa: PLR2004  # HTTP Bad Request

    @property
    def string_messages(self) -> bool:
        """``messages`` may be a plain string."""
        return self.number < (0, 18, 0)


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


def route_answer(method: str, path: str) -> Answer | None:
    """The answer to a path or method that does not exist; None when it does."""
    if path in OTHER_ROUTES:
        return Answer.json(501, {"detail": "Not simulated"})
    if path not in POST_ROUTES and path not in GET_ROUTES and not path.startswith("/metrics"):
        return Answer.json(404, {"detail": "Not Found"})
    wanted = "POST" if path in POST_ROUTES else "GET"
    if method == wanted:
        return None
    return Answer.json(405, {"detail": "Method Not Allowed"}, ("allow", wanted))


def key_answer(release: Release, path: str, authorization: str, keys: tuple[str, ...]) -> Answer | None:
    """The answer to a request without a valid API key; None when it may pass."""
    if not keys:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.strip() in keys:
        return None
    if release.key_middleware:
        if path.startswith(_OPEN_PREFIXES):
            return None
        return error(401, "Unauthorized.", "authentication_error")
    if path not in _GUARDED_BEFORE_MIDDLEWARE:
        return None
    detail = {
        "message": "Please request with valid api key!",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    return Answer.json(401, {"detail": {"error": detail}})


def read_body(release: Release, path: str, content_type: str, raw: bytes) -> Json:
    """The request's JSON object, checked as FastAPI and pydantic check it.

    Raises:
        RefusedError: it does not fit; holds LMDeploy's answer.
    """
    if content_type.split(";", maxsplit=1)[0].strip().lower() != "application/json":
        message = "Unsupported Media Type: Only 'application/json' is allowed"
        raise RefusedError(
            error(400, message) if release.openai_errors else Answer.json(422, {"detail": [message], "body": None})
        )
    try:
        body = json.loads(raw)
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        at = problem.pos if isinstance(problem, json.JSONDecodeError) else 0
        context = {"error": getattr(problem, "msg", "Expecting value")}
        raise RefusedError(_invalid(release, {}, at, "json_invalid", "JSON decode error", {}, context)) from None
    if not isinstance(body, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        raise RefusedError(_invalid(release, body, "", "model_attributes_type", message, body))
    for field in POST_ROUTES[path]:
        if field not in body:
            raise RefusedError(_invalid(release, body, field, "missing", "Field required", body))
    _check_types(release, path, body)
    return body


def _check_types(release: Release, path: str, body: Json) -> None:
    for field in ("n", "max_tokens", "max_completion_tokens", "top_k", "seed"):
        value = body.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            message = "Input should be a valid integer"
            kind = "int_type"
            if isinstance(value, str):
                kind, message = "int_parsing", message + ", unable to parse string as an integer"
            raise RefusedError(_invalid(release, body, field, kind, message, value))
    for field in ("temperature", "top_p"):
        value = body.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise RefusedError(_invalid(release, body, field, "float_type", "Input should be a valid number", value))
    if path == "/v1/chat/completions":
        _check_messages(release, body)


def _check_messages(release: Release, body: Json) -> None:
    messages = body["messages"]
    if isinstance(messages, str) and release.string_messages:
        return
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise RefusedError(_invalid(release, body, "messages", "list_type", "Input should be a valid list", messages))
    if not messages and release.openai_errors:
        message = "List should have at least 1 item after validation, not 0"
        raise RefusedError(_invalid(release, body, "messages", "too_short", message, messages))


def _invalid(
    release: Release, body: object, field: object, kind: str, message: str, value: object, context: Json | None = None
) -> Answer:
    if release.openai_errors:
        place = "1" if kind == "json_invalid" else str(field)
        return error(400, f"{place}: {message}" if place else message)
    place_list = ["body"] if field == "" else ["body", field]
    detail: Json = {"type": kind, "loc": place_list, "msg": message, "input": value}
    if context:
        detail["ctx"] = context
    return Answer.json(422, {"detail": [detail], "body": body})


def check_values(release: Release, body: Json, models: tuple[str, ...]) -> None:
    """LMDeploy's own checks, after pydantic's.

    Raises:
        RefusedError: a value is out of its range, or the model is unknown.
    """
    model = body.get("model")
    if model is not None and model not in models:
        kind = "not_found_error" if release.openai_errors else "invalid_request_error"
        raise RefusedError(error(404, f"The model {model!r} does not exist.", kind))
    number = body.get("n", 1)
    if number is not None and number <= 0:
        raise RefusedError(error(400, f"The n {number!r} must be a positive int."))
    top_p = body.get("top_p", 1.0)
    if top_p is not None and not 0 < top_p <= 1:
        raise RefusedError(error(400, f"The top_p {float(top_p)!r} must be in (0, 1]."))
    top_k = body.get("top_k", 40)
    if top_k is not None and top_k < 0:
        raise RefusedError(error(400, f"The top_k {top_k!r} cannot be a negative integer."))
    temperature = body.get("temperature", 0.7)
    if temperature is not None and not 0 <= temperature <= 2:  # noqa: PLR2004  # LMDeploy's own bound
        raise RefusedError(error(400, f"The temperature {float(temperature)!r} must be in [0, 2]"))
    for field in ("max_tokens", "max_completion_tokens"):
        limit = body.get(field)
        if limit is not None and limit <= 0:
            raise RefusedError(error(400, f"The {field} {limit!r} must be a positive integer."))
    if body.get("logprobs"):
        raise RefusedError(
            error(400, "logprobs requested but logprobs_mode is not enabled in the engine configuration.")
        )


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
    paths: Json = {path: {"get": {}} for path in GET_ROUTES if path not in ("/", "/redoc", "/metrics", "/openapi.json")}
    paths |= {path: {"post": {}} for path in POST_ROUTES}
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
