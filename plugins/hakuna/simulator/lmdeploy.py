# SPDX-License-Identifier: Apache-2.0
"""The simulated ``lmdeploy``: ``serve api_server`` on the simulated Ray, with a real HTTP server at the end of it."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace

from hakuna.simulator import lmdeploy_launch as launcher
from hakuna.simulator import processes
from hakuna.simulator.lmdeploy_options import DEFAULT_PORT, USAGE, UsageError, parse, without_secrets
from hakuna.simulator.lmdeploy_server_release import Release
from hakuna.simulator.lmdeploy_story import TABLE, Plan, places, tell
from hakuna.simulator.log_stories import IN_REQUEST, server_words
from hakuna.simulator.node import LINK
from hakuna.simulator.ray_cluster import Member, RayCluster, cluster_at, local
from hakuna.simulator.state import Data, section
from hakuna.simulator.tools import Call, Result, Tool, program, say, tool

SERVER = "api_server"
#: An address of documentation: no network has it.
_NOWHERE = "192.0.2.77:6379"
WORKER = "ray::RayWorkerWrapper"
#: A line as HCCL leaves it in the log of a server that goes on (sample hccl_log/ei0006_link_error_info_tls).
HCCL_NOISE = "EI0006: [PID: 20977] 2025-11-28-08:31:35.604.262 Getting socket times out. Reason: Remote is not ready."
INTERPRETER = ("/usr/local/python3.11.10/bin/python3.11", "/usr/local/python3.11.10/bin/lmdeploy")
POLL = 0.1  # seconds between two looks at a server that somebody waits for
#: Faults of the server that answers; it gets them by name.
SERVER_FAULTS = (
    "garbage-generation",
    "model-not-listed",
    "model-list-fails",
    "engine-asleep",
    "engine-unhealthy",
    "completions-fail",
    "empty-answer",
    "engine-dies-in-request",
    "chat-fails",
    "stream-refused",
    "stream-cut",
    "stream-error",
    "stream-differs",
    "answers-change",
    "accepts-anything",
    "dies-of-bad-input",
    "key-not-asked",
    "slow-first-token",
    "slow-tokens",
    "wrong-answer",
    "wrong-exact-answer",
    "wrong-chat-answer",
    "usage-wrong",
    "chat-template-lost",
)


@tool("lmdeploy")
class LMDeploy(Tool):
    """One call of LMDeploy's command line."""

    spawns = True

    def run(self, call: Call) -> Result:
        words = call.argv[1:]
        if words == ("--version",):
            return _answer(call, say(f"{call.node.inventory.simulation.lmdeploy_version}\n"))
        if words[:2] == ("serve", "api_server"):
            return serve(call, words[2:], (*INTERPRETER, *without_secrets(words)))
        usage = "usage: lmdeploy [-h] [-v] {lite,serve,chat,list,check_env} ...\n"
        return _answer(call, say(err=f"{usage}lmdeploy: error: argument command: invalid choice\n", exit_code=2))


@program("hakuna-serve")
class Serve(Tool):
    """``hakuna-serve lmdeploy serve api_server ...``: the same with an API key from standard input."""

    spawns = True

    def run(self, call: Call) -> Result:
        key = call.stdin.decode("utf-8", "replace").partition("\n")[0].strip()
        if not key:
            return _answer(call, say(err="hakuna-serve: no API key on stdin\n", exit_code=1))
        words = call.argv[1:]
        shown = ("python3", "-c", "(hakuna-serve)", "hakuna-serve", *without_secrets(words))
        return serve(call, (*words[3:], "--api-keys", key), shown)


def serve(call: Call, words: Sequence[str], shown: Sequence[str]) -> Result:
    """Start an api_server; ``shown`` is how its process looks in the process list."""
    if "-h" in words or "--help" in words:
        return _answer(call, say(USAGE))
    try:
        options = parse(words, Release(call.node.inventory.simulation.lmdeploy_version).number)
    except UsageError as error:
        return _answer(call, say(err=str(error), exit_code=2))
    if options.device != "ascend":
        # The simulated machines have NPUs only.
        last = "RuntimeError: No CUDA GPUs are available" if options.device == "cuda" else "dlinfer is not available."
        return _answer(call, say(err=f"Traceback (most recent call last):\n{last}\n", exit_code=1))
    if call.node.spec.has("ray-address-elsewhere"):
        call = replace(call, env={**call.env, "RAY_ADDRESS": _NOWHERE})
    return _start(call, options, shown)


def _start(call: Call, options: argparse.Namespace, shown: Sequence[str]) -> Result:
    foreground = launcher.FOREGROUND.get()
    with call.node.state.transaction() as data:
        reap(data)
        plan = make_plan(
            call,
            data,
            model=options.model_path,
            tp=options.tp,
            port=options.server_port or DEFAULT_PORT,
            log_level=options.log_level,
            faults=True,
        )
        story = tell(plan)
        if story.ending == "exit":
            return _answer(call, say(story.text(), exit_code=story.code))
        if not call.spawn_log and foreground is None:
            return Result(0, story.text().encode(), timed_out=True)  # nobody would hear of its end
        if call.node.spec.has("eager-missing"):
            shown = [w for w in shown if w.replace("_", "-") != "--eager-mode"]
        if call.node.spec.has("eager-added"):
            shown = [*shown, "--eager-mode"]
        if call.node.spec.has("arguments-differ"):
            shown = _without(shown, "--backend")
        try:
            if story.ending == "hang":
                pid = _hang(call, data, plan, story, shown)
            else:
                pid = _launch(call, data, plan, story, shown, options)
        except OSError:
            story = tell(replace(plan, port_taken=True, lines=[]))
            return _answer(call, say(story.text(), exit_code=story.code))
    if foreground is None:
        return say(f"{pid}\n")
    if story.ending == "hang":
        os.write(foreground.stdout, story.text().encode())
    return _stay(call, pid, foreground)


def _without(words: Sequence[str], option: str) -> list[str]:
    """The words without an option and its value."""
    left: list[str] = []
    skip = False
    for word in words:
        if skip or word.partition("=")[0] == option:
            skip = not skip and word == option
            continue
        left.append(word)
    return left


def _shown_env(call: Call) -> dict[str, str]:
    """The environment that the server's process is seen with."""
    env = dict(call.env)
    if call.node.spec.has("server-without-table"):
        env.pop(TABLE, None)
    if call.node.spec.has("hccl-if-ip-leaks"):
        env["HCCL_IF_IP"] = call.node.model.node_ip
    return env


def make_plan(
    call: Call, data: Data, *, model: str, tp: int, port: int = 0, log_level: str = "WARNING", faults: bool = False
) -> Plan:
    """What a start finds here and now; ``faults``: it is the server's, and so has the server's faults."""
    node, spec = call.node, call.node.spec
    path = call.env.get(TABLE, "")
    table = node.file(path, call.container) if path else None
    address = local(call, data)
    found = cluster_at(call, data, address) if address else None
    # Without a cluster Ray silently starts a private one on this machine; where RAY_ADDRESS names one it is waited for.
    private = not (found or address) or (faults and spec.has("private-ray"))
    cluster = _private(call) if found is None or private else found
    return Plan(
        version=Release(node.inventory.simulation.lmdeploy_version).number,
        model=model,
        tp=tp,
        port=port,
        log_level=log_level,
        env=call.env,
        cluster=cluster,
        private=private,
        nowhere="" if private or found else address,
        driver=node.name,
        devices={n.name: spec.present_devices(n.name) for n in node.inventory.nodes},
        memory_mb=int(spec.chip.hbm_mb * 0.88),
        load_seconds=node.inventory.simulation.load_seconds,
        model_there=node.file(f"{model.rstrip('/')}/config.json", call.container) is not None,
        port_taken=any(port in p["ports"] for p in processes.of_node(data, node.name)),
        table=None if table is None else table.decode("utf-8", "replace"),
        dies=faults and spec.has("server-dies"),
        never=faults and spec.has("server-never-ready"),
        death=server_words(spec) if faults else "",
        noise=HCCL_NOISE if faults and spec.has("hccl-error-in-log") else "",
    )


def _private(call: Call) -> RayCluster:
    node = call.node
    count = float(len(node.spec.present_devices(node.name)))
    ip = node.model.node_ip
    member = Member("0" * 56, node.name, call.container, 0, ip, node.name, True, call.env, {"NPU": count})
    return RayCluster(f"{ip}:6379", (member,))


def _answer(call: Call, result: Result) -> Result:
    """The result of a start that is over: to the caller, or into the log of a start that was left behind."""
    if not call.spawn_log:
        return result
    call.node.append(call.spawn_log, result.stdout + result.stderr)
    with call.node.state.transaction() as data:
        return say(f"{processes.next_pid(data)}\n")


def _hang(call: Call, data: Data, plan: Plan, story: launcher.Story, shown: Sequence[str]) -> int:
    """A start that gets nowhere: its process is there, and nothing listens."""
    wants = plan.tp if plan.cluster.free_npus < plan.tp else 0
    pid = processes.start(
        data, call.node.name, shown, call.env, container=call.container, kind=SERVER, wants_npus=wants, dependents=[]
    )
    if plan.never:
        _start_workers(data, plan, pid, call)
    if call.spawn_log:
        call.node.append(call.spawn_log, story.text().encode())
    return pid


def _launch(
    call: Call, data: Data, plan: Plan, story: launcher.Story, shown: Sequence[str], options: argparse.Namespace
) -> int:
    """A start that comes to answer.

    Raises:
        OSError: the port is taken on this machine.
    """
    node = call.node
    foreground = launcher.FOREGROUND.get()
    with launcher.reserve(node.model.node_ip, plan.port) as bound:
        launched = launcher.launch(
            bound,
            story,
            _server_options(call, plan, options),
            options.api_keys or (),
            state=node.state.path,
            output=foreground.stdout if foreground else None,
            before=(node.file(call.spawn_log) or b"") if call.spawn_log else b"",
        )
    if call.spawn_log:
        node.write(call.spawn_log, f"{LINK}{launched.log}".encode())
    pid = processes.start(
        data,
        node.name,
        shown,
        _shown_env(call),
        container=call.container,
        kind=SERVER,
        ports=(plan.port,),
        real_pid=launched.pid,
        real_start=launched.start,
        dependents=[],
    )
    section(data, "listeners", node.name)[str(plan.port)] = launched.port
    _start_workers(data, plan, pid, call)
    return pid


def _server_options(call: Call, plan: Plan, options: argparse.Namespace) -> list[str]:
    words = ["--lmdeploy-version", ".".join(map(str, plan.version))]
    words += ["--model", options.model_name or options.model_path, "--shown-port", str(plan.port)]
    faults = [name for name in SERVER_FAULTS if call.node.spec.has(name)]
    if any(fault.name in IN_REQUEST for fault in call.node.spec.faults):
        faults.append("engine-dies-in-request")
    return words + [f"--fault={name}" for name in faults]


def _start_workers(data: Data, plan: Plan, server: int, call: Call) -> None:
    """One worker per rank under its node's raylet; they end with the server and with the raylet."""
    head = processes.find(data, plan.driver, server)
    spec = call.node.spec
    lost = {n.name for n in call.node.inventory.nodes if spec.has("worker-lost", n.name)}
    for place in places(plan):
        member = place.member
        if member.node in lost:
            lost.remove(member.node)
            continue
        device = place.device - spec.has("workers-share-device", member.node, place.device)
        raylet = processes.find(data, member.node, member.pid)
        pid = processes.start(
            data,
            member.node,
            (WORKER,),
            plan.worker_env(member),
            container=member.container,
            kind="worker",
            ppid=member.pid or 1,
            rank=place.rank,
            device=device,
            raylet=member.pid,
        )
        for parent in (head, raylet):
            if parent is not None:
                parent["dependents"].append([member.node, pid])
        section(data, "npu_processes", member.node).append(
            {"npu": device, "pid": pid, "name": WORKER, "memory_mb": plan.memory_mb}
        )


def reap(data: Data) -> None:
    """Take servers out of the process lists whose real process ended by itself."""
    for node in list(data["processes"]):
        for process in list(data["processes"][node].values()):
            if not processes.lives(process):
                processes.end(data, node, process["pid"])


def _stay(call: Call, pid: int, foreground: launcher.Foreground) -> Result:
    """Wait for the server's end, as the program itself would; ``pid`` is then the caller's own."""
    node = call.node
    with node.state.transaction() as data:
        mine = data["processes"][node.name]
        if str(foreground.pid) not in mine:
            mine[str(foreground.pid)] = {**mine.pop(str(pid)), "pid": foreground.pid}
            pid = foreground.pid
    while True:
        if processes.find(node.state.read(), node.name, pid) is None or not foreground.wanted():
            with node.state.transaction() as data:
                processes.end(data, node.name, pid)
            return Result(0)
        time.sleep(POLL)  # the process list is a file that other processes write
