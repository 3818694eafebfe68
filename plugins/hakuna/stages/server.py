# SPDX-License-Identifier: Apache-2.0
"""Stage ``server``: ``lmdeploy serve api_server`` on the head (guide, section 4.1), watched until it answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from hakuna.evidence import Batch, Command, HttpAnswer
from hakuna.inventory.model import Inventory
from hakuna.judgement import versions as lmdeploy_versions
from hakuna.judgement.stage import Stage
from hakuna.probes import containers, hccl_log, lmdeploy, lmdeploy_http, lmdeploy_log, npu_smi, procs
from hakuna.probes.reading import Reading, ReadingState, Table
from hakuna.stages import server_logs
from hakuna.stages.answers import Answers, lost
from hakuna.stages.container import ContainerFacts, lmdeploy_version
from hakuna.stages.host import boot_ids
from hakuna.stages.journal import Trace
from hakuna.stages.rank_table import RankTableFacts, live_addresses
from hakuna.stages.ray import TABLE_VARIABLE
from hakuna.stages.run import Run

WORKER = "ray::RayWorkerWrapper"


@dataclass(frozen=True)
class ServerFacts:
    """``ready`` says whether it came to answer; ``process`` is what really runs; HTTP facts come from the head."""

    version: str | None
    command: tuple[str, ...]
    eager_demand: lmdeploy_versions.Ruling[lmdeploy_versions.EagerDemand]
    pipeline: Reading[lmdeploy.PipelineAnswer] | None
    launched: bool
    died: bool
    ready: bool
    waited: float
    log: Reading[lmdeploy_log.ServerLog]
    hccl: tuple[hccl_log.HcclError, ...]
    process: Reading[tuple[procs.Process, ...]]
    arguments: Reading[lmdeploy.ServerArguments]
    workers: Table[tuple[procs.Process, ...]]
    boot_id: Table[str]
    npu: Table[npu_smi.NpuInfo]
    health: Reading[HttpAnswer]
    models: Reading[HttpAnswer]
    logs: server_logs.Logs


def collect(run: Run) -> ServerFacts:
    """Try ``pipeline`` first if the inventory wants it, then launch the server, wait, and read it back."""
    inventory = run.inventory
    container: ContainerFacts = run.facts(Stage.CONTAINER)
    table: RankTableFacts = run.facts(Stage.RANK_TABLE)
    version = lmdeploy_version(run, container)
    demand = lmdeploy_versions.eager_required(version, inventory.chip, nodes=len(inventory.nodes))
    eager = inventory.server.eager_mode or demand.value is lmdeploy_versions.EagerDemand.REQUIRED
    env = dict(inventory.server.env) | run.label
    if table.needed:
        env[TABLE_VARIABLE] = inventory.rank_table.path
    head = inventory.head_node
    pipeline = _pipeline(run, env, eager=eager) if run.brings_up and inventory.server.pipeline else None
    command = lmdeploy.api_server(inventory, env, eager=eager)
    pid = 0
    if run.brings_up:
        run.intend(Trace("processes", head.name, inside=container.used), Trace("file", head.name, inventory.server.log))
        started = run.send("server.start", {head.name: Batch((containers.inside(inventory, command),))})
        pid = _pid(started.outcome(head.name, "server.start").text)
    died, ready, waited = _wait(run, pid)
    answers = run.send("server", _look(run))
    log = answers.reading(head.name, "server.log", lmdeploy_log.parse_log)
    text = answers.outcome(head.name, "server.log").text
    process = answers.reading(head.name, "procs.server", procs.parse_procs)
    return ServerFacts(
        version=version,
        command=command.argv,
        eager_demand=demand,
        pipeline=pipeline,
        launched=run.brings_up,
        died=died,
        ready=ready,
        waited=waited,
        log=log,
        hccl=hccl_log.parse_hccl_log(text),
        process=process,
        arguments=_arguments(process),
        workers=answers.per_node("procs.workers", procs.parse_procs),
        boot_id=boot_ids(run, "server.boot"),
        npu=answers.per_node("npu.info", npu_smi.parse_info),
        health=run.hear(lmdeploy_http.health(inventory, "server.health")),
        models=run.hear(lmdeploy_http.models(inventory, "server.models")),
        logs=server_logs.Logs(
            server_logs.NO_LOGS if ready else server_logs.read_logs(run, waited),
            answers,
            server_logs.world_of(inventory, table, live_addresses(run.facts(Stage.NETWORK))),
        ),
    )


def _look(run: Run) -> dict[str, Batch]:
    inventory = run.inventory
    everywhere = [
        containers.inside(inventory, procs.procs("workers", WORKER)),
        containers.either_way(npu_smi.info()),
    ]
    batches = {n.name: list(everywhere) for n in inventory.nodes}
    batches[inventory.head_node.name] += [
        containers.inside(inventory, procs.procs("server", "api_server")),
        lmdeploy_log.tail(inventory.server.log, server_logs.LOG_BYTES),
    ]
    return {n: Batch(tuple(c)) for n, c in batches.items()}


def _pipeline(run: Run, env: dict[str, str], *, eager: bool) -> Reading[lmdeploy.PipelineAnswer]:
    """Section 4.2 of the guide, before the server takes the devices."""
    inventory = run.inventory
    head = inventory.head_node
    run.progress("server: trying pipeline first")
    command = containers.inside(inventory, lmdeploy.pipeline(inventory, env, eager=eager))
    answers = run.send("server.pipeline", {head.name: Batch((command,))})
    return answers.reading(head.name, "pipeline", lmdeploy.parse_pipeline)


def _wait(run: Run, pid: int) -> tuple[bool, bool, float]:
    """Poll until the server answers, dies, or the time is over: (died, ready, seconds waited).

    Ready means what a user needs: alive, port open, healthy, the model listed, and one token generated
    (facts: robust readiness). A 400 is not ready.
    """
    inventory = run.inventory
    head = inventory.head_node
    begun = 0.0
    wait = 0.2
    waited = 0.0
    for number in count(1):
        name = f"server.poll.{number:04d}"
        answers = run.send(name, {head.name: Batch(tuple(_watch(inventory, pid)))})
        answer = answers.by_node[head.name]
        begun = begun or answer.sent
        waited = answer.received - begun
        if pid and answers.outcome(head.name, "server.alive").text.strip() == "gone":
            return True, False, waited
        health = run.ask(lmdeploy_http.health(inventory, f"{name}.health"))
        if health.status == 200 and _one_token(run, name):  # noqa: PLR2004  # HTTP OK
            return False, True, waited
        over = waited >= inventory.thresholds.time_to_ready or not run.brings_up
        if over or not run.asked_or_live(f"server.poll.{number + 1:04d}"):
            return False, False, waited
        run.waiting(f"server: loading for {waited:.0f} s; {_last_line(answers, head.name)}")
        run.pause(wait)
        wait = min(1.0, wait * 1.5)
    raise AssertionError  # count() does not end


def _watch(inventory: Inventory, pid: int) -> list[Command]:
    watch = [lmdeploy_log.tail(inventory.server.log, 2048)]
    if pid:
        watch.append(procs.alive(pid))
    return watch


def _one_token(run: Run, name: str) -> bool:
    listed = run.ask(lmdeploy_http.models(run.inventory, f"{name}.models"))
    token = run.ask(lmdeploy_http.completion(run.inventory, f"{name}.token", "Hakuna", max_tokens=1))
    return listed.status == 200 and token.status == 200  # noqa: PLR2004  # HTTP OK


def _last_line(answers: Answers, node: str) -> str:
    lines = [x for x in answers.outcome(node, "server.log").text.splitlines() if x.strip()]
    return lines[-1].strip()[:100] if lines else "no log yet"


def _pid(text: str) -> int:
    word = text.strip()
    return int(word) if word.isdigit() else 0


def _arguments(process: Reading[tuple[procs.Process, ...]]) -> Reading[lmdeploy.ServerArguments]:
    """The arguments of the api_server that runs; of several (a wrapper and its child) the innermost counts."""
    if not process.readable or process.fact is None:
        return Reading(process.where, process.state, None, process.detail, process.source, process.trouble)
    running = [p for p in process.fact if lmdeploy.is_api_server(p.argv)]
    if not running:
        return lost(process.where, "no api_server runs on the head", process.source)
    return Reading(process.where, ReadingState.READ, lmdeploy.parse_arguments(running[-1].argv), "", process.source)
