# SPDX-License-Identifier: Apache-2.0
"""The logs of server and workers, read on every node when the server did not come up, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hakuna.evidence import Batch, Command
from hakuna.inventory.model import Inventory
from hakuna.judgement.log_cause import Log, LogCause, World, first_cause
from hakuna.judgement.rank_table_json import read_json
from hakuna.judgement.rank_table_view import View
from hakuna.probes import containers, lmdeploy_log, log_trouble, worker_logs
from hakuna.probes.reading import Table
from hakuna.stages.answers import Answers
from hakuna.stages.rank_table import RankTableFacts
from hakuna.stages.run import Run
from hakuna.where import Where

#: How far back the logs of a server are read that this run did not start, in minutes.
A_DAY = 1440
#: So much of the end of the server's own log is read.
LOG_BYTES = 65536
#: The name of the batch that reads logs because a request failed.
IN_REQUEST = "generation.logs"

LogTable = Table[worker_logs.LogFiles]
NO_LOGS: LogTable = Table({})


@dataclass(frozen=True)
class Logs:
    """What was read of the logs: the workers' by node, the server's own, and where ranks and addresses are."""

    workers: LogTable
    answers: Answers
    world: World

    def first_failure(self, head: Where) -> LogCause | None:
        """Which rank failed first, by the logs of the workers and of the server."""
        return _cause_in(self.workers, self.answers, head, self.world)


def read_logs(run: Run, waited: float) -> LogTable:
    """What the workers of every node wrote since the server was started."""
    answers = run.send("server.logs", {n.name: Batch((_ask(run, waited),)) for n in run.inventory.nodes})
    return answers.per_node("server.logs", worker_logs.parse_logs)


def read_again(run: Run, waited: float, world: World) -> Logs:
    """The same of a server that came up and then failed in a request, with the server's own log."""
    batches = {n.name: [_ask(run, waited)] for n in run.inventory.nodes}
    batches[run.inventory.head_node.name].append(lmdeploy_log.tail(run.inventory.server.log, LOG_BYTES))
    answers = run.send(IN_REQUEST, {node: Batch(tuple(commands)) for node, commands in batches.items()})
    return Logs(answers.per_node("server.logs", worker_logs.parse_logs), answers, world)


def _ask(run: Run, waited: float) -> Command:
    minutes = math.ceil(waited / 60) + 1 if run.brings_up else A_DAY
    return containers.inside(run.inventory, worker_logs.logs(minutes))


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


def _cause_in(logs: LogTable, server: Answers, head: Where, world: World) -> LogCause | None:
    """Which rank failed first, by the workers' logs and the server's own."""
    found = [
        Log(node.node, file.path, log_trouble.troubles(file.text, file.writer), logs.readings[node].source)
        for node, files in logs
        for file in files
    ]
    text = server.outcome(head.node, "server.log").text
    found.append(Log(head.node, "", log_trouble.troubles(text), f"{server.name}/{head.node}/server.log", driver=True))
    return first_cause(found, world)
