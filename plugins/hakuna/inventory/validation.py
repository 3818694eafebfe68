# SPDX-License-Identifier: Apache-2.0
"""Runs the model over a document and says, for everything it refuses, which line it stands on and what to write.

What is refused is taken out and the rest is validated again, so that the checks of meaning can still look at it.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from hakuna.inventory.document import Item, Sealed, dotted, path_of
from hakuna.inventory.model import Inventory
from hakuna.inventory.nodes import FILE_KEYS
from hakuna.inventory.problems import SECRET_NAME, Problems, nearest, one_of, shown

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
    "model": ("must be a mapping", "write its settings as NAME: VALUE lines beneath it"),
}
_BOUNDS = {
    "ge": "greater_than_equal at least",
    "gt": "greater_than more than",
    "le": "less_than_equal at most",
    "lt": "less_than less than",
}
#: What the patterns of the model say, in words: the pattern's beginning, message, hint.
_PATTERNS = (
    ("^[A-Za-z_]", "not the name of an environment variable", "letters, digits and _ only"),
    ("^[A-Za-z0-9]", "not a usable name", "letters, digits, '.', '_' and '-', beginning with a letter or digit"),
    ("^[^\\s/]", "not the name of a network interface", "as `ip addr` shows it, e.g. eth0"),
    ("^\\d+[bkmg", "not a size", "a number with k, m or g, e.g. 500g"),
    ("^/.*\\.json", "must be an absolute path that ends in .json", "HCCL reads no other, e.g. /tmp/hakuna/rank_table.json"),
    ("^/", "must be an absolute path on the nodes", "begin it with /"),
    ("^(detect|", "not a version", 'detect, or e.g. "0.14.0"'),
)


@dataclass
class Refused:
    """The paths of what was taken out of a document."""

    paths: set[str] = field(default_factory=set)

    def touches(self, *paths: str) -> bool:
        """Whether something at, above or beneath one of the paths was taken out."""
        return any(_overlap(a, b) for a in self.paths for b in paths)


def _overlap(one: str, two: str) -> bool:
    short, long = sorted((one, two), key=len)
    return long == short or (long.startswith(short) and long[len(short)] in ".[")


def validate(root: Item, problems: Problems) -> tuple[Inventory | None, Refused]:
    """The inventory that a document describes, without what the model refuses; None when nothing can be saved."""
    data = root.plain
    refused = Refused()
    _take_out_sealed(data, (), data, refused)
    for _ in range(_ROUNDS):
        try:
            return Inventory.model_validate(data), refused
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                _one(root, data, detail, problems, refused)
    return None, refused


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
        if path_of(loc) not in refused.paths:
            _missing(root, loc, problems)
        _fill(data, loc, refused)
        return
    if item is not None and item.value is None and kind in _SECTION_ERRORS and loc != ("nodes",):
        _delete(data, loc)  # "server:" with every line beneath it commented out
        return
    if kind == "string_type" and item is not None and item.text and type(item.value) in (int, float):
        _set(data, loc, item.text)  # 7200 or 0.14 where text belongs: taken as it was written
        return
    message, hint = _words(kind, loc, detail)
    spot = item.spot if item else _around(root, loc).spot
    secret = any(SECRET_NAME.search(str(part)) for part in loc)
    value = detail["input"] if isinstance(detail["input"], (str, int, float)) and kind != "extra_forbidden" else ""
    problems.add(spot, message, hint, value="" if secret else value, where=None if item else path_of(loc))
    _take_out(data, loc, refused)


def _missing(root: Item, loc: tuple[str | int, ...], problems: Problems) -> None:
    around = _around(root, loc)
    name = str(loc[-1])
    hint = {
        "name": "name: node-a",
        "address": "the name or IP address that ssh connects to, e.g. address: 192.0.2.11",
        "node_ip": "the host network's IP address of this node, e.g. node_ip: 192.0.2.11",
        "nodes": "list the servers under nodes:, or name an Ansible inventory with hosts_from:",
    }.get(name, f"add {name}:")
    if name == "node_ip" and around.spot.file != root.spot.file:
        hint = "ansible_host is no IP address; add hakuna_node_ip: 192.0.2.11 to this host"
    problems.add(around.spot, "is missing", hint, where=dotted(around.spot.where, name))


def _words(kind: str, loc: tuple[str | int, ...], detail: Any) -> tuple[str, str]:
    """What is wrong and what to write, for one of the model library's error types."""
    context = detail.get("ctx", {})
    pattern = str(context.get("pattern", ""))
    choices = _choices(loc, pattern) if kind in ("enum", "string_pattern_mismatch") else []
    if kind == "extra_forbidden":
        return _unknown_key(loc)
    if detail["input"] is None:
        return "has no value", "write one, or remove the line to get the default"
    if choices:
        return "not a known value", one_of(str(detail["input"]), choices)
    for start, message, hint in _PATTERNS:
        if kind == "string_pattern_mismatch" and pattern.startswith(start):
            return message, hint
    bounds = [(name, text.split(" ", 1)) for name, text in _BOUNDS.items()]
    for name, (error_type, words) in bounds:
        if kind == error_type:
            return f"must be {words} {context[name]:g}", _range_hint(loc)
    if kind == "too_short":
        return "is empty", "list at least one"
    if kind == "string_too_long":
        return f"longer than {context['max_length']} characters", "shorten it"
    if kind.split("_")[0] in _KINDS:
        return _KINDS[kind.split("_")[0]]
    return str(detail["msg"]), "see inventory/schema.json"


def _range_hint(loc: tuple[str | int, ...]) -> str:
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
    return [str(member.value) for member in annotation] if isinstance(annotation, type(re.RegexFlag)) else []


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
    for part in loc[:-1]:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _set(data: Any, loc: tuple[str | int, ...], value: object) -> None:
    container = _container(data, loc)
    if isinstance(container, (dict, list)):
        container[loc[-1]] = value


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
