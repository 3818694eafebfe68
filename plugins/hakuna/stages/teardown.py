# SPDX-License-Identifier: Apache-2.0
"""Stage ``teardown``: takes down what a run's journal says it may have left, in reverse, and looks what is left.

Only what carries the run's label is touched: containers by their label, processes by ``HAKUNA_RUN`` in their
environment, files and leases by the journal. It is used for the run itself, for dead runs, and by ``hakuna down``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hakuna.evidence import Batch, Command
from hakuna.inventory.model import Engine, Inventory
from hakuna.probes import containers, host, lmdeploy_log, npu_smi, procs, table_file
from hakuna.probes import ray as ray_probe
from hakuna.probes.reading import Table
from hakuna.stages.answers import Answers
from hakuna.stages.holder import LEASE_FOLDER, Holder
from hakuna.stages.journal import NAME, Journal, Trace
from hakuna.stages.run import Run, carry
from hakuna.transports import Transport
from hakuna.where import Where

Send = Callable[[str, Mapping[str, Batch]], Answers]

#: Signals in the order they are tried on labelled processes; each is looked after before the next.
SIGNALS = ("TERM", "TERM", "KILL")
RAY_LOGS = "/tmp/ray/session_latest/logs"  # noqa: S108  # Ray's own place
LOG_BYTES = 200_000


@dataclass(frozen=True)
class TeardownFacts:
    """What is left on each node. ``attempted`` is empty when the run had started nothing."""

    attempted: tuple[Trace, ...]
    remaining: tuple[Trace, ...]
    processes: Table[tuple[procs.Process, ...]]
    containers: Table[tuple[containers.ContainerRow, ...]]
    files: Table[tuple[str, ...]]
    lease: Table[host.LeaseState]
    npu: Table[npu_smi.NpuInfo]
    boot_id: Table[str]


def collect(run: Run) -> TeardownFacts:
    """Take this run down."""
    traces = _intended(run)
    if run.live and traces:
        _keep_logs(run, traces)
        run.progress(f"taking down what this run started on {len({t.node for t in traces})} nodes")
    return take_down(run.send, run.inventory, run.id, traces, run.journal if run.live else None)


def _intended(run: Run) -> tuple[Trace, ...]:
    """Every trace ever intended; a replayed run knows them from what was sent."""
    if run.live:
        return tuple(run.journal.traces())
    kept = run.store.answers("teardown") or {}
    return tuple(Trace("processes", node) for node in kept)


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
        empty = Table[tuple[procs.Process, ...]]({})
        return TeardownFacts((), (), empty, Table({}), Table({}), Table({}), Table({}), Table({}))
    of_node = {n: [t for t in traces if t.node == n] for n in nodes}
    _remove_containers(send, inventory, run_id, of_node, name)
    _end_processes(send, run_id, nodes, name)
    files = send(f"{name}.files", {n: Batch(tuple(_file_commands(of_node[n]))) for n in nodes})
    look = send(name, {n: Batch(tuple(_look(inventory, run_id))) for n in nodes})
    facts = TeardownFacts(
        attempted=traces,
        remaining=(),
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
    return TeardownFacts(**{**vars(facts), "remaining": left})


def _remove_containers(
    send: Send, inventory: Inventory, run_id: str, of_node: Mapping[str, list[Trace]], name: str
) -> None:
    """The guide's ``ray stop`` inside, then the container itself: only where it carries the run's label.

    The name alone says nothing: after a conflict it is somebody else's container that has it.
    """
    nodes = [n for n, traces in of_node.items() if any(t.kind == "container" for t in traces)]
    look = send(f"{name}.find", {n: Batch((containers.ps_labelled(inventory),)) for n in nodes})
    batches: dict[str, Batch] = {}
    for where, reading in look.per_node("engine.containers", containers.parse_ps).readings.items():
        ours = [row.id for row in reading.fact or () if row.labels.get("hakuna.run") == run_id]
        if ours:
            commands = (containers.inside(inventory, ray_probe.stop()), containers.remove(inventory, ours))
            batches[where.node] = Batch(tuple(replace(c, lane="down") for c in commands))  # one after the other
    send(f"{name}.containers", batches)


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


def _keep_logs(run: Run, traces: tuple[Trace, ...]) -> None:
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
    answers = run.send("logs", {n: Batch(tuple(c)) for n, c in batches.items()})
    for node, answer in answers.by_node.items():
        for outcome in answer.outcomes.values():
            if outcome.ok and outcome.stdout:
                folder = run.folder / "logs" / node
                folder.mkdir(parents=True, exist_ok=True)
                (folder / outcome.id.removeprefix("log.")).write_bytes(outcome.stdout)


def down(reports: Path, inventory: Inventory, transport: Transport) -> list[str]:
    """Take down every run in ``reports`` that was kept, or died, on this inventory's nodes; one sentence each."""
    said: list[str] = []

    def send(name: str, batches: Mapping[str, Batch]) -> Answers:
        return carry(transport, inventory, name, batches)

    for path in sorted(reports.glob(f"*/{NAME}")):
        journal = Journal(path.parent)
        begun = journal.last("run")
        nodes = {n.name for n in inventory.nodes}
        traces = tuple(t for t in journal.traces() if t.node in nodes)
        if begun is None or not traces:
            continue
        alive = Holder(**begun["holder"]).alive()
        if alive and journal.last("end") is None:
            said.append(f"{begun['id']}: still going on; left alone")
            continue
        facts = take_down(send, inventory, begun["id"], traces, journal)
        left = [f"{t.kind} {t.name} on {t.node}" for t in facts.remaining]
        said.append(f"{begun['id']}: " + ("taken down" if not left else "not removed: " + ", ".join(left)))
    return said
