# SPDX-License-Identifier: Apache-2.0
"""The logs of server and workers, read on every node when the server did not come up, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hakuna.evidence import Batch
from hakuna.inventory.model import Inventory
from hakuna.judgement.log_cause import Log, LogCause, World, first_cause
from hakuna.judgement.rank_table_json import read_json
from hakuna.judgement.rank_table_view import View
from hakuna.probes import containers, log_trouble, worker_logs
from hakuna.probes.reading import Table
from hakuna.stages.answers import Answers
from hakuna.stages.rank_table import RankTableFacts
from hakuna.stages.run import Run
from hakuna.where import Where

#: How far back the logs of a server are read that this run did not start, in minutes.
A_DAY = 1440

LogTable = Table[worker_logs.LogFiles]
NO_LOGS: LogTable = Table({})


def read_logs(run: Run, waited: float) -> LogTable:
    """What the workers of every node wrote since the server was started."""
    minutes = math.ceil(waited / 60) + 1 if run.brings_up else A_DAY
    command = containers.inside(run.inventory, worker_logs.logs(minutes))
    answers = run.send("server.logs", {n.name: Batch((command,)) for n in run.inventory.nodes})
    return answers.per_node("server.logs", worker_logs.parse_logs)


def world_of(inventory: Inventory, table: RankTableFacts, addresses: Mapping[Where, str]) -> World:
    """Where ranks and addresses are: by the rank table where one is used, else the head's devices first."""
    order = [device for node in inventory.ordered_nodes for device in node.devices]
    return World(
        ranks=_by_table(inventory, table) or dict(enumerate(order)),
        hosts={node.node_ip: node.name for node in inventory.nodes},
        addresses={address: device for device, address in addresses.items()},
    )


def _by_table(inventory: Inventory, table: RankTableFacts) -> dict[int, Where]:
    if not table.needed or not table.text:
        return {}
    root = read_json(table.text).root
    if root is None:
        return {}
    names = {node.node_ip: node.name for node in inventory.nodes}
    return {
        device.rank: Where(names[device.server.server_id], device.device_id)
        for device in View.of(root).devices
        if device.rank is not None and device.device_id is not None and device.server.server_id in names
    }


def cause_in(logs: LogTable, server: Answers, head: Where, world: World) -> LogCause | None:
    """Which rank failed first, by the workers' logs and the server's own."""
    found = [
        Log(node.node, file.path, log_trouble.troubles(file.text, file.writer), f"server.logs/{node.node}/server.logs")
        for node, files in logs
        for file in files
    ]
    text = server.outcome(head.node, "server.log").text
    found.append(Log(head.node, "", log_trouble.troubles(text), f"{server.name}/{head.node}/server.log", driver=True))
    return first_cause(found, world)
