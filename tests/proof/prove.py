# SPDX-License-Identifier: Apache-2.0
"""``make proof``: is every fault found exactly, is nothing else ever reported, and is every careless check noticed?

Prints rules, faults, exact detections, false alarms, mutants killed / all; writes docs/detection.md with ``--write``.
Ends with 1 when one of them is not what it should be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "simulated")]

import matrix  # noqa: E402  # the folder must be known first
import mutator  # noqa: E402  # likewise
from cluster import mock  # noqa: E402  # likewise

from hakuna.judgement import findings, garbage, hccl_variables, mesh_blame, sizes, verdict, versions  # noqa: E402
from hakuna.judgement.findings import Findings  # noqa: E402
from hakuna.judgement.rules import BOOK  # noqa: E402
from hakuna.judgement.verdict import Verdict  # noqa: E402
from hakuna.probes.reading import Consulted, ReadingState, Table  # noqa: E402
from hakuna.simulator.catalogue import CATALOGUE, VARIANTS  # noqa: E402
from hakuna.simulator.scenario import places_of, scenario  # noqa: E402
from hakuna.suites import load_rules  # noqa: E402

KINDS = {**CATALOGUE, **VARIANTS}
DOCS = HERE.parents[1] / "docs" / "detection.md"
#: Judges that are mutated besides the checks themselves: the functions by which checks come to their verdict.
JUDGES: tuple[Any, ...] = (
    findings.conclude,
    findings._blockers,  # noqa: SLF001  # a judge like the others
    findings._attributed,  # noqa: SLF001  # likewise
    mesh_blame.losses,
    garbage.why_garbage,
    hccl_variables.hccl_variable_problem,
    sizes.size_in_gib,
    verdict.worst,
    versions.eager_demand,
    Table.minority,
    Table.duplicates,
    Table.__iter__,
)
sys.modules.setdefault("prove", sys.modules[__name__])


def own(code: str) -> bool:
    """Rules of Hakuna; from 900 on they are a site's, but for the teardown's."""
    return code.startswith("TDN") or int(code[3:]) < 900  # noqa: PLR2004  # see docs/writing-checks.md


def exact(found: matrix.Scenario) -> list[str]:
    """What is not as the catalogue says of a fault's run; nothing when it was found exactly."""
    kind = KINDS[found.name]
    wanted = Verdict(kind.verdict)
    places = {str(p) for p in places_of(kind, scenario(kind, mock()))}
    told = {str(f.where) for f in found.results[kind.rule].findings if f.verdict is wanted}
    wrong = [] if told == places else [f"{found.name}: {kind.rule} at {sorted(told)} instead of {sorted(places)}"]
    for code, result in found.results.items():
        fails = [f for f in result.findings if f.verdict is Verdict.FAIL]
        if fails and not (code == kind.rule and wanted is Verdict.FAIL):
            wrong.append(f"{found.name}: false alarm of {code} at {fails[0].where}")
    return wrong


def unseen(found: matrix.Scenario, source: str, sources: dict[str, frozenset[str]]) -> list[str]:
    """Rules that are green although the evidence they rest on is gibberish."""
    return [
        f"{found.name}: {code} is {found.results[code].verdict.value}"
        for code, looked in sources.items()
        if source in looked and found.results[code].verdict.green
    ]


@contextmanager
def unparsed_is_empty() -> Iterator[None]:
    """The mutant of every check: what cannot be parsed is left out, as if it were not there."""
    unreadable, unparsed = Consulted.unreadable, Findings.unparsed
    Consulted.unreadable = property(  # type: ignore[assignment,method-assign]  # a mutant
        lambda self: [r for r in self.readings.values() if r.state is ReadingState.LOST]
    )
    Findings.unparsed = lambda _self, _message: None  # type: ignore[method-assign]  # a mutant
    try:
        yield
    finally:
        Consulted.unreadable = unreadable  # type: ignore[method-assign]  # as it was
        Findings.unparsed = unparsed  # type: ignore[method-assign]  # as it was


Cells = list[tuple[matrix.Scenario, str]]


def killed(cells: Cells) -> bool:
    """Whether any of these cells of the matrix comes out differently now."""
    for found, code in cells:
        if matrix.signature(found.again(code)) != matrix.signature(found.results[code]):
            return True
    return False


def reached(scenarios: list[matrix.Scenario], functions: list[FunctionType]) -> dict[FunctionType, Cells]:
    """Which cells of the matrix run through which judge."""
    by_code: dict[CodeType, FunctionType] = {f.__code__: f for f in functions}
    cells: dict[FunctionType, Cells] = {f: [] for f in functions}
    for found in scenarios:
        for code in found.results:
            seen: set[FunctionType] = set()

            def hear(frame: Any, _event: str, _argument: Any, seen: set[FunctionType] = seen) -> None:
                function = by_code.get(frame.f_code)
                if function is not None:
                    seen.add(function)

            sys.setprofile(hear)
            try:
                found.again(code)
            finally:
                sys.setprofile(None)
            for function in seen:
                cells[function].append((found, code))
    return cells


def survivors(scenarios: list[matrix.Scenario], say: Callable[[str], None]) -> tuple[int, list[str]]:
    """How many mutants there are, and which of them nobody notices."""
    count = 0
    left: list[str] = []
    rules = [rule for rule in BOOK if own(rule.code)]
    for rule in rules:
        function = rule.function
        assert isinstance(function, FunctionType)
        cells = [(found, rule.code) for found in scenarios if rule.code in found.results]
        # Those that the rule's own faults and gibberish are in come first: they kill most.
        cells.sort(key=lambda cell: cell[0].results[cell[1]].verdict in (Verdict.PASS, Verdict.BLOCKED, Verdict.SKIP))
        for mutant in mutator.mutants(function):
            mutator.DROPPED.clear()
            with mutator.planted(mutant):
                dead = killed(cells)
            drops = "drop a node" in mutant.name or "drop a device" in mutant.name or "ignore" in mutant.name
            if not dead and drops and not mutator.DROPPED:
                continue  # it left nothing out: no mutant
            count += 1
            if not dead:
                left.append(f"{rule.code}: {mutant.name}")
        count += 1
        with unparsed_is_empty():
            dead = killed(cells)
        if not dead:
            left.append(f"{rule.code}: UNPARSED as empty")
    say(f"mutants of the {len(rules)} checks: {count}")
    functions = [f for f in JUDGES if isinstance(f, FunctionType)]
    for function, cells in reached(scenarios, functions).items():
        for mutant in mutator.mutants(function):
            mutator.DROPPED.clear()
            with mutator.planted(mutant):
                dead = killed(cells)
            drops = "drop a" in mutant.name or "ignore" in mutant.name
            if not dead and drops and not mutator.DROPPED:
                continue
            count += 1
            if not dead:
                left.append(f"judge: {mutant.name}")
    return count, left


def page(scenarios: list[matrix.Scenario]) -> str:
    """The matrix as a page: per fault, what every stage's checks came to."""
    rows = [
        "# Detection",
        "",
        "Made by `make proof` (`tests/proof/prove.py --write`). One row per fault: the rule that reports it and where, then the",
        "checks that it blocks, as they come out on the simulated 2 x 8 cluster. All other checks keep the verdict they have",
        "without the fault; checks of stages that are not entered are counted together.",
        "",
        "| fault | reported by | verdict | at | blocked in the stages entered | blocked in later stages |",
        "|---|---|---|---|---|---|",
    ]
    for found in scenarios:
        kind = KINDS.get(found.name)
        if kind is None:
            continue
        told = sorted({str(f.where) for f in found.results[kind.rule].findings if f.verdict.value == kind.verdict})
        blocked = [r for r in found.results.values() if r.verdict is Verdict.BLOCKED]
        near = sorted(r.rule for r in blocked if not r.reason)
        later = sum(1 for r in blocked if r.reason)
        cells = (f"`{found.name}`", kind.rule, kind.verdict, ", ".join(told), ", ".join(near) or "-", str(later or "-"))
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def main(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help="write docs/detection.md")
    options.add_argument("--no-mutants", action="store_true")
    chosen = options.parse_args(arguments)
    begun = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    load_rules()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clean = list(matrix.of_shapes(folder))
        faults = list(matrix.of_faults(folder))
        alarms = [f"{s.name}: {c} is {r.verdict.value}" for s in clean for c, r in s.results.items() if _red(r.verdict)]
        wrong = [text for found in faults for text in exact(found)]
        first = clean[0]
        sources = matrix.consulted(first.run, verdict.Summary(dict(first.results)))
        garbled = list(matrix.garbled(folder, sources))
        blind = [text for found, source in garbled for text in unseen(found, source, sources)]
        say(f"matrix: {time.monotonic() - begun:.0f} s")
        everything = [*clean, *faults, *(found for found, _ in garbled)]
        count, left = (0, []) if chosen.no_mutants else survivors(everything, say)
        if chosen.write:
            DOCS.write_text(page(faults), encoding="utf-8")
    false_alarms = [*alarms, *(w for w in wrong if "false alarm" in w)]
    inexact = {w.partition(":")[0] for w in wrong}
    for text in (*alarms, *wrong, *blind, *left):
        say(f"  {text}")
    say(f"rules              {len([r for r in BOOK if own(r.code)])}")
    say(f"rules with a fault {len({k.rule for k in KINDS.values()})}")
    say(f"faults             {len(KINDS)}")
    say(f"exact detections   {len(KINDS) - len(inexact)}")
    say(f"false alarms       {len(false_alarms)}")
    say(f"gibberish          {len(garbled)} kinds of evidence, {len(blind)} taken for green")
    say(f"mutants killed     {count - len(left)} / {count}")
    say(f"time               {time.monotonic() - begun:.0f} s")
    return 1 if alarms or wrong or blind or left else 0


def _red(verdict: Verdict) -> bool:
    return not verdict.green and verdict is not Verdict.SKIP


if __name__ == "__main__":
    sys.exit(main())
