# SPDX-License-Identifier: Apache-2.0
"""Strict JSON that remembers the line of every value, and says what is wrong with text that is not JSON.

Rank tables are often copied from documentation, with comments, elisions and trailing commas that ``json`` only
answers with "Expecting value". Where what was meant is beyond doubt (comments, trailing commas), reading goes on.
"""

from __future__ import annotations

import enum
import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

_SPACE = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r"//[^\r\n]*|#[^\r\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\r\n]|\\[^\r\n])*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])")
_WORD = re.compile(r"[^\s,:\[\]{}\"]+")
_ELISION = re.compile(r"\.\.\.+|…+")


class Kind(enum.Enum):
    """What a value is; the text is how messages call it."""

    OBJECT = "an object"
    ARRAY = "a list"
    STRING = "a string"
    NUMBER = "a number"
    WORD = "true, false or null"


@dataclass(frozen=True)
class Element:
    """One value. ``text`` is a string's content, or a number or word as written; lines and columns count from 1."""

    kind: Kind
    line: int
    column: int
    text: str = ""
    members: Mapping[str, Element] = field(default_factory=dict)
    items: tuple[Element, ...] = ()

    @property
    def is_scalar(self) -> bool:
        return self.kind not in (Kind.OBJECT, Kind.ARRAY)

    def get(self, key: str) -> Element | None:
        """The member of that name; None if there is none or this is no object."""
        return self.members.get(key)


class DefectKind(enum.Enum):
    """What keeps a text from being JSON."""

    COMMENT = "comment"
    TRAILING_COMMA = "trailing comma"
    DUPLICATE_KEY = "duplicate key"
    BYTE_ORDER_MARK = "byte order mark"
    ELISION = "elision"
    UNFINISHED = "unfinished"
    SYNTAX = "syntax"


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong with the text, where, and what to do."""

    kind: DefectKind
    line: int
    column: int
    message: str
    fix: str


@dataclass(frozen=True)
class Document:
    """What was read. ``root`` is None when reading could not go on to the end; ``defects`` say why."""

    root: Element | None
    defects: tuple[Defect, ...]


def read_json(text: str) -> Document:
    """Read JSON text; never raises for what the text holds."""
    reader = _Reader(text)
    try:
        root = reader.document()
    except _StopError:
        root = None
    return Document(root, tuple(reader.defects))


class _StopError(Exception):
    """Reading cannot go on; the defect is noted."""


class _Reader:
    #: Deeper nesting than any rank table has; the file is untrusted.
    DEPTH = 64

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.defects: list[Defect] = []
        self._lines = [m.end() for m in re.finditer(r"\r\n|\r|\n", text)]

    def document(self) -> Element:
        if self.text.startswith("\ufeff"):
            self._note(DefectKind.BYTE_ORDER_MARK, 0, "the file begins with a byte order mark", "save it without")
            self.at = 1
        self._space()
        root = self._value(0)
        self._space()
        if self.at < len(self.text):
            self._stop(DefectKind.SYNTAX, f"text after the end: {self._peek()}", "delete what follows the last bracket")
        return root

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        line = bisect_right(self._lines, offset)
        return line + 1, offset - (self._lines[line - 1] if line else 0) + 1

    def _value(self, depth: int) -> Element:
        if depth > self.DEPTH:
            self._stop(DefectKind.SYNTAX, f"nested deeper than {self.DEPTH} levels", "make the table again")
        line, column = self.place(self.at)
        first = self.text[self.at : self.at + 1]
        if first == "{":
            return Element(Kind.OBJECT, line, column, members=self._members(depth))
        if first == "[":
            return Element(Kind.ARRAY, line, column, items=self._items(depth))
        if first == '"':
            return Element(Kind.STRING, line, column, self._string())
        number = _NUMBER.match(self.text, self.at)
        if number is not None:
            self.at = number.end()
            return Element(Kind.NUMBER, line, column, number[0])
        word = _WORD.match(self.text, self.at)
        if word is None or word[0] not in ("true", "false", "null"):
            self._expected("a value")
        self.at = word.end()
        return Element(Kind.WORD, line, column, word[0])

    def _members(self, depth: int) -> dict[str, Element]:
        members: dict[str, Element] = {}
        self.at += 1
        self._space()
        while not self._take("}"):
            begin = self.at
            if self.text[begin : begin + 1] != '"':
                self._expected('a name in "double quotes", or }')
            key = self._string()
            self._space()
            if not self._take(":"):
                self._expected(f"a colon after {_shown(key)}")
            self._space()
            if key in members:
                first = members[key].line
                message = f"{_shown(key)} stands twice in one object (first in line {first}); the last one counts"
                self._note(DefectKind.DUPLICATE_KEY, begin, message, "delete the one that is wrong")
            members[key] = self._value(depth + 1)
            self._next("}")
        return members

    def _items(self, depth: int) -> tuple[Element, ...]:
        items: list[Element] = []
        self.at += 1
        self._space()
        while not self._take("]"):
            items.append(self._value(depth + 1))
            self._next("]")
        return tuple(items)

    def _next(self, closing: str) -> None:
        """After a value: a comma and something more, or the closing bracket (which is left to be taken)."""
        self._space()
        comma = self.at
        if self._take(","):
            self._space()
            if self.text[self.at : self.at + 1] in ("}", "]"):
                message = f"a comma before {self.text[self.at]}"
                self._note(DefectKind.TRAILING_COMMA, comma, message, "delete the comma")
        elif self.text[self.at : self.at + 1] != closing:
            self._expected(f"a comma or {closing}")

    def _take(self, character: str) -> bool:
        taken = self.text.startswith(character, self.at)
        self.at += taken
        return taken

    def _string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            self._stop(DefectKind.UNFINISHED, "a string is not closed in its line", 'add the missing "')
        try:
            value = json.loads(match[0])
        except ValueError as error:
            self._stop(DefectKind.SYNTAX, f"not a JSON string: {error}", "write plain characters")
        self.at = match.end()
        return str(value)

    def _space(self) -> None:
        """Pass white space, and comments, which are noted."""
        while True:
            space = _SPACE.match(self.text, self.at)
            self.at = space.end() if space else self.at
            comment = _COMMENT.match(self.text, self.at)
            if comment is None:
                return
            what = f"a comment: {_shown(comment[0])}"
            self._note(DefectKind.COMMENT, self.at, what, "delete it: JSON has no comments")
            self.at = comment.end()

    def _expected(self, what: str) -> NoReturn:
        elision = _ELISION.match(self.text, self.at)
        if elision is not None:
            message = f"{elision[0]} stands for entries that were left out"
            self._stop(DefectKind.ELISION, message, "write all entries: hakuna rank-table makes the whole table")
        if self.at >= len(self.text):
            message = f"the file ends where {what} is expected" if self.text.strip() else "the file is empty"
            self._stop(DefectKind.UNFINISHED, message, "the file is cut off: copy it again, or make it again")
        self._stop(DefectKind.SYNTAX, f"{what} is expected, not {self._peek()}", "make the table again, or correct it")

    def _peek(self) -> str:
        word = _WORD.match(self.text, self.at)
        return _shown(word[0] if word else self.text[self.at : self.at + 1])

    def _note(self, kind: DefectKind, offset: int, message: str, fix: str) -> None:
        line, column = self.place(offset)
        self.defects.append(Defect(kind, line, column, message, fix))

    def _stop(self, kind: DefectKind, message: str, fix: str) -> NoReturn:
        self._note(kind, self.at, message, fix)
        raise _StopError


def _shown(text: str) -> str:
    """Untrusted text for a message: bounded, escaped where it cannot be printed."""
    limit = 60
    cut = text if len(text) <= limit else text[:limit] + "…"
    return json.dumps(cut, ensure_ascii=not cut.isprintable())
