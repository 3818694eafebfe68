# SPDX-License-Identifier: Apache-2.0
"""Reads one YAML file into items that remember the line they stand on.

The nodes of the YAML library's composer are used rather than its finished values: they carry marks, and duplicate
keys can all be told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Union

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hakuna.inventory.problems import Problems, Spot

#: More items than any real inventory has (1024 nodes have about 20 000); stops a file whose aliases explode.
ITEM_LIMIT = 500_000
_CORE = "tag:yaml.org,2002:"
_SCALARS = ("str", "int", "float", "bool", "null", "timestamp", "binary")
_INI = re.compile(r"^(\[[\w.:-]+\]\s*$|[^\s:#]+\s+ansible_\w+=)", re.MULTILINE)


@dataclass(frozen=True)
class Sealed:
    """A value that can not be used.

    It stands under a tag that only another program can open, like Ansible's ``!vault``, or (tag "") it has been
    complained about already.
    """

    tag: str


Value = Union[str, int, float, bool, None, Sealed, "dict[str, Item]", "list[Item]"]


@dataclass(frozen=True)
class Item:
    """A value and its spot: that of its key, or of the element in a list. ``text`` is a scalar as it was written."""

    value: Value
    spot: Spot
    text: str = ""

    @property
    def mapping(self) -> dict[str, Item]:
        """The items beneath, empty when this is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def plain(self) -> Any:
        """The value without spots, as a YAML library would give it; the caller may change it."""
        if isinstance(self.value, dict):
            return {key: item.plain for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain for item in self.value]
        return self.value

    def find(self, loc: tuple[str | int, ...]) -> Item | None:
        """The item at a path below this one, or None."""
        item: Item = self
        for part in loc:
            if isinstance(item.value, dict) and part in item.value:
                item = item.value[str(part)]
            elif isinstance(item.value, list) and isinstance(part, int) and 0 <= part < len(item.value):
                item = item.value[part]
            else:
                return None
        return item

    def with_key(self, key: str, item: Item) -> Item:
        """This mapping with one key set."""
        return replace(self, value={**self.mapping, key: item})

    def over(self, beneath: Item) -> Item:
        """This mapping with what it lacks taken from ``beneath``; mappings are merged, anything else is replaced."""
        if not (isinstance(self.value, dict) and isinstance(beneath.value, dict)):
            return self
        merged = dict(self.value)
        for key, item in beneath.value.items():
            merged[key] = merged[key].over(item) if key in merged else item
        return replace(self, value=merged)

    def walk(self, path: str = "") -> Iterator[tuple[str, Spot]]:
        """Every path below this item, with its spot."""
        children: list[tuple[str, Item]] = []
        if isinstance(self.value, dict):
            children = [(dotted(path, key), item) for key, item in self.value.items()]
        elif isinstance(self.value, list):
            children = [(dotted(path, index), item) for index, item in enumerate(self.value)]
        for below, item in children:
            yield below, item.spot
            yield from item.walk(below)


def dotted(path: str, part: str | int) -> str:
    """``path`` with one part more: "nodes" and 1 give "nodes[1]", "nodes[1]" and "ssh" give "nodes[1].ssh"."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else part


def path_of(loc: tuple[str | int, ...]) -> str:
    path = ""
    for part in loc:
        path = dotted(path, part)
    return path


def read_document(path: Path, problems: Problems, *, sealed: bool = False) -> Item | None:
    """Read a YAML file; None when nothing of it can be used. What is wrong is added to ``problems``.

    With ``sealed`` unknown tags become :class:`Sealed` values, without it they are problems.
    """
    spot = Spot(str(path))
    text = _text(path, spot, problems)
    if text is None:
        return None
    ini = _INI.search(text)
    if ini:
        line = text.count("\n", 0, ini.start()) + 1
        hint = "write it as YAML: ansible-inventory -i FILE --list --yaml"
        problems.add(replace(spot, line=line, column=1), "this is an Ansible inventory in INI format", hint)
        return None
    try:
        root = YAML(typ="safe", pure=True).compose(text)
        if root is not None:
            return _Builder(spot.file, problems, sealed=sealed).item(root, replace(spot, line=1, column=1), ())
        problems.add(spot, "the file is empty", "start from inventory/mock.yaml or inventory/atlas-800t-a2-2x8.yaml")
    except YAMLError as error:
        _not_yaml(error, text, spot, problems)
    except RecursionError:
        problems.add(spot, "nested too deeply", "an inventory has about five levels")
    except _TooLargeError as error:
        problems.add(spot, str(error), "write the nodes out without aliases")
    return None


def _text(path: Path, spot: Spot, problems: Problems) -> str | None:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problems.add(spot, "there is no such file", "check the path; inventory/mock.yaml needs no machines")
    except IsADirectoryError:
        problems.add(spot, "this is a directory", "name the YAML file in it")
    except UnicodeDecodeError as error:
        problems.add(spot, f"not UTF-8 text (byte {error.start + 1})", "save the file as UTF-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems.add(spot, f"can not be read: {reason.lower()}", "check the path and who may read it")
    return None


def _not_yaml(error: YAMLError, text: str, spot: Spot, problems: Problems) -> None:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    reason = (error.problem if isinstance(error, MarkedYAMLError) else None) or "a character that YAML does not allow"
    if mark and isinstance(error, MarkedYAMLError) and ("stream end" in reason or "end of stream" in reason):
        mark = error.context_mark or mark  # where that begins which never ends
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    position = getattr(error, "position", None)
    if not mark and isinstance(position, int):
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    hint = "check indentation, quotes and brackets in this line and the one before"
    if "another document" in reason:
        reason, hint = "a second document starts here", 'keep one document: remove this "---" line'
    elif r"\t" in reason:
        reason, hint = "a tab where YAML wants spaces", "indent with spaces"
    elif "undefined alias" in reason:
        hint = "define the anchor (&name) before this line"
    problems.add(replace(spot, line=line, column=column), f"not YAML: {reason}", hint)


class _TooLargeError(Exception):
    pass


@dataclass
class _Builder:
    file: str
    problems: Problems
    sealed: bool
    count: int = 0
    open: set[int] = field(default_factory=set)

    def item(self, node: Node, spot: Spot, loc: tuple[str | int, ...]) -> Item:
        self.count += 1
        if self.count > ITEM_LIMIT:
            raise _TooLargeError(f"more than {ITEM_LIMIT} values")
        if id(node) in self.open:
            raise _TooLargeError(f"line {spot.line}: an alias that holds itself")
        tag = str(node.tag)
        if not tag.startswith(_CORE) or (isinstance(node, ScalarNode) and tag[len(_CORE) :] not in _SCALARS):
            if not self.sealed and tag != "!":
                self.problems.add(spot, f"the tag {tag} is not known here", "remove the tag")
            if tag != "!":
                return Item(Sealed(tag), spot)
        if isinstance(node, ScalarNode):
            return Item(_scalar(tag[len(_CORE) :], node), spot, node.value)
        self.open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return Item(self._mapping(node, loc), spot)
            if isinstance(node, SequenceNode):
                return Item([self.item(n, self._spot(n, (*loc, i)), (*loc, i)) for i, n in enumerate(node.value)], spot)
            return Item(None, spot)  # there is no other kind of node
        finally:
            self.open.discard(id(node))

    def _spot(self, node: Node, loc: tuple[str | int, ...]) -> Spot:
        return Spot(self.file, node.start_mark.line + 1, node.start_mark.column + 1, path_of(loc))

    def _mapping(self, node: MappingNode, loc: tuple[str | int, ...]) -> dict[str, Item]:
        items: dict[str, Item] = {}
        merged: dict[str, Item] = {}
        for key_node, value_node in node.value:
            spot = self._spot(key_node, loc)
            if not isinstance(key_node, ScalarNode):
                self.problems.add(spot, "a key that is a list or a mapping", "use plain words as keys")
                continue
            if str(key_node.tag) == f"{_CORE}merge":
                for below in self._merges(value_node, spot, loc):
                    merged = {**below, **merged}
                continue
            key = key_node.value
            spot = replace(spot, where=path_of((*loc, key)))
            if key in items:
                first = items[key].spot.line
                self.problems.add(spot, f"given twice, first in line {first}", "keep one of the two")
                continue
            items[key] = self.item(value_node, spot, (*loc, key))
        return {**merged, **items}

    def _merges(self, node: Node, spot: Spot, loc: tuple[str | int, ...]) -> Iterator[Mapping[str, Item]]:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            item = self.item(source, spot, loc)
            if isinstance(item.value, dict):
                yield item.value
            else:
                self.problems.add(spot, "<< merges only mappings", "point it to an anchor of a mapping")


def _scalar(kind: str, node: ScalarNode) -> Value:
    text: str = node.value
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    try:
        if kind == "int":
            bare = text.replace("_", "")
            based = bare.lstrip("+-")[:2].lower() in ("0x", "0o", "0b")
            return int(bare, 0 if based else 10)
        if kind == "float":
            bare = text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan")
            return float(bare)
    except ValueError:
        return text
    return text
