# SPDX-License-Identifier: Apache-2.0
"""Stage ``collective``: an all-reduce over all ranks as Ray tasks, on the path that the server will use."""

from __future__ import annotations

from dataclasses import dataclass

from hakuna.evidence import Batch
from hakuna.probes import collective as probe
from hakuna.probes import containers
from hakuna.probes.reading import Reading
from hakuna.stages.run import Run

#: From one element per rank to a tensor that fills the links, in bytes.
SIZES = (8, 64 << 10, 1 << 20, 64 << 20)


@dataclass(frozen=True)
class CollectiveFacts:
    """``ran`` is false where the devices belong to a running service (``--attach``)."""

    ran: bool
    result: Reading[probe.Collective] | None


def collect(run: Run) -> CollectiveFacts:
    """Run it once on the head; it needs every device to be free."""
    if not run.brings_up:
        return CollectiveFacts(ran=False, result=None)
    head = run.inventory.head_node
    command = containers.inside(run.inventory, probe.collective(SIZES, run.inventory.world_size, run.label))
    answers = run.send("collective", {head.name: Batch((command,))})
    return CollectiveFacts(ran=True, result=answers.reading(head.name, "collective", probe.parse_collective))
