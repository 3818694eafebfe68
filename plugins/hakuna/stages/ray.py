# SPDX-License-Identifier: Apache-2.0
"""Stage ``ray``: head first, then all workers at once, each with the guide's environment (section 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

from hakuna.evidence import Batch, Command
from hakuna.inventory.model import Node
from hakuna.judgement.stage import Stage
from hakuna.probes import containers, procs
from hakuna.probes import ray as ray_probe
from hakuna.probes.reading import Reading, Table
from hakuna.stages.container import ContainerFacts
from hakuna.stages.host import boot_ids
from hakuna.stages.journal import Trace
from hakuna.stages.rank_table import RankTableFacts
from hakuna.stages.run import Run
from hakuna.where import Where

#: Processes that show that Ray runs on a node.
RAYLET = "raylet/raylet"
GCS = "gcs_server"
#: How long `ray status` may lag behind the list of nodes, in seconds (its monitor reports every 5 s).
SETTLING = 15.0
NOSET = "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES"
TABLE_VARIABLE = "ASCEND_RANK_TABLE_FILE_PATH"


@dataclass(frozen=True)
class RayFacts:
    """``before`` are Ray processes that were there first; ``raylets`` those that run now, by node.

    ``boot_id`` tells a node that has started again since the host stage.
    """

    before: Table[tuple[procs.Process, ...]]
    started: Table[ray_probe.Started]
    cluster: Reading[ray_probe.RayCluster]
    status: Reading[ray_probe.RayStatus]
    raylets: Table[tuple[procs.Process, ...]]
    boot_id: Table[str]


def environment(run: Run, node: Node, table: RankTableFacts) -> dict[str, str]:
    """What is exported on a node before ``ray start``: the guide's four, the table's path, the site's own."""
    env = {
        "GLOO_SOCKET_IFNAME": node.interface,
        "TP_SOCKET_IFNAME": node.interface,
        "HCCL_IF_IP": node.node_ip,
        NOSET: "1",
    }
    if table.needed:
        env[TABLE_VARIABLE] = run.inventory.rank_table.path
    return env | run.inventory.env | run.label


def collect(run: Run) -> RayFacts:
    """Bring the cluster up (unless attached), wait until it has formed, and read it."""
    inventory = run.inventory
    container: ContainerFacts = run.facts(Stage.CONTAINER)
    table: RankTableFacts = run.facts(Stage.RANK_TABLE)

    def here(command: Command) -> Command:
        return containers.inside(inventory, command)

    look = here(procs.procs("ray", RAYLET, GCS))
    before = run.send("ray.before", run.everywhere(lambda _node: [look])) if run.brings_up else None
    started: dict[Where, Reading[ray_probe.Started]] = {}
    if run.brings_up:
        run.intend(*(Trace("processes", n.name, inside=container.used) for n in inventory.nodes))
        head = inventory.head_node
        first = here(ray_probe.start_head(inventory, head, environment(run, head, table)))
        answers = run.send("ray.head", {head.name: Batch((first,))})
        started[head.where] = answers.reading(head.name, "ray.start", ray_probe.parse_start)
        joins = {n: here(ray_probe.start_worker(inventory, n, environment(run, n, table))) for n in inventory.workers}
        answers = run.send("ray.workers", {n.name: Batch((c,)) for n, c in joins.items()})
        started |= {n.where: answers.reading(n.name, "ray.start", ray_probe.parse_start) for n in joins}
    up = {w.node for w, r in started.items() if r.fact is not None and r.fact.ok}
    cluster, status = _formed(run, {n.node_ip for n in inventory.nodes if n.name in up})
    raylets = run.send("ray", run.everywhere(lambda _node: [look]))
    return RayFacts(
        before=before.per_node("procs.ray", procs.parse_procs) if before else Table({}),
        started=Table(started),
        cluster=cluster,
        status=status,
        raylets=raylets.per_node("procs.ray", procs.parse_procs).map(
            lambda found: tuple(p for p in found if RAYLET in p.argv[0])
        ),
        boot_id=boot_ids(run, "ray.boot"),
    )


def lags(alive: set[str], status: ray_probe.RayStatus | None) -> bool:
    """Whether ``ray status`` does not yet know what the list of nodes does: it is made anew every few seconds only."""
    return bool(alive) and status is not None and (not status.ready or (status.active or 0) < len(alive))


def _formed(run: Run, expected: set[str]) -> tuple[Reading[ray_probe.RayCluster], Reading[ray_probe.RayStatus]]:
    """Poll the head until every node that started is a live member, or the time to join is over."""
    inventory = run.inventory
    head = inventory.head_node
    asked = (ray_probe.nodes(inventory), ray_probe.status())
    ask = Batch(tuple(replace(containers.inside(inventory, c), lane=c.id) for c in asked))
    begun = 0.0
    wait = 0.25
    for number in count(1):
        answers = run.send(f"ray.poll.{number:03d}", {head.name: ask})
        answer = answers.by_node[head.name]
        begun = begun or answer.sent
        cluster = answers.reading(head.name, "ray.nodes", ray_probe.parse_nodes)
        status = answers.reading(head.name, "ray.status", ray_probe.parse_status)
        alive = {n.address for n in cluster.fact.nodes if n.alive} if cluster.fact is not None else set()
        waited = answer.received - begun
        over = waited >= inventory.ray.join_timeout
        settled = waited >= SETTLING or not lags(alive, status.fact)
        if (expected <= alive and settled) or over or not run.asked_or_live(f"ray.poll.{number + 1:03d}"):
            break
        run.waiting(f"ray: {len(alive)} of {len(inventory.nodes)} members")
        run.pause(wait)
        wait = min(1.0, wait * 1.5)
    return cluster, status
