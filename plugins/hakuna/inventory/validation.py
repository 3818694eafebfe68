# SPDX-License-Identifier: Apache-2.0
"""Runs the model over a document and says, for everything it refuses, which line it stands on and what to write.

What is refused is taken out and the rest is validated again, so that the checks of meaning can still look at it.
"""

from __future__ import annotations

import enum
import functools
import re
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from hakuna.inventory.document import Item, Sealed, dotted, path_of
from hakuna.inventory.model import Inventory
from hakuna.inventory.nodes import FILE_KEYS
from hakuna.inventory.problems import SECRET_NAME, Problems, nearest, one_of

_ROUNDS = 30
_SECTION_ERRORS = frozenset({"model_type", "model_attributes_type", "dict_type", "tuple_type"})
_KINDS = {
    "int": ("must be a whole number", "remove quotes, units and fractions"),
    "float": ("must be a number", "remove quotes and units"),
    "finite": ("must be a finite number", "write a plain number"),
    "bool": ("must be true or false", "write true or false"),
    "string": ("must be text", "put it in quotes"),
    "dict": ("must be a mapping", "write NAME: VALUE lines beneath it"),
    "tuple": ("must be a list", "write [one, two], or lines that begin with a dash"),
    "too": ("is empty", "list at least one"),  # too_short: no list of the model has an upper limit
    "model": ("must be a mapping", "write its settings as NAME: VALUE lines beneath it"),
}
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least {:g}"),
    "greater_than": ("gt", "must be more than {:g}"),
    "less_than_equal": ("le", "must be at most {:g}"),
    "less_than": ("lt", "must be less than {:g}"),
    "string_too_long": ("max_length", "is longer than {} characters"),
}
#: What to write for a setting that has no default.
_REQUIRED = {
    "name": "name: node-a",
    "address": "the name or IP address that ssh connects to, e.g. address: 192.0.2.11",
    "node_ip": "the host network's IP address of this node, e.g. node_ip: 192.0.2.11",
    "nodes": "list the servers under nodes:, or name an Ansible inventory with hosts_from:",
}
#: What the patterns of the model say, in words: the pattern's beginning, message, hint.
_PATTERNS = (
    ("^[A-Za-z_]", "not the name of an environment variable", "letters, digits and _ only"),
    ("^[A-Za-z0-9]", "not a usable name", "letters, digits, '.', '_' and '-', beginning with a letter or digit"),
    ("^[^\\s/]", "not the name of a network interface", "as `ip addr` shows it, e.g. eth0"),
    ("^\\d+[bkmg", "not a size", "a number with k, m or g, e.g. 500g"),
    (
        "^/.*\\.json",
        "must be an absolute path that ends in .json",
        "HCCL reads no other, e.g. /tmp/hakuna/rank_table.json",
    ),
    ("^/", "must be an absolute path on the nodes", "begin it with /"),
    ("^(detect|", "not a version", 'detect, or e.g. "0.14.0"'),
)


@dataclass
class Refused:
    """The paths of what was taken out of a document."""

    paths: set[str] = field(default_factory=set)

    def touches(self, *paths: str) -> bool:
        """Whether something at, above or beneath one of the paths was taken out."""
        return any(_holds(a, b) or _holds(b, a) for a in self.paths for b in paths)

    def covers(self, path: str) -> bool:
        """Whether the path itself, or something around it, was taken out."""
        return any(_holds(a, path) for a in self.paths)


def _holds(outer: str, inner: str) -> bool:
    return inner == outer or (inner.startswith(outer) and inner[len(outer)] in ".[")


def validate(root: Item, problems: Problems) -> tuple[Inventory | None, Refused]:
    """The inventory that a document describes, without what the model refuses; None when nothing can be saved."""
    data = root.plain
    refused = Refused()
    _take_out_sealed(data, (), data, refused)
    for _ in range(_ROUNDS):
        inventory, details = _attempt(data)
        if inventory is not None:
            return inventory, refused
        for detail in details:
            _one(root, data, detail, problems, refused)
    return None, refused


def _attempt(data: Any) -> tuple[Inventory | None, list[Any]]:
    try:
        return Inventory.model_validate(data), []
    except ValidationError as error:
        return None, list(error.errors(include_url=False))


def _take_out_sealed(value: Any, loc: tuple[str | int, ...], data: Any, refused: Refused) -> None:
    if isinstance(value, Sealed):
        _take_out(data, loc, refused)
    elif isinstance(value, dict):
        for key in list(value):
            _take_out_sealed(value[key], (*loc, key), data, refused)
    elif isinstance(value, list):
        for index in reversed(range(len(value))):
            _take_out_sealed(value[index], (*loc, index), data, refused)


def _one(root: Item, data: Any, detail: Any, problems: Problems, refused: Refused) -> None:
    """Complain about one thing that the model refuses, once, and take it out of ``data``."""
    kind: str = detail["type"]
    loc: tuple[str | int, ...] = tuple(p for p in detail["loc"] if p != "[key]")
    item = root.find(loc)
    if kind == "missing":
        if not refused.covers(path_of(loc)):
            _missing(root, loc, problems)
        _fill(data, loc, refused)
        return
    if kind == "too_short" and item is not None and item.value:
        return  # it is short only because its elements were refused, which is told by itself
    if item is not None and item.value is None and kind in _SECTION_ERRORS and loc != ("nodes",):
        _delete(data, loc)  # "server:" with every line beneath it commented out
        return
    if kind == "string_type" and item is not None and item.text and type(item.value) in (int, float):
        _set(data, loc, item.text)  # 7200 or 0.14 where text belongs: taken as it was written
        return
    message, hint = _words(kind, loc, detail)
    spot = item.spot if item else _around(root, loc).spot
    secret = any(SECRET_NAME.search(str(part)) for part in loc) or loc[-1:] == ("api_key_env",)
    value = detail["input"] if isinstance(detail["input"], (str, int, float)) and kind != "extra_forbidden" else ""
    secret = secret or value == loc[-1]  # a bad key is in the path already
    problems.add(spot, message, hint, value="" if secret else value, where=None if item else path_of(loc))
    if kind == "extra_forbidden":
        _delete(data, loc)  # nothing that a check would ask for
    else:
        _take_out(data, loc, refused)


def _missing(root: Item, loc: tuple[str | int, ...], problems: Problems) -> None:
    around = _around(root, loc)
    name = str(loc[-1])
    hint = _REQUIRED.get(name, f"add {name}:")
    if name == "node_ip" and around.spot.file != root.spot.file:
        hint = "ansible_host is no IP address; add hakuna_node_ip: 192.0.2.11 to this host"
    problems.add(around.spot, "is missing", hint, where=dotted(around.spot.where, name))


def _words(kind: str, loc: tuple[str | int, ...], detail: Any) -> tuple[str, str]:
    """What is wrong and what to write, for one of the model library's error types."""
    if kind == "extra_forbidden":
        return _unknown_key(loc)
    if detail["input"] is None:
        hint = _REQUIRED.get(str(loc[-1])) if loc[0] == "nodes" else None
        return "has no value", hint or "write one, or remove the line to get the default"
    pattern = str(detail.get("ctx", {}).get("pattern", ""))
    choices = _choices(loc, pattern) if kind in ("enum", "string_pattern_mismatch") else []
    if choices:
        return "not a known value", one_of(str(detail["input"]), choices)
    if pattern:
        known = [(message, hint) for start, message, hint in _PATTERNS if pattern.startswith(start)]
        return known[0] if known else (f"does not match {pattern}", "see inventory/schema.json")
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return words.format(detail["ctx"][name]), _range_hint(kind, loc)
    return _KINDS.get(kind.split("_", maxsplit=1)[0], (str(detail["msg"]), "see inventory/schema.json"))


def _range_hint(kind: str, loc: tuple[str | int, ...]) -> str:
    if kind == "string_too_long":
        return "shorten it"
    name = next(str(p) for p in reversed(loc) if isinstance(p, str))
    if name == "port" or name.endswith("_port"):
        return "a port from 1 to 65535"
    return "device ids are counted per node, from 0" if name == "device_ids" else "see inventory/schema.json"


def _choices(loc: tuple[str | int, ...], pattern: str) -> list[str]:
    alternatives = re.fullmatch(r"\^\(([\w|.\\-]+)\)\$", pattern)
    if alternatives:
        return alternatives.group(1).replace("\\", "").split("|")
    model = _model_at(loc[:-1])
    annotation = model.model_fields[str(loc[-1])].annotation if model and loc[-1] in model.model_fields else None
    return [str(member.value) for member in annotation] if isinstance(annotation, enum.EnumMeta) else []


def _unknown_key(loc: tuple[str | int, ...]) -> tuple[str, str]:
    key, model = str(loc[-1]), _model_at(loc[:-1]) or Inventory
    known = sorted(_keys(model))
    if SECRET_NAME.fullmatch(key) and "key" in key.lower():
        return "an API key must not stand in the file", "name it: server.api_key_env or server.api_key_file"
    elsewhere = [section for section, keys in _sections() if key in keys]
    if elsewhere:
        return "not a key of this section", f"it belongs under {' or '.join(elsewhere)}"
    close = nearest(key, known)
    return "unknown key", f'did you mean "{close}"?' if close else "known keys: " + ", ".join(known)


def _keys(model: type[BaseModel]) -> list[str]:
    names = [name for name, info in model.model_fields.items() if not info.exclude]
    return [*names, *FILE_KEYS] if model is Inventory else names


def _sections() -> Iterable[tuple[str, list[str]]]:
    yield "the top level", _keys(Inventory)
    for name, info in Inventory.model_fields.items():
        model = _model_in(info.annotation)
        if model:
            yield f"{name}:", _keys(model)
            for below, inner in model.model_fields.items():
                deeper = _model_in(inner.annotation)
                if deeper:
                    yield f"{name}: {below}:", _keys(deeper)


def _model_at(loc: Sequence[str | int]) -> type[BaseModel] | None:
    """The model whose fields stand at a path of the inventory, or None."""
    model: type[BaseModel] | None = Inventory
    for part in loc:
        if isinstance(part, int):
            continue
        info = model.model_fields.get(part) if model else None
        model = _model_in(info.annotation) if info else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model_in, typing.get_args(annotation)) if m), None)


def _around(root: Item, loc: tuple[str | int, ...]) -> Item:
    """The innermost item of the document that holds the path."""
    for end in range(len(loc), 0, -1):
        item = root.find(loc[:end])
        if item is not None:
            return item
    return root


def _container(data: Any, loc: tuple[str | int, ...]) -> Any:
    try:
        return functools.reduce(lambda inner, part: inner[part], loc[:-1], data)
    except (KeyError, IndexError, TypeError):
        return None


def _set(data: Any, loc: tuple[str | int, ...], value: object) -> None:
    container = _container(data, loc)
    last = loc[-1]
    if isinstance(container, dict) or (isinstance(container, list) and isinstance(last, int)):
        container[last] = value  # type: ignore[index]  # the number of an element, if it is a list


def _delete(data: Any, loc: tuple[str | int, ...]) -> None:
    container = _container(data, loc)
    if isinstance(container, dict):
        container.pop(loc[-1], None)


def _fill(data: Any, loc: tuple[str | int, ...], refused: Refused) -> None:
    """Put something harmless where a required setting is missing."""
    refused.paths.add(path_of(loc))
    stand_in: dict[str | int, object] = {"node_ip": ""}
    value = [{"name": "unknown", "address": "unknown", "node_ip": ""}] if loc == ("nodes",) else None
    index = next((p for p in loc if isinstance(p, int)), 0)
    _set(data, loc, value or stand_in.get(loc[-1], f"unknown-{index}"))


def _take_out(data: Any, loc: tuple[str | int, ...], refused: Refused) -> None:
    refused.paths.add(path_of(loc))
    if not loc or loc == ("nodes",):
        _fill(data, ("nodes",), refused)
    elif len(loc) == 2 and loc[0] == "nodes":  # noqa: PLR2004  # a node that is no mapping
        _set(data, loc, {})
    elif isinstance(_container(data, loc), list):
        _take_out(data, loc[:-1], refused)  # one bad element: the whole list falls back to its default
    else:
        _delete(data, loc)
