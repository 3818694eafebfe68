# SPDX-License-Identifier: Apache-2.0
"""The detection matrix: every fault, judged by every rule; kept with its facts, so that it can be judged again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster import SHAPES, fault_inventory, judged, mock, new_run, with_faults

from hakuna.evidence import Batch, Ending, HttpAnswer, HttpRequest, NodeAnswer, Outcome
from hakuna.judgement.verdict import CheckResult, Summary, Verdict
from hakuna.simulator.catalogue import CATALOGUE, COMBINED, VARIANTS
from hakuna.simulator.scenario import with_settings
from hakuna.stages.judge import Judge
from hakuna.stages.run import Run
from hakuna.transports import Transport

#: Evidence that is free text, or whose HTTP status alone is judged: gibberish in it is judged by what it means.
FREE = (
    "rank_table.file",  # RNK408 and NET230 report that it is no JSON
    "server.log",  # any text may stand in a log
    "generation.bad_temperature",  # GEN807 is judged on the status
    "generation.broken_json",  # likewise
    "generation.health_after",  # likewise
    "generation.unknown_model",  # likewise
)
Signature = tuple[Verdict, frozenset[tuple[Verdict, str]]]
GIBBERISH = b"\x1b[0m%% 42 bottles of milk standing on no wall at all %%\n"
_TOLD = (Verdict.FAIL, Verdict.WARN, Verdict.UNPARSED, Verdict.ERROR)


def signature(result: CheckResult) -> Signature:
    """What the matrix holds a result to: its verdict, and where it reports what."""
    told = frozenset((f.verdict, str(f.where)) for f in result.findings if f.verdict in _TOLD)
    return result.verdict, told


@dataclass
class Scenario:
    """One run that was judged."""

    name: str
    run: Run
    results: Mapping[str, CheckResult]

    @property
    def summary(self) -> Summary:
        return Summary(dict(self.results))

    def again(self, code: str) -> CheckResult:
        """Judge one rule again on the same facts, the others being what they were."""
        judge = Judge(self.run)
        judge.results = {c: r for c, r in self.results.items() if c != code}
        return judge.result(code)


class Garbling:
    """A transport on which one command of one node (or one HTTP request) answers in words that nobody knows."""

    def __init__(self, inner: Transport, node: str, command: str) -> None:
        self.inner, self.node, self.command = inner, node, command
        self.kind = inner.kind

    def run(self, name: str, batches: Mapping[str, Batch]) -> Mapping[str, NodeAnswer]:
        answers = dict(self.inner.run(name, batches))
        answer = answers.get(self.node)
        if answer is not None and self.command in answer.outcomes:
            outcome: Outcome = replace(
                answer.outcomes[self.command], ending=Ending.EXITED, exit_code=0, stdout=GIBBERISH, stderr=b""
            )
            answers[self.node] = replace(answer, outcomes={**answer.outcomes, self.command: outcome})
        return answers

    def http(self, request: HttpRequest) -> HttpAnswer:
        answer = self.inner.http(request)
        if request.id != self.command:
            return answer
        return replace(answer, body=GIBBERISH, chunks=((0.0, GIBBERISH),) if answer.chunks else ())

    def close(self) -> None:
        self.inner.close()


def plain(folder: Path) -> Scenario:
    """The mock cluster without a fault."""
    run, summary = judged(folder / "plain", with_faults())
    return Scenario("clean", run, summary.results)


def of_faults(folder: Path, mine: slice) -> Iterator[Scenario]:
    """Every fault of the catalogue, at its default place."""
    for name, kind in list({**CATALOGUE, **VARIANTS}.items())[mine]:
        run, summary = judged(folder / name, fault_inventory(kind))
        yield Scenario(name, run, summary.results)


def of_combinations(folder: Path, mine: slice) -> Iterator[Scenario]:
    """Several faults at once."""
    for one in COMBINED[mine]:
        inventory = with_faults(*one.faults, inventory=with_settings(mock(), one.settings))
        run, summary = judged(folder / f"combined-{one.name}", inventory)
        yield Scenario(one.name, run, summary.results)


#: Further places and clusters: where the default place could be found by luck.
_FURTHER: tuple[tuple[str, str], ...] = (
    ("table-differs@node-a", "2 x 8"),
    ("tcp-blocked@node-b>node-a", "2 x 8"),
    ("slow-pair@node-b/3>node-a/0", "2 x 8"),
    ("one-way-loss@node-b/3>node-a/0", "2 x 8"),
    ("wrong-netmask@node-b/3", "IPv6"),
    ("npu-unhealthy@node-b/3", "A3, 2 x 16"),
    ("lease-taken@node-a", "1 x 8"),
)


def further(folder: Path, mine: slice) -> Iterator[Scenario]:
    """Some faults at other places and on other clusters."""
    for number, (fault, shape) in list(enumerate(_FURTHER))[mine]:
        run, summary = judged(folder / f"further-{number}", with_faults(fault, inventory=SHAPES[shape]()))
        yield Scenario(f"{fault} on {shape}", run, summary.results)


def of_shapes(folder: Path, mine: slice) -> Iterator[Scenario]:
    """Every kind of cluster, without a fault."""
    for name, make in list(SHAPES.items())[mine]:
        run, summary = judged(folder / name.replace(" ", "").replace(",", "-"), with_faults(inventory=make()))
        yield Scenario(f"clean {name}", run, summary.results)


def consulted(clean: Scenario) -> dict[str, frozenset[str]]:
    """What every rule looks at, by the names of the evidence."""
    found: dict[str, frozenset[str]] = {}
    judge = Judge(clean.run)
    judge.results = dict(clean.results)
    for code in clean.results:
        sources: set[str] = set()
        keep = judge.evaluate

        def evaluate(rule: Any, call: Any, keep: Any = keep, sources: set[str] = sources) -> CheckResult:
            def inner(findings: Any) -> None:
                try:
                    call(findings)
                finally:
                    sources.update(r.source for r in findings.consulted.readings.values())

            return keep(rule, inner)  # type: ignore[no-any-return]  # Judge's own method

        judge.evaluate = evaluate  # type: ignore[method-assign]  # heard for one rule
        judge.results.pop(code)
        judge.result(code)
        judge.evaluate = keep  # type: ignore[method-assign]  # and put back
        found[code] = frozenset(sources)
    return found


def unseen(found: Scenario, source: str, sources: Mapping[str, frozenset[str]]) -> list[str]:
    """Rules that are green although the evidence they rest on is gibberish."""
    return [
        f"{found.name}: {code} is {found.results[code].verdict.value}"
        for code, looked in sources.items()
        if source in looked and found.results[code].verdict.green and not source.endswith(FREE)
    ]


def garbled(
    folder: Path, sources: Mapping[str, frozenset[str]], mine: slice = slice(None)
) -> Iterator[tuple[Scenario, str]]:
    """For every kind of evidence that any rule looks at: a run in which one piece of it is gibberish, and its name."""
    chosen: dict[str, str] = {}
    for source in sorted({s for one in sources.values() for s in one}, key=_preference):
        if not source.startswith("inventory:") and (source.startswith("http/") or source.count("/") > 1):
            chosen.setdefault(_family(source), source)
    for number, source in list(enumerate(chosen.values()))[mine]:
        stage, _, rest = source.partition("/")
        node, _, command = rest.partition("/")
        if stage == "http":
            node, command = "", rest
        run = new_run(folder / f"garbled-{number}", with_faults(inventory=_impatient()))
        run.transport = Garbling(run.transport, node, command)
        try:
            yield Scenario(f"garbled {source}", run, Judge(run).everything().results), source
        finally:
            run.transport.close()


#: Logs are read only where something failed, so no rule looks at them on a sound cluster: fault, evidence, rule.
_IN_FAULTS: tuple[tuple[str, str, str], ...] = (
    ("worker-port-taken", "server.logs/node-b/server.logs", "SRV710"),
    ("worker-full-in-request", "generation.logs/node-b/server.logs", "GEN814"),
    ("engine-dies-in-request", "generation.logs/node-a/server.logs", "GEN814"),
)


def garbled_logs(folder: Path, mine: slice = slice(None)) -> Iterator[tuple[Scenario, str]]:
    """Runs with a fault in which the logs that are then read are gibberish on one node."""
    for number, (fault, source, _rule) in list(enumerate(_IN_FAULTS))[mine]:
        _stage, node, command = source.split("/")
        run = new_run(folder / f"garbled-logs-{number}", fault_inventory(CATALOGUE[fault]))
        run.transport = Garbling(run.transport, node, command)
        try:
            yield Scenario(f"garbled {source} with {fault}", run, Judge(run).everything().results), source
        finally:
            run.transport.close()


def with_logs(sources: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """What every rule looks at, with the logs that it looks at only where something failed."""
    logs = {code: frozenset(s for _, s, c in _IN_FAULTS if c == code) for _, _, code in _IN_FAULTS}
    return {code: looked | logs.get(code, frozenset()) for code, looked in sources.items()}


def _impatient() -> Any:
    inventory = mock()
    return inventory.model_copy(
        update={
            "thresholds": inventory.thresholds.model_copy(update={"time_to_ready": 0.5}),
            "ray": inventory.ray.model_copy(update={"join_timeout": 0.2}),
        }
    )


def _family(source: str) -> str:
    """The kind of evidence: stage and command without node, device and peer."""
    stage, _, rest = source.partition("/")
    if stage == "http":
        return source
    command = rest.partition("/")[2]
    return f"{stage}/{command.partition('/')[0]}"


def _preference(source: str) -> tuple[bool, bool, str]:
    """The last node's and the middle device's first: what "the first" could hide."""
    return "/node-b/" not in source, not source.endswith("/3"), source
