# SPDX-License-Identifier: Apache-2.0
"""Cleans up after runs that died: their journal says what they may have left, their label which of it is theirs.

A run is dead when its controller's process is gone (this machine's own runs, known by their journals), or when its
lease has expired on a node and is good on none: a run that lives renews it. That second sign is good for runs of any
machine, and needs no journal. Runs that still live, or were kept on purpose, are left alone.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from hakuna.inventory.model import Inventory
from hakuna.probes import containers, host, procs
from hakuna.stages.answers import Answers
from hakuna.stages.holder import Holder
from hakuna.stages.journal import NAME, Journal, Trace
from hakuna.stages.lease import run_of
from hakuna.stages.reserve import Reserve
from hakuna.stages.run import Run
from hakuna.stages.teardown import TeardownFacts, take_down


def clean_up(run: Run) -> tuple[str, ...]:
    """Take down what dead runs of this machine left on this run's nodes; gives one sentence for each of them."""
    if not run.live:
        return tuple(e["text"] for e in run.journal.events() if e["event"] == "note")
    said: list[str] = []
    for folder in sorted(p.parent for p in run.folder.parent.glob(f"*/{NAME}")):
        if folder != run.folder:
            sentence = _clean_one(run, folder)
            if sentence:
                said.append(sentence)
                _tell(run, sentence)
    return tuple(said)


def clean_strangers(run: Run, answers: Answers) -> bool:
    """Take down what runs left whose lease has expired, whoever they were; whether there was anything.

    ``answers`` are the host stage's: they looked at the leases and at everything that carries a label.
    """
    leases = answers.per_node("host.lease", host.parse_lease).readings
    good = {run_of(r.fact.holder) for r in leases.values() if r.fact is not None and r.fact.holder}
    lapsed = {run_of(r.fact.lapsed): r.fact.lapsed for r in leases.values() if r.fact is not None and r.fact.lapsed}
    found = False
    for identity, holder in sorted(lapsed.items()):
        traces = _seen(answers, identity, holder)
        if identity in good or not any(t.kind != "lease" for t in traces):
            continue
        folder = run.folder.parent / identity
        journal = Journal(folder) if (folder / NAME).is_file() else None  # reports on a shared disk
        if journal is not None and journal.last("kept") is not None:
            continue
        if journal is not None:
            traces = tuple(dict.fromkeys((*traces, *(t for t in journal.traces() if _same_node(run, folder, t)))))
        name = f"reaped.{identity}"
        found = True
        if run.asked(name):
            continue
        reserve = Reserve(run.send, run.inventory.thresholds.teardown)
        facts = take_down(reserve, run.inventory, identity, traces, journal, name)
        _tell(run, f"cleaned up after run {identity} of {holder}, whose lease had expired: {_figures(facts)}")
    return found


def _seen(answers: Answers, identity: str, holder: str) -> tuple[Trace, ...]:
    """What carries the run's label, and its lease where it lies expired."""
    out: list[Trace] = []
    for where, rows in answers.per_node("engine.containers", containers.parse_ps):
        out += [Trace("container", where.node, r.name) for r in rows if r.labels.get(containers.RUN_LABEL) == identity]
    for where, found in answers.per_node("procs.labelled", procs.parse_procs):
        if any(p.run == identity for p in found):
            out.append(Trace("processes", where.node))
    for where, lease in answers.per_node("host.lease", host.parse_lease):
        if lease.lapsed == holder:
            out.append(Trace("lease", where.node, holder))
    return tuple(out)


def _clean_one(run: Run, folder: Path) -> str:
    journal = Journal(folder)
    begun = journal.last("run")
    traces = tuple(t for t in journal.traces() if _same_node(run, folder, t))
    if begun is None or not traces or journal.last("kept") is not None:
        return ""
    holder = Holder(**begun["holder"])
    if holder.alive() is not False:
        return ""
    old = Inventory.model_validate(json.loads((folder / "run.json").read_text(encoding="utf-8"))["inventory"])
    reserve = Reserve(run.send, run.inventory.thresholds.teardown)
    facts = take_down(reserve, old, begun["id"], traces, journal, f"reaped.{begun['id']}")
    stage = (journal.last("stage") or {}).get("stage", "start")
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(begun["at"]))
    return (
        f"cleaned up after run {begun['id']} of {holder.word} ({when}), which died in stage {stage}: {_figures(facts)}"
    )


def _figures(facts: TeardownFacts) -> str:
    left = f"; {len(facts.remaining)} could not be removed" if facts.remaining else ""
    nodes = len({t.node for t in facts.attempted})
    return f"{len(facts.attempted) - len(facts.remaining)} traces on {nodes} nodes{left}"


def _tell(run: Run, sentence: str) -> None:
    run.journal.write("note", text=sentence)
    run.progress(sentence)


def _same_node(run: Run, folder: Path, trace: Trace) -> bool:
    """Whether the node of another run's trace is a node of this one: same name, address and ssh port."""
    path = folder / "run.json"
    if not path.is_file():
        return False
    data = json.loads(path.read_text(encoding="utf-8"))["inventory"]
    theirs = {(n["name"], n["address"], n["ssh"]["port"]) for n in data["nodes"] if n["name"] == trace.node}
    ours = {(n.name, n.address, n.ssh.port) for n in run.inventory.nodes}
    return bool(theirs & ours)
