# SPDX-License-Identifier: Apache-2.0
"""Carries one batch to each node, with root's commands as the inventory has them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from hakuna.evidence import Batch, NodeAnswer, NodeTrouble
from hakuna.inventory.model import Inventory
from hakuna.stages.answers import Answers
from hakuna.transports import Transport


def for_login(inventory: Inventory, node: str, batch: Batch) -> Batch:
    """Commands that want root keep that mark only where the inventory says that sudo is to be used."""
    if inventory.node(node).ssh.sudo:
        return batch
    return Batch(tuple(replace(c, sudo=False) for c in batch))


def carry(
    transport: Transport,
    inventory: Inventory,
    name: str,
    batches: Mapping[str, Batch],
    unsent: Mapping[str, NodeTrouble] | None = None,
) -> Answers:
    """Send batches outside of any run: no evidence is kept of them.

    Nodes of ``unsent`` are not asked: that trouble is their answer.
    """
    wanted = {node: for_login(inventory, node, batch) for node, batch in batches.items() if len(batch)}
    return Answers(name, carried(transport, name, wanted, unsent or {}))


def carried(
    transport: Transport, name: str, batches: Mapping[str, Batch], unsent: Mapping[str, NodeTrouble]
) -> Mapping[str, NodeAnswer]:
    """The answers to batches as they are, those of ``unsent`` among them."""
    asked = {node: batch for node, batch in batches.items() if node not in unsent}
    answers = dict(transport.run(name, asked)) if asked else {}
    now = time.time()
    answers |= {n: NodeAnswer.unreached(b, unsent[n], now, now) for n, b in batches.items() if n in unsent}
    return answers
