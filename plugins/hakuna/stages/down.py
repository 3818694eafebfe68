# SPDX-License-Identifier: Apache-2.0
"""``hakuna down``: take down what earlier runs left, and say what still holds the nodes and is not ours to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hakuna.evidence import Batch, NodeTrouble
from hakuna.inventory.model import Inventory
from hakuna.probes import host
from hakuna.stages import lease
from hakuna.stages.answers import Answers
from hakuna.stages.carrying import carry
from hakuna.stages.holder import LEASE_FOLDER, Holder
from hakuna.stages.journal import NAME, Journal, Trace
from hakuna.stages.reserve import Reserve
from hakuna.stages.teardown import by_hand, take_down
from hakuna.transports import Transport


@dataclass(frozen=True)
class Sentence:
    """What became of one run, or what holds one node. ``bad``: something is left that should not be."""

    text: str
    bad: bool = False


def down(reports: Path, inventory: Inventory, transport: Transport) -> list[Sentence]:
    """Take down every run in ``reports`` that was kept, or died, on this inventory's nodes.

    Then ask every node who holds it: a run whose folder is elsewhere is not found by its journal.
    """
    said: list[Sentence] = []
    alive: set[str] = set()
    nodes = {n.name for n in inventory.nodes}

    def send(name: str, batches: Mapping[str, Batch], unsent: Mapping[str, NodeTrouble] | None = None, /) -> Answers:
        return carry(transport, inventory, name, batches, unsent)

    for path in sorted(reports.glob(f"*/{NAME}")):
        journal = Journal(path.parent)
        begun = journal.last("run")
        traces = tuple(t for t in journal.traces() if t.node in nodes)
        if begun is None or not traces:
            continue
        if Holder(**begun["holder"]).alive() and journal.last("end") is None:
            said.append(Sentence(f"{begun['id']}: still going on; left alone"))
            alive.add(begun["id"])
            continue
        facts = take_down(Reserve(send, inventory.thresholds.teardown), inventory, begun["id"], traces, journal)
        left = [f"{t.kind} {t.name} on {t.node}" for t in facts.remaining]
        what = "taken down" if not left else f"not removed: {', '.join(left)}"
        said.append(Sentence(f"{begun['id']}: {what}", bool(left)))
    answers = send("down.lease", {name: Batch((host.lease_show(LEASE_FOLDER),)) for name in sorted(nodes)})
    for where, reading in answers.per_node("host.lease", host.parse_lease).readings.items():
        if reading.fact is None:
            said.append(Sentence(f"{where}: nobody knows what is left there: {reading.detail}", bad=True))
        elif reading.fact.holder and lease.run_of(reading.fact.holder) not in alive:
            said.append(Sentence(_held(inventory, where.node, reading.fact.holder, reports), bad=True))
    return said


def _held(inventory: Inventory, node: str, holder: str, reports: Path) -> str:
    """What to do about a lease of a run that no journal here tells of."""
    run = lease.run_of(holder)
    everything = tuple(Trace(kind, node, "") for kind in ("container", "processes", "lease"))
    by_label = "; ".join(by_hand(inventory, run, everything))
    return (
        f"{node}: held by {holder}, whose folder is not in {reports}/: say where it is with --reports DIR. "
        f"If it is lost, on {node}: {by_label}"
    )
