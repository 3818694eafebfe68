# SPDX-License-Identifier: Apache-2.0
"""One process's share of the proof: half of the matrix, and every mutant tried against that half.

Facts cannot be handed from one process to another, so each builds its own cells. A mutant is tried first against the
cells that its own rule reports something in; those that survive everywhere are tried against all others.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cases
import exactness
import judges
import matrix
import mutator
from equivalents import EQUIVALENT
from mesh_cases import mesh_cases
from unparsed import TOLD_ANYWAY, unparsed_is_empty

from hakuna.judgement.rules import BOOK
from hakuna.judgement.verdict import CheckResult, Verdict
from hakuna.simulator.catalogue import CATALOGUE, COMBINED, VARIANTS

KINDS = {**CATALOGUE, **VARIANTS}
#: So many red cells of one judge are tried at most, and so many of clean clusters: one whole cluster and some.
MOST_RED, MOST_CLEAN = 450, 200
#: A judge that takes so many seconds of processor time for a case (they take a hundredth) does not come to an end: a
#: loop that was turned round.
LONGEST = 0.25

#: A rule that is as without the fault, and one of a stage that is not entered, in the grid.
QUIET, NOT_ENTERED = ".", "x"

Cell = Callable[[], bool]


@dataclass
class Findings:
    """What a share of the matrix came to; ``rows`` and ``grid`` are the page's, by fault."""

    alarms: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)
    grid: dict[str, str] = field(default_factory=dict)
    garbled: int = 0


@dataclass
class Target:
    """One mutant, and its cells in this share: each says whether it comes out differently now."""

    name: str
    planted: Callable[[], AbstractContextManager[None]]
    near: list[Cell]
    far: list[Cell]
    mutant: mutator.Mutant | None = None
    #: Whether it ever left something out here.
    dropped: bool = False

    def dies(self, *, near: bool) -> bool:
        mutator.DROPPED.clear()
        with self.planted():
            dead = any(_noticed(cell) for cell in (self.near if near else self.far))
        self.dropped = self.dropped or bool(mutator.DROPPED)
        return dead


def _noticed(cell: Cell) -> bool:
    try:
        return cell()
    except Exception:  # noqa: BLE001  # a judge that breaks is noticed, whatever it breaks with
        return True


def _too_long(_signal: int, _frame: object) -> None:
    raise TimeoutError("a mutant does not come to an end")


def counts(target: Target, *, dropped: bool) -> bool:
    """Whether a mutant that nobody noticed was one: it left something out, and is not known to change nothing."""
    if target.mutant is None:
        return dropped and target.name.partition(":")[0] not in TOLD_ANYWAY
    leaves_out = target.mutant.operator in ("drop a node", "drop a device", "ignore one side", "ignore the other side")
    if leaves_out and not dropped:
        return False
    return (target.mutant.line, target.mutant.operator) not in EQUIVALENT


class Share:
    """Share ``number`` of ``of``."""

    def __init__(self, number: int, of: int, folder: Path) -> None:
        self.number, self.of, self.folder = number, of, folder
        self.found = Findings()
        self.scenarios: list[matrix.Scenario] = []

    def build(self) -> Findings:
        """Run and judge this share's faults and clusters."""
        mine = slice(self.number, None, self.of)
        clean = list(matrix.of_shapes(self.folder, mine))
        faults = list(matrix.of_faults(self.folder, mine))
        combined = list(matrix.of_combinations(self.folder, mine))
        first = matrix.plain(self.folder)
        sources = matrix.consulted(first)
        garbled = [*matrix.garbled(self.folder, sources, mine), *matrix.garbled_logs(self.folder, mine)]
        sources = matrix.with_logs(sources)
        found = self.found
        found.garbled = len(garbled)
        found.alarms = [
            f"{s.name}: {c} is {r.verdict.value}" for s in clean for c, r in s.results.items() if _red(r.verdict)
        ]
        for one in faults:
            found.wrong += exactness.wrong(KINDS[one.name], one.summary)
            found.rows[one.name] = _row(one)
            found.grid[one.name] = "".join(_letter(one.results[r.code]) for r in BOOK if exactness.own(r.code))
        for combination in COMBINED:
            of_it = (one for one in combined if one.name == combination.name)
            found.wrong += [text for one in of_it for text in exactness.wrong_causes(combination, one.summary)]
        found.blind = [text for one, source in garbled for text in matrix.unseen(one, source, sources)]
        further = list(matrix.further(self.folder, mine))
        self.scenarios = [*clean, *faults, *combined, *further, *(one for one, _ in garbled)]
        return found

    def targets(self) -> list[Target]:
        """Every mutant, in the same order in every share."""
        own = cases.all_cases()
        tables = self._of_cases(judges.OF_TABLES, [c for c in own if c.name.startswith("table ")])
        return [*self._of_checks(), *self._of_judges(), *tables, *self._of_cases(judges.OF_MESHES, mesh_cases())]

    def _of_checks(self) -> Iterator[Target]:
        for rule in BOOK:
            if not exactness.own(rule.code):
                continue
            function = rule.function
            assert isinstance(function, FunctionType)
            near, far = self._cells(rule.code)
            for mutant in mutator.mutants(function):
                yield Target(f"{rule.code}: {mutant.name}", _planting(mutant), near, far, mutant)
            yield Target(f"{rule.code}: UNPARSED as empty", unparsed_is_empty, near, far)

    def _cells(self, code: str) -> tuple[list[Cell], list[Cell]]:
        having = [s for s in self.scenarios if code in s.results]
        told = [s for s in having if _telling(s.results[code].verdict)]
        rest = sorted((s for s in having if s not in told), key=lambda s: not s.name.startswith("clean"))
        return [_cell(s, code) for s in told], [_cell(s, code) for s in rest]

    def _of_judges(self) -> Iterator[Target]:
        functions = [f for f in judges.SINGLE if isinstance(f, FunctionType)]
        functions += judges.of_modules(judges.OF_CHECKS)
        scenes = [_case(c) for c in cases.all_cases()[self.number :: self.of] if c.name.startswith("log ")]
        for function, cells in self._reached(functions).items():
            of_logs = function.__module__.endswith("log_cause")
            for mutant in mutator.mutants(function):
                yield Target(f"judge: {mutant.name}", _planting(mutant), scenes if of_logs else [], cells, mutant)

    def _of_cases(self, modules: tuple[ModuleType, ...], own: list[cases.Case]) -> Iterator[Target]:
        """The mutants of judges that have cells of their own, of which this share tries its part."""
        functions = list(judges.of_modules(modules))
        cells: dict[FunctionType, list[Cell]] = {f: [] for f in functions}
        with cases.reading_anew(), mutator.watched(functions) as met:
            for case in own[self.number :: self.of]:
                cell = _case(case)
                for function in _heard(case.outcome, functions):
                    cells[function].append(cell)
        for function in functions:
            for mutant in mutator.mutants(function):
                idle = mutant.loop >= 0 and (function, mutant.loop, mutant.operator) not in met
                near = [] if idle else cells[function]
                yield Target(f"judge: {mutant.name}", _planting(mutant), near, [], mutant)

    def _reached(self, functions: list[FunctionType]) -> dict[FunctionType, list[Cell]]:
        """Which cells run through which judge: red ones first, then those of clean clusters."""
        cells: dict[FunctionType, list[Cell]] = {f: [] for f in functions}
        red = [(s, c) for s in self.scenarios for c, r in s.results.items() if _telling(r.verdict) or _blocked_here(r)]
        clean = [(s, c) for s in self.scenarios if s.name.startswith("clean") for c in s.results]
        for wanted, most in ((red, MOST_RED), (clean, MOST_CLEAN)):
            full = {f: len(found) + most for f, found in cells.items()}
            for scenario, code in wanted:
                for function in _heard(functools.partial(scenario.again, code), functions):
                    if len(cells[function]) < full[function]:
                        cells[function].append(_cell(scenario, code))
        return cells


def _heard(call: Callable[[], object], functions: list[FunctionType]) -> set[FunctionType]:
    """Which of the functions a call runs through."""
    by_code: dict[CodeType, FunctionType] = {f.__code__: f for f in functions}
    seen: set[FunctionType] = set()

    def hear(frame: Any, _event: str, _argument: Any) -> None:
        function = by_code.get(frame.f_code)
        if function is not None:
            seen.add(function)

    sys.setprofile(hear)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen


def _planting(mutant: mutator.Mutant) -> Callable[[], AbstractContextManager[None]]:
    if mutant.function.__module__ != cases.READ.__module__:
        return lambda: mutator.planted(mutant)

    @contextlib.contextmanager
    def of_the_reader() -> Iterator[None]:
        with cases.reading_anew(), mutator.planted(mutant):
            yield

    return of_the_reader


def _cell(scenario: matrix.Scenario, code: str) -> Cell:
    sound = matrix.signature(scenario.results[code])
    return lambda: matrix.signature(scenario.again(code)) != sound


def _case(case: cases.Case) -> Cell:
    sound = case.outcome()

    def cell() -> bool:
        signal.signal(signal.SIGVTALRM, _too_long)
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)
        try:
            return case.outcome() != sound
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    return cell


def _telling(verdict: Verdict) -> bool:
    return verdict not in (Verdict.PASS, Verdict.BLOCKED, Verdict.SKIP)


def _blocked_here(result: CheckResult) -> bool:
    """Whether a check was judged and found to be blocked, and not merely left out with its stage."""
    return result.verdict is Verdict.BLOCKED and not result.reason


def _red(verdict: Verdict) -> bool:
    return not verdict.green and verdict is not Verdict.SKIP


def _letter(result: CheckResult) -> str:
    """A rule's verdict in the grid of faults and rules."""
    if result.verdict is Verdict.BLOCKED:
        return NOT_ENTERED if result.reason else "b"
    return result.verdict.value[0] if _telling(result.verdict) else QUIET


def _row(found: matrix.Scenario) -> str:
    """A fault's row of the page: what reports it, where, and what it blocks."""
    kind = KINDS[found.name]
    told = sorted({str(f.where) for f in found.results[kind.rule].findings if f.verdict.value == kind.verdict})
    blocked = [r for r in found.results.values() if r.verdict is Verdict.BLOCKED]
    near = sorted(r.rule for r in blocked if not r.reason)
    later = sum(1 for r in blocked if r.reason)
    row = (f"`{found.name}`", kind.rule, kind.verdict, ", ".join(told), ", ".join(near) or "-", str(later or "-"))
    return "| " + " | ".join(row) + " |"
