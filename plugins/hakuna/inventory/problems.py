# SPDX-License-Identifier: Apache-2.0
"""Problems of an inventory file: what is wrong, in which file and line, and what to write instead."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Settings whose last name looks like this hold secrets: their values are never shown.
SECRET_NAME = re.compile(r"(?i)((?<!first_)token|secret|passw(or)?d|api_?keys?|access_?key|credentials?)(\[\d+\])?$")
_SHOWN = 60


@dataclass(frozen=True)
class Spot:
    """Where something stands in a file. ``where`` is the dotted path in that file ("nodes[1].ssh.port").

    ``line`` and ``column`` count from 1; 0 means that there is no line (the whole file, or an override).
    """

    file: str
    line: int = 0
    column: int = 0
    where: str = ""


@dataclass(frozen=True)
class Problem:
    """One mistake. ``value`` is what was written, shortened ("" when there is none, or when it may be a secret)."""

    file: str
    line: int
    column: int
    where: str
    value: str
    message: str
    hint: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        what = f"{self.where}: {self.value}" if self.where and self.value else self.where or self.value
        return f"{place}: " + " - ".join(part for part in (what, self.message, self.hint) if part)


class InventoryError(Exception):
    """The inventory can not be used. ``problems`` has all mistakes in the order of the file; ``str()`` lists them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class Problems:
    """Collects problems while a file is read; the same mistake at the same place is kept once."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}

    def add(self, spot: Spot, message: str, hint: str, *, value: object = "", where: str | None = None) -> None:
        """Note a problem at ``spot``. ``where`` names the setting when it is not the one that stands there."""
        path = spot.where if where is None else where
        text = "" if value == "" or SECRET_NAME.search(path) else shown(value)
        self._problems[Problem(spot.file, spot.line, spot.column, path, text, message, hint)] = None

    def __len__(self) -> int:
        return len(self._problems)

    def __iter__(self) -> Iterator[Problem]:
        files = list(dict.fromkeys(p.file for p in self._problems))
        return iter(sorted(self._problems, key=lambda p: (files.index(p.file), p.line, p.column)))

    def raise_if_any(self) -> None:
        """Raise an :class:`InventoryError` with all that was noted, if anything was."""
        if self._problems:
            raise InventoryError(self)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that ``word`` was probably meant to be, or ""."""
    by_folded = {k.lower(): k for k in known}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), list(by_folded), n=1, cutoff=0.6)
    close = close or difflib.get_close_matches(word.lower(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[close[0]] if close else ""


def one_of(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest known word, or all of them."""
    names = list(known)
    close = nearest(word, names)
    return f'did you mean "{close}"?' if close else "one of: " + ", ".join(names)


def shown(value: object) -> str:
    """A value on one line, shortened, and without control characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
