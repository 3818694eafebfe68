# SPDX-License-Identifier: Apache-2.0
"""Stage ``teardown``: takes down what a run's journal says it may have left, in reverse, and looks what is left.

Only what carries the run's label is touched: containers by their label, processes by ``HAKUNA_RUN`` in their
environment, files and leases by the journal. It is used for the run itself, for dead runs, and by ``hakuna down``, and
takes no longer than the time in reserve for it.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hakuna.evidence import Batch, Command
from hakuna.inventory.model import Engine, Inventory
from hakuna.probes import containers, host, lmdeploy_log, npu_smi, procs, table_file
from hakuna.probes import ray as ray_probe
from hakuna.probes.reading import Reading, ReadingState, Table
from hakuna.stages.answers import Answers
from hakuna.stages.holder import LEASE_FOLDER
from hakuna.stages.journal import Journal, Trace
from hakuna.stages.reserve import Reserve, Send
from hakuna.stages.run import Run
from hakuna.where import Where

#: Signals in the order they are tried on labelled processes; each is looked after before the next.
SIGNALS = ("TERM", "TERM", "KILL")
RAY_LOGS = "/tmp/ray/session_latest/logs"  # noqa: S108  # Ray's own place
LOG_BYTES = 200_000
#: A log is only worth so much of the time in reserve, in seconds for each.
LOG_SECONDS = 5.0
#: How often containers are looked for while something is still starting one, or one does not go away.
ROUNDS = 4


@dataclass(frozen=True)
class Aftermath:
    """What may still be on a node although it could not be looked at: the traces, and why."""

    traces: tuple[Trace, ...]
    why: str
    commands: tuple[str, ...]  # what a person can type on the node to remove them


@dataclass(frozen=True)
class TeardownFacts:
    """What is left on each node. ``attempted`` is empty when the run ``run_id`` had started nothing.

    ``before`` is the lease as it was when the teardown began; ``aftermath`` is what could not be looked at, by node.
    """

    run_id: str
    attempted: tuple[Trace, ...]
    remaining: tuple[Trace, ...]
    before: Table[host.LeaseState]
    aftermath: Table[Aftermath]
    processes: Table[tuple[procs.Process, ...]]
    containers: Table[tuple[containers.ContainerRow, ...]]
    files: Table[tuple[str, ...]]
    lease: Table[host.LeaseState]
    npu: Table[npu_smi.NpuInfo]
    boot_id: Table[str]


def collect(run: Run) -> TeardownFacts:
    """Take this run down, within the time that is in reserve for it."""
    traces = _intended(run)
    reserve = Reserve(run.send, run.inventory.thresholds.teardown)
    if run.live and traces:
        nodes = len({t.node for t in traces})
        run.progress(f"taking down what this run started on {nodes} nodes, within {reserve.seconds:.0f} s")
        _keep_logs(run, reserve, traces)
    return take_down(reserve, run.inventory, run.id, traces, run.journal if run.live else None)


def _intended(run: Run) -> tuple[Trace, ...]:
    """Every trace ever intended; a replayed run knows them from what was sent."""
    if run.live:
        return tuple(run.journal.traces())
    kept = run.store.answers("teardown") or {}
    intended = Journal(run.store.folder.parent).intended()  # of the run that is replayed
    return tuple(t for t in intended if t.node in kept) or tuple(Trace("processes", node) for node in kept)


def take_down(
    send: Send,
    inventory: Inventory,
    run_id: str,
    traces: tuple[Trace, ...],
    journal: Journal | None,
    name: str = "teardown",
) -> TeardownFacts:
    """Take down the traces of the run ``run_id`` and look what is left; ``journal`` hears what is gone."""
    nodes = [n.name for n in inventory.nodes if any(t.node == n.name for t in traces)]
    if not nodes:
        none: Table[Any] = Table({})
        return TeardownFacts(run_id, (), (), none, none, none, none, none, none, none, none)
    of_node = {n: [t for t in traces if t.node == n] for n in nodes}
    before = _remove_containers(send, inventory, run_id, of_node, name)
    _end_processes(send, run_id, nodes, name)
    files = send(f"{name}.files", {n: Batch(tuple(_file_commands(of_node[n]))) for n in nodes})
    look = send(name, {n: Batch(tuple(_look(inventory, run_id))) for n in nodes})
    facts = TeardownFacts(
        run_id=run_id,
        attempted=traces,
        remaining=(),
        before=before,
        aftermath=Table({}),
        processes=look.per_node("procs.labelled", procs.parse_procs),
        containers=look.per_node("engine.containers", containers.parse_ps).map(
            lambda rows: tuple(r for r in rows if r.labels.get("hakuna.run") == run_id)
        ),
        files=files.per_node("remove", table_file.parse_remove).map(lambda r: r.left),
        lease=look.per_node("host.lease", host.parse_lease),
        npu=look.per_node("npu.info", npu_smi.parse_info),
        boot_id=look.per_node("host.boot_id", host.parse_boot_id),
    )
    left = tuple(t for t in traces if not _is_gone(t, facts))
    if journal is not None:
        for trace in traces:
            if trace not in left:
                journal.gone(trace)
    return replace(facts, remaining=left, aftermath=_aftermath(inventory, facts, left))


def _remove_containers(
    send: Send, inventory: Inventory, run_id: str, of_node: Mapping[str, list[Trace]], name: str
) -> Table[host.LeaseState]:
    """The guide's ``ray stop`` inside, then the container itself; gives the leases as they were found.

    Only where it carries the run's label: the name alone says nothing, after a conflict it is somebody else's
    container that has it. A run that was interrupted may still be starting one: that is ended first, and then looked
    again, as the engine may have finished it meanwhile.
    """
    nodes = [n for n, traces in of_node.items() if any(t.kind == "container" for t in traces)]
    starting = procs.procs("starting", f"{containers.RUN_LABEL}={run_id}")
    look = {n: [host.lease_show(LEASE_FOLDER)] for n in of_node}
    for node in nodes:
        look[node] += [containers.ps_labelled(inventory), starting]
    before: Table[host.LeaseState] = Table({})
    for number in range(1, ROUNDS + 1):
        mark = f".{number}" if number > 1 else ""
        answers = send(f"{name}.find{mark}", {n: Batch(tuple(c)) for n, c in look.items()})
        before = before if number > 1 else answers.per_node("host.lease", host.parse_lease)
        batches: dict[str, list[Command]] = {}
        starters = answers.per_node("procs.starting", procs.parse_procs)
        for where, found in starters.readings.items():
            pids = [p.pid for p in found.fact or () if _starts(p, run_id)]
            if pids:
                batches.setdefault(where.node, []).append(procs.kill(run_id, "TERM", pids))
        again = bool(batches)
        for where, rows in answers.per_node("engine.containers", containers.parse_ps).readings.items():
            ours = [row.id for row in rows.fact or () if row.labels.get(containers.RUN_LABEL) == run_id]
            if ours:
                stop = containers.inside(inventory, ray_probe.stop(), container=ours[0])
                batches.setdefault(where.node, []).extend([stop, containers.remove(inventory, ours)])
        if not batches:
            break
        # One after the other.
        down = {n: Batch(tuple(replace(c, lane="down") for c in commands)) for n, commands in batches.items()}
        removed = send(f"{name}.containers{mark}", down)
        failed = [n for n, a in removed.by_node.items() if a.trouble is None and not _removed(removed, n)]
        if not again and not failed:
            break
        look = {n: look[n] for n in down}
    return before


def _removed(answers: Answers, node: str) -> bool:
    outcome = answers.by_node[node].outcomes.get("container.remove")
    return outcome is None or outcome.ok


def _starts(process: procs.Process, run_id: str) -> bool:
    """Whether it is the engine's own ``run`` of a container of the run: that label is two words of its arguments."""
    pairs = itertools.pairwise(process.argv)
    return ("--label", f"{containers.RUN_LABEL}={run_id}") in pairs


def _end_processes(send: Send, run_id: str, nodes: list[str], name: str) -> None:
    """End every process that carries the label; ``ray stop`` would also end a neighbour's Ray."""
    look = procs.procs("labelled", f"HAKUNA_RUN={run_id}")
    for number, signal in enumerate(SIGNALS, start=1):
        found = send(f"{name}.procs.{number}", {n: Batch((look,)) for n in nodes}).per_node(
            "procs.labelled", procs.parse_procs
        )
        pids = {w.node: [p.pid for p in r.fact] for w, r in found.readings.items() if r.fact}
        if not pids:
            return
        send(f"{name}.kill.{number}", {n: Batch((procs.kill(run_id, signal, p),)) for n, p in pids.items()})


def _file_commands(traces: list[Trace]) -> list[Command]:
    files = [t.name for t in traces if t.kind == "file"]
    out = [table_file.remove(files)] if files else []
    return out + [host.lease_release(LEASE_FOLDER, t.name) for t in traces if t.kind == "lease"]


def _look(inventory: Inventory, run_id: str) -> list[Command]:
    out = [
        procs.procs("labelled", f"HAKUNA_RUN={run_id}"),
        host.lease_show(LEASE_FOLDER),
        npu_smi.info(),
        host.boot_id(),
    ]
    if inventory.container.engine is not Engine.NONE:
        out.append(containers.ps_labelled(inventory))
    return out


def _is_gone(trace: Trace, facts: TeardownFacts) -> bool:
    """Whether evidence shows that nothing is left of a trace; without evidence it counts as left."""
    where = Where(trace.node)
    if trace.kind == "container":
        rows = facts.containers.get(where)
        return rows is not None and not rows
    if trace.kind == "processes":
        found = facts.processes.get(where)
        return found is not None and not found
    if trace.kind == "file":
        left = facts.files.get(where)
        return left is not None and trace.name not in left
    lease = facts.lease.get(where)
    return lease is not None and lease.holder != trace.name


def _aftermath(inventory: Inventory, facts: TeardownFacts, left: tuple[Trace, ...]) -> Table[Aftermath]:
    """By node, the traces whose absence nothing shows, with the first reason."""
    tables: dict[str, Table[Any]] = {
        "container": facts.containers,
        "processes": facts.processes,
        "file": facts.files,
        "lease": facts.lease,
    }
    found: dict[Where, Reading[Aftermath]] = {}
    for node in dict.fromkeys(t.node for t in facts.attempted):
        where = Where(node)
        readings = {kind: table.readings.get(where) for kind, table in tables.items()}
        dark = {kind: r for kind, r in readings.items() if r is None or not r.readable}
        traces = tuple(dict.fromkeys(t for t in left if t.node == node and t.kind in dark))
        reasons = [r.detail for t in traces if (r := dark[t.kind]) is not None]
        commands = by_hand(inventory, facts.run_id, traces)
        fact = Aftermath(traces, next(iter(reasons), "it was not asked"), tuple(commands))
        found[where] = Reading(where, ReadingState.READ, fact, "", f"teardown/{node}")
    return Table(found)


def by_hand(inventory: Inventory, run_id: str, traces: tuple[Trace, ...]) -> list[str]:
    """What a person has to type on the node to do what could not be done: the label picks what is the run's."""
    engine = inventory.container.engine.value
    kinds = {t.kind for t in traces}
    lines: list[str] = []
    if "container" in kinds:
        lines.append(f"{engine} rm -f $({engine} ps -aq --filter label={containers.RUN_LABEL}={run_id})")
    if "processes" in kinds:
        entry = f"{procs.LABEL}={run_id}"
        lines.append(f"grep -lsazxF {entry} /proc/[0-9]*/environ | cut -d/ -f3 | xargs -r kill -9")
    lines += [f"rm -f {shlex.quote(t.name)}" for t in traces if t.kind == "file"]
    if "lease" in kinds:
        lines.append(f"grep -qF /{run_id} {LEASE_FOLDER}/lease && rm -r {LEASE_FOLDER}")
    return lines


def _keep_logs(run: Run, send: Send, traces: tuple[Trace, ...]) -> None:
    """Copy the logs of server and Ray into the run's folder before they go away with the containers."""
    inventory = run.inventory
    batches: dict[str, list[Command]] = {}
    for node in {t.node for t in traces if t.kind == "processes"}:
        batches[node] = [
            containers.inside(inventory, lmdeploy_log.tail(f"{RAY_LOGS}/{log}", LOG_BYTES, f"log.{log}"))
            for log in ("raylet.out", "raylet.err", "gcs_server.out")
        ]
        if node == inventory.head_node.name:
            batches[node].append(lmdeploy_log.tail(inventory.server.log, LOG_BYTES, "log.api_server.log"))
    answers = send("logs", {n: Batch(tuple(replace(x, deadline=LOG_SECONDS) for x in c)) for n, c in batches.items()})
    for node, answer in answers.by_node.items():
        for outcome in answer.outcomes.values():
            if outcome.ok and outcome.stdout:
                folder = run.folder / "logs" / node
                folder.mkdir(parents=True, exist_ok=True)
                (folder / outcome.id.removeprefix("log.")).write_bytes(outcome.stdout)
