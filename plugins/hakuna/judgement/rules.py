# SPDX-License-Identifier: Apache-2.0
"""Rules: the code that a check reports under, and the check's docstring as its reference page."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hakuna.judgement.stage import Stage
from hakuna.releases import Behaviour, Row, rows_of

F = TypeVar("F", bound=Callable[..., None])


@dataclass(frozen=True)
class Rule:
    """One rule. ``needs`` are the codes whose failure at the same place explains a failure here.

    ``rests_on`` are those whose failure anywhere explains one here (without a server no node has workers).
    ``marks`` are pytest markers (``hardware``, ``slow``, ``disruptive``).
    ``releases`` are the behaviours of LMDeploy's releases that it goes by (:mod:`hakuna.releases`).
    ``gates`` says whether a FAIL keeps later stages from being brought up.
    """

    code: str
    stage: Stage
    title: str
    why: str
    judged: str
    fix: str
    source: str
    guide: str
    needs: tuple[str, ...]
    gates: bool
    function: Callable[..., None]
    rests_on: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    releases: tuple[Behaviour, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of the table of releases that it goes by."""
        return tuple(row for behaviour in self.releases for row in rows_of(behaviour))

    @functools.cached_property
    def arguments(self) -> tuple[str, ...]:
        """The fixtures that the check asks for."""
        return tuple(inspect.signature(self.function).parameters)

    @property
    def place(self) -> tuple[Path, int]:
        """File and line of the check."""
        code = self.function.__code__
        return Path(code.co_filename), code.co_firstlineno


class RuleBook:
    """All rules known in this process, by code."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}

    def add(self, rule: Rule) -> None:
        """Enter a rule; the same function again (a file imported twice) replaces itself.

        Raises:
            ValueError: another check has that code already.
        """
        known = self._rules.get(rule.code)
        if known is not None and known.place != rule.place:
            first, second = known.place, rule.place
            msg = f"rule {rule.code} is used twice: {first[0]}:{first[1]} and {second[0]}:{second[1]}"
            raise ValueError(msg)
        self._rules[rule.code] = rule

    def __iter__(self) -> Iterator[Rule]:
        """All rules in order of stage and code."""
        return iter(sorted(self._rules.values(), key=lambda r: (r.stage.order, r.code)))

    def __len__(self) -> int:
        return len(self._rules)

    def __contains__(self, code: str) -> bool:
        return code in self._rules

    def __getitem__(self, code: str) -> Rule:
        return self._rules[code]

    def of(self, stage: Stage) -> list[Rule]:
        return [r for r in self if r.stage is stage]


#: The rules of all suites that were imported.
BOOK = RuleBook()


def rule(
    code: str,
    *,
    guide: str = "",
    needs: tuple[str, ...] = (),
    rests_on: tuple[str, ...] = (),
    gates: bool = True,
    source: str = "",
    marks: tuple[str, ...] = (),
    releases: tuple[Behaviour, ...] = (),
) -> Callable[[F], F]:
    """Make a test function a check that reports under ``code``.

    The docstring's first paragraph says why the check exists; a paragraph that begins with "Judged" says
    how, "Fix:" what to do (with ``{device_id}``, ``{node}``, ``{expected}`` ... filled in), "Source:" what
    it rests on.

    Raises:
        ValueError: the code is malformed or taken, or the docstring lacks why, "Judged" or "Fix:".
    """

    def enter(function: F) -> F:
        parts = _sections(code, inspect.getdoc(function) or "")
        BOOK.add(
            Rule(
                code=code,
                stage=Stage.of_code(code),
                title=function.__name__.removeprefix("test_").replace("_", " "),
                why=parts["why"],
                judged=parts["judged"],
                fix=parts["fix"],
                source=source or parts["source"],
                guide=guide,
                needs=needs,
                rests_on=rests_on,
                gates=gates,
                function=function,
                marks=marks,
                releases=releases,
            )
        )
        function.__hakuna_rule__ = code  # type: ignore[attr-defined]  # the mark that the plugin looks for
        return function

    return enter


def _sections(code: str, docstring: str) -> dict[str, str]:
    sections = {"why": "", "judged": "", "fix": "", "source": ""}
    current = "why"
    for paragraph in textwrap.dedent(docstring).split("\n"):
        line = paragraph.strip()
        if line.startswith("Judged"):
            current = "judged"
        elif line.startswith("Fix:"):
            current, line = "fix", line[len("Fix:") :].strip()
        elif line.startswith("Source:"):
            current, line = "source", line[len("Source:") :].strip()
        joint = "\n" if current == "fix" else " "
        sections[current] = (sections[current] + joint + line).strip()
    for name in ("why", "judged", "fix"):
        if not sections[name]:
            msg = f"rule {code}: its docstring says nothing of {name!r} (why; 'Judged ...'; 'Fix: ...')"
            raise ValueError(msg)
    return sections


def rule_of(function: Any) -> Rule | None:
    """The rule that a test function carries, if it is a check."""
    code = getattr(function, "__hakuna_rule__", None)
    return BOOK[code] if isinstance(code, str) else None
