# SPDX-License-Identifier: Apache-2.0
"""How a request's body is read: what FastAPI and pydantic take, and the words in which they refuse the rest.

Standard library only: the simulated server's own process loads it by path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from hakuna.simulator.lmdeploy_server_release import Release
    from hakuna.simulator.lmdeploy_server_wire import Answer, Json, RefusedError, error
else:  # lmdeploy_server.py was started by path and has made the siblings findable
    from lmdeploy_server_release import Release
    from lmdeploy_server_wire import Answer, Json, RefusedError, error

#: Routes that take a body, and the fields that each must have.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "/v1/chat/completions": ("model", "messages"),
    "/v1/completions": ("model", "prompt"),
    "/generate": (),
    "/v1/encode": ("input",),
}
_INTEGERS = ("n", "max_tokens", "max_completion_tokens", "top_k", "seed")
_NUMBERS = ("temperature", "top_p")


def read_body(release: Release, path: str, content_type: str, raw: bytes) -> Json:
    """The request's JSON object, checked as this release checks it.

    Raises:
        RefusedError: it does not fit; holds LMDeploy's answer.
    """
    if not (release.reads_bodies_itself and path in ("/v1/chat/completions", "/v1/completions")):
        return _checked(release, path, content_type, raw)
    try:
        return _checked(release, path, "application/json", raw)
    except RefusedError:
        raise RefusedError(Answer(500, b"Internal Server Error", "text/plain; charset=utf-8")) from None


def _checked(release: Release, path: str, content_type: str, raw: bytes) -> Json:
    """As FastAPI and pydantic check it."""
    said_json = content_type.split(";", maxsplit=1)[0].strip().lower() == "application/json"
    if not said_json:
        _refuse_kind(release, raw)
    if not raw:
        raise RefusedError(_unfit(release, None, ["body"], "missing", "Field required", None))
    body = _parsed(release, raw)
    if not isinstance(body, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        raise RefusedError(_unfit(release, body, ["body"], "model_attributes_type", message, body))
    for field in NEEDED[path]:
        if field not in body:
            raise RefusedError(_unfit(release, body, ["body", field], "missing", "Field required", body))
    _check_types(release, body)
    if path == "/v1/chat/completions":
        _check_messages(release, body)
    return body


def _refuse_kind(release: Release, raw: bytes) -> None:
    """A body that does not say that it is JSON: a plain text to FastAPI, or LMDeploy's own refusal."""
    if release.checks_media_type:
        message = "Unsupported Media Type: Only 'application/json' is allowed"
        if release.openai_errors:
            raise RefusedError(error(400, message))
        raise RefusedError(Answer.json(422, {"detail": [message], "body": None}))
    text = raw.decode("utf-8", "replace")
    message = "Input should be a valid dictionary or object to extract fields from"
    raise RefusedError(_unfit(release, text, ["body"], "model_attributes_type", message, text))


def _parsed(release: Release, raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except json.JSONDecodeError as problem:
        place: list[Any] = ["body", problem.pos]
        words = ("json_invalid", "JSON decode error")
        answer = _unfit(release, problem.doc, place, *words, {}, {"error": problem.msg})
        raise RefusedError(answer) from None
    except UnicodeDecodeError:
        raise RefusedError(Answer.json(400, {"detail": "There was an error parsing the body"})) from None


def _check_types(release: Release, body: Json) -> None:
    for field in (*_NUMBERS, *_INTEGERS):
        value = body.get(field)
        if value is None or _fits(field, value):
            continue
        whole = field in _INTEGERS
        word = "integer" if whole else "number"
        short, message = "int" if whole else "float", f"Input should be a valid {word}"
        kind = f"{short}_type"
        if isinstance(value, str):
            kind, message = f"{short}_parsing", f"{message}, unable to parse string as {'an' if whole else 'a'} {word}"
        elif isinstance(value, float):
            kind, message = "int_from_float", f"{message}, got a number with a fractional part"
        raise RefusedError(_unfit(release, body, ["body", field], kind, message, value))


def _fits(field: str, value: Any) -> bool:
    if field in _NUMBERS:
        return isinstance(value, (int, float))
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _check_messages(release: Release, body: Json) -> None:
    messages = body["messages"]
    if isinstance(messages, str) and release.string_messages:
        return
    found: list[tuple[list[Any], str, str, Any]] = []
    if not isinstance(messages, list):
        found.append(([], "list_type", "Input should be a valid list", messages))
    else:
        words = "Input should be a valid dictionary"
        found += [([i], "dict_type", words, m) for i, m in enumerate(messages) if not isinstance(m, dict)]
    if not found:
        if not messages:
            raise RefusedError(_no_message(release))
        return
    if not release.string_messages:
        place, kind, message, value = found[0]
        raise RefusedError(_unfit(release, body, ["body", "messages", *place], kind, message, value))
    # A union of str and list: pydantic tells what keeps it from being either.
    both: list[tuple[list[Any], str, str, Any]] = [(["str"], "string_type", "Input should be a valid string", messages)]
    both += [([release.messages_type, *place], kind, message, value) for place, kind, message, value in found]
    if release.openai_errors:
        raise RefusedError(error(400, f"messages.str: {both[0][2]}"))
    details = [
        {"type": kind, "loc": ["body", "messages", *place], "msg": message, "input": value}
        for place, kind, message, value in both
    ]
    raise RefusedError(_refusal(release, details, body))


def _no_message(release: Release) -> Answer:
    """The answer to a conversation without a message: an error of the chat template's that nobody caught, for long."""
    if release.checks_empty_messages:
        return error(400, "messages must not be empty unless input_ids is set.")
    if release.openai_errors:
        return error(400, "Request preprocessing failed.")
    return Answer(500, b"Internal Server Error", "text/plain; charset=utf-8")


def _unfit(
    release: Release,
    body: object,
    place: list[Any],
    kind: str,
    message: str,
    value: object,
    context: Json | None = None,
) -> Answer:
    """What does not fit: FastAPI's list of details, or LMDeploy's object with the first of them."""
    if release.openai_errors:
        where = ".".join(str(part) for part in place if part != "body")
        return error(400, f"{where}: {message}" if where else message)
    detail: Json = {"type": kind, "loc": place, "msg": message, "input": value}
    if context:
        detail["ctx"] = context
    return _refusal(release, [detail], body)


def _refusal(release: Release, details: list[Json], body: object) -> Answer:
    return Answer.json(422, {"detail": details, **({"body": body} if release.shows_bodies else {})})
