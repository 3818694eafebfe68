# SPDX-License-Identifier: Apache-2.0
"""Cleans up after runs that died: their journal says what they may have left, their label which of it is theirs."""

from __future__ import annotations

import json
import time
from pathlib import Path

from hakuna.inventory.model import Inventory
from hakuna.stages.holder import Holder
from hakuna.stages.journal import NAME, Journal, Trace
from hakuna.stages.run import Run
from hakuna.stages.teardown import take_down


def clean_up(run: Run) -> tuple[str, ...]:
    """Take down what dead runs left on this run's nodes; gives one sentence for each of them.

    A run is dead when its controller's process is gone (same machine, other boot or no such process). Runs that
    still live, that were kept on purpose, or whose controller is another machine are left alone.
    """
    if not run.live:
        return tuple(e["text"] for e in run.journal.events() if e["event"] == "note")
    said: list[str] = []
    for folder in sorted(p.parent for p in run.folder.parent.glob(f"*/{NAME}")):
        if folder != run.folder:
            sentence = _clean_one(run, folder)
            if sentence:
                said.append(sentence)
                run.journal.write("note", text=sentence)
                run.progress(sentence)
    return tuple(said)


def _clean_one(run: Run, folder: Path) -> str:
    journal = Journal(folder)
    begun = journal.last("run")
    traces = tuple(t for t in journal.traces() if _same_node(run.inventory, folder, t))
    if begun is None or not traces or journal.last("kept") is not None:
        return ""
    holder = Holder(**begun["holder"])
    if holder.alive() is not False:
        return ""
    old = Inventory.model_validate(json.loads((folder / "run.json").read_text(encoding="utf-8"))["inventory"])
    facts = take_down(run.send, old, begun["id"], traces, journal, f"reaped.{begun['id']}")
    stage = (journal.last("stage") or {}).get("stage", "start")
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(begun["at"]))
    left = f"; {len(facts.remaining)} could not be removed" if facts.remaining else ""
    return (
        f"cleaned up after run {begun['id']} of {holder.word} ({when}), which died in stage {stage}: "
        f"{len(facts.attempted) - len(facts.remaining)} traces on {len({t.node for t in traces})} nodes{left}"
    )


def _same_node(inventory: Inventory, folder: Path, trace: Trace) -> bool:
    """Whether the node of a dead run's trace is a node of this inventory: same name, address and ssh port."""
    path = folder / "run.json"
    if not path.is_file():
        return False
    data = json.loads(path.read_text(encoding="utf-8"))["inventory"]
    theirs = {(n["name"], n["address"], n["ssh"]["port"]) for n in data["nodes"] if n["name"] == trace.node}
    ours = {(n.name, n.address, n.ssh.port) for n in inventory.nodes}
    return bool(theirs & ours)
