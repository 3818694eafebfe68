# SPDX-License-Identifier: Apache-2.0
"""``make proof``: is every fault found exactly, is nothing else ever reported, and is every careless check noticed?

Prints rules, faults, exact detections, false alarms, mutants killed / all; writes docs/detection.md with ``--write``.
Ends with 1 when one of them is not what it should be.
"""

from __future__ import annotations

import argparse
import multiprocessing
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
#: Checks that report what cannot be parsed as a FAIL of their own, at the same place: the table cannot be made of it.
TOLD_ANYWAY = ("RNK400",)
#: Judges that are mutated besides the checks themselves: the functions by which checks come to their verdict.
JUDGES: tuple[Any, ...] = (
    findings.conclude,
    findings._blockers,  # a judge like the others
    findings._attributed,  # likewise
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
#: Evidence that is free text, or whose HTTP status alone is judged: gibberish in it is judged by what it means.
FREE = (
    "rank_table.file",  # RNK408 and NET230 report that it is no JSON
    "server.log",  # any text may stand in a log
    "generation.bad_temperature",  # GEN807 is judged on the status
    "generation.broken_json",  # likewise
    "generation.health_after",  # likewise
    "generation.unknown_model",  # likewise
)
#: Mutants that change no verdict and no place, by the line and what is changed, with the reason.
EQUIVALENT: dict[tuple[str, str], str] = {
    ("for _node, info in containers.npu_info:", "drop a node"): "the loop only consults; leaving out comes after it",
    ("for device, pod in rank_table.super_pods:", "drop a node"): "the loop only consults",
    ("for device, pod in rank_table.super_pods:", "drop a device"): "the loop only consults",
    ("names = sorted({name for _, found in containers.packages for name in found.packages})", "drop a node"): (
        "the program asks for the same packages on every node"
    ),
    ("who = next(x for x in listeners if x.port == port)", "swap Eq"): "words only: who holds the port",
    ('expected = named if named != "detect" else "any version"', "swap NotEq"): "words only",
    ('error = (ping.error or "nothing was sent") if percent is None else ping.error', "swap Is"): "words only",
    ('lambda a: "IPv6" if ":" in str(a.ip) else "IPv4"', "swap In"): "the names change places, the minority does not",
    (
        'found = [(":" in a.ip, a.ip, a.prefix) for _, a in network.address if a.ip is not None and a.prefix is not None]',
        "swap In",
    ): ("the two families change places"),
    (
        'found = [(":" in a.ip, a.ip, a.prefix) for _, a in network.address if a.ip is not None and a.prefix is not None]',
        "drop a device",
    ): ("a vote: one device less does not turn it"),
}


def own(code: str) -> bool:
    """Rules of Hakuna; from 900 on they are a site's, but for the teardown's."""
    return code.startswith("TDN") or int(code[3:]) < 900  # see docs/writing-checks.md


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
        if source in looked and found.results[code].verdict.green and not source.endswith(FREE)
    ]


@contextmanager
def unparsed_is_empty() -> Iterator[None]:
    """The mutant of every check: what cannot be parsed is left out, as if it were not there."""
    unreadable, unparsed = Consulted.unreadable, Findings.unparsed

    def only_lost(consulted: Consulted) -> list[Any]:
        kept = [r for r in consulted.readings.values() if not r.readable]
        lost = [r for r in kept if r.state is ReadingState.LOST]
        if len(lost) < len(kept):
            mutator.DROPPED.add("UNPARSED as empty")
        return lost

    def silent(_findings: Findings, _message: str) -> None:
        mutator.DROPPED.add("UNPARSED as empty")

    Consulted.unreadable = property(only_lost)  # type: ignore[assignment,method-assign]  # a mutant
    Findings.unparsed = silent  # type: ignore[method-assign]  # a mutant
    try:
        yield
    finally:
        Consulted.unreadable = unreadable  # type: ignore[method-assign]  # as it was
        Findings.unparsed = unparsed  # type: ignore[method-assign]  # as it was


Cells = list[tuple[matrix.Scenario, str]]


def killed(cells: Cells) -> bool:
    """Whether any of these cells of the matrix comes out differently now."""
    for found, code in cells:
        try:
            now = matrix.signature(found.again(code))
        except Exception:  # noqa: BLE001  # a judge that breaks is noticed, whatever it breaks with
            return True
        if now != matrix.signature(found.results[code]):
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


def survivors(scenarios: list[matrix.Scenario]) -> tuple[int, list[str]]:
    """How many mutants there are, and which of them nobody notices; two processes share the work."""
    rules = [rule.code for rule in BOOK if own(rule.code)]
    jobs: list[Callable[[], tuple[int, list[str]]]] = [
        lambda part=part: _of_checks(scenarios, part) for part in (rules[::4], rules[1::4], rules[2::4], rules[3::4])
    ]
    jobs.append(lambda: _of_judges(scenarios))
    global _JOBS  # noqa: PLW0603  # what a forked process finds: facts cannot be pickled
    _JOBS = jobs
    with multiprocessing.get_context("fork").Pool(2) as pool:
        parts = pool.map(_job, range(len(jobs)), chunksize=1)
    return sum(count for count, _ in parts), [text for _, left in parts for text in left]


_JOBS: list[Callable[[], tuple[int, list[str]]]] = []


def _job(number: int) -> tuple[int, list[str]]:
    return _JOBS[number]()


def _of_checks(scenarios: list[matrix.Scenario], codes: list[str]) -> tuple[int, list[str]]:
    count = 0
    left: list[str] = []
    for rule in (BOOK[code] for code in codes):
        function = rule.function
        assert isinstance(function, FunctionType)
        cells = [(found, rule.code) for found in scenarios if rule.code in found.results]
        # Those that the rule's own faults and gibberish are in come first: they kill most.
        cells.sort(key=lambda cell: cell[0].results[cell[1]].verdict in (Verdict.PASS, Verdict.BLOCKED, Verdict.SKIP))
        for mutant in mutator.mutants(function):
            mutator.DROPPED.clear()
            with mutator.planted(mutant):
                dead = killed(cells)
            if dead or _counts(mutant):
                count += 1
                left += [] if dead else [f"{rule.code}: {mutant.name}"]
        mutator.DROPPED.clear()
        with unparsed_is_empty():
            dead = killed(cells)
        if dead or (mutator.DROPPED and rule.code not in TOLD_ANYWAY):
            count += 1
            left += [] if dead else [f"{rule.code}: UNPARSED as empty"]
    return count, left


def _of_judges(scenarios: list[matrix.Scenario]) -> tuple[int, list[str]]:
    count = 0
    left: list[str] = []
    functions = [f for f in JUDGES if isinstance(f, FunctionType)]
    for function, cells in reached(scenarios, functions).items():
        for mutant in mutator.mutants(function):
            mutator.DROPPED.clear()
            with mutator.planted(mutant):
                dead = killed(cells)
            if dead or _counts(mutant):
                count += 1
                left += [] if dead else [f"judge: {mutant.name}"]
    return count, left


def _counts(mutant: mutator.Mutant) -> bool:
    """Whether a mutant that nobody noticed was one: it left something out, and is not known to change nothing."""
    leaves_out = mutant.operator in ("drop a node", "drop a device", "ignore one side", "ignore the other side")
    if leaves_out and not mutator.DROPPED:
        return False
    return (mutant.line, mutant.operator) not in EQUIVALENT


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
        everything = [*clean, *faults, *matrix.further(folder), *(found for found, _ in garbled)]
        count, left = (0, []) if chosen.no_mutants else survivors(everything)
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
