# SPDX-License-Identifier: Apache-2.0
"""How a start of LMDeploy on Ray goes: what it checks in which order, and the words it says then.

Sources: LMDeploy 0.11 to 0.18 (ray.py, ray_executor.py, zmq_engine.py), runs of the real 0.14.0 and 0.18.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hakuna.releases import Behaviour, DeviceChoice, TableUse, Topology, number, row_of
from hakuna.simulator.lmdeploy_launch import Story
from hakuna.simulator.ray import NOSET
from hakuna.simulator.ray_cluster import Member, RayCluster

TABLE = "ASCEND_RANK_TABLE_FILE_PATH"
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40, "CRITICAL": 50, "FATAL": 50}


@dataclass(frozen=True)
class Plan:
    """One start: what was asked for, and what it finds. ``table`` is the rank table's content (None: no such file)."""

    version: tuple[int, int, int]
    model: str
    tp: int
    port: int
    log_level: str
    env: Mapping[str, str]
    cluster: RayCluster
    driver: str  # the node that LMDeploy runs on
    load_seconds: float
    devices: Mapping[str, Sequence[int]]  # by node: the device ids in the order that Ray counts them
    memory_mb: int = 0
    model_there: bool = True
    port_taken: bool = False
    table: str | None = None
    dies: bool = False
    never: bool = False
    death: str = ""  # what the engine repeats of a worker that failed
    noise: str = ""
    private: bool = False  # the cluster is one that Ray started for this process
    nowhere: str = ""  # the address of a cluster at which nobody answers
    lines: list[tuple[float, str]] = field(default_factory=list)

    def does(self, behaviour: Behaviour) -> Any:
        """What the table of releases says of this one, across nodes."""
        return row_of(behaviour, self.version, number, topology=Topology.SEVERAL).value

    def worker_env(self, member: Member) -> dict[str, str]:
        """What a worker has: its raylet's environment, and what the driver hands on of its own."""
        return {**member.env, **{k: self.env[k] for k in self.does(Behaviour.FORWARDED) if k in self.env}}

    @property
    def reads_table(self) -> bool:
        return self.does(Behaviour.TABLE) is not TableUse.UNREAD

    def say(self, level: str, place: str, message: str, delay: float = 0.0) -> None:
        """One line of LMDeploy's logger; what is below the log level is not written."""
        if _LEVELS[level] >= _LEVELS.get(self.log_level, 0):
            self.lines.append((delay, f"{{time}} - lmdeploy - {level} - {place} - {message}"))
        elif delay:
            self.lines.append((delay, ""))

    def raw(self, text: str) -> None:
        self.lines.extend((0.0, line) for line in text.splitlines())


@dataclass(frozen=True)
class Place:
    """One worker: its rank, the raylet it runs under, and its ``index``-th device, with that one's id."""

    rank: int
    member: Member
    index: int
    device: int


def places(plan: Plan) -> tuple[Place, ...]:
    """Where Ray puts the workers: PACK, beginning with the driver's own node."""
    members = sorted(plan.cluster.members, key=lambda m: (m.node != plan.driver, m.address))
    found: list[Place] = []
    for member in members:
        for index in range(member.npus):
            if len(found) < plan.tp:
                ids = plan.devices[member.node]
                found.append(Place(len(found), member, index, ids[index] if index < len(ids) else index))
    return tuple(found)


class _DeathError(Exception):
    """The engine process died; holds the traceback's last line."""


def tell(plan: Plan) -> Story:
    """The start's log and its ending."""
    try:
        return _tell(plan)
    except _DeathError as death:
        plan.raw(_engine_death(str(death)))
        if not plan.does(Behaviour.DEATH):
            return Story(tuple(plan.lines), "hang")  # the parent waits for its dead child for ever
        plan.raw(
            "Traceback (most recent call last):\n"
            '  File "/opt/lmdeploy/lmdeploy/pytorch/engine/mp_engine/zmq_engine.py", line 96, in __init__\n'
            "lmdeploy.pytorch.engine.mp_engine.zmq_rpc.RPCServerDeadError: PyTorch ZMQ engine process is not alive."
        )
        return Story(tuple(plan.lines), "exit", 1)


def _engine_death(last: str) -> str:
    return (
        "Process mp_engine_proc:\nTraceback (most recent call last):\n"
        '  File "/opt/lmdeploy/lmdeploy/pytorch/engine/mp_engine/zmq_engine.py", line 163, in _mp_proc\n'
        f"    engine = Engine.from_pretrained(\n{last}"
    )


def _tell(plan: Plan) -> Story:
    if not plan.model_there:
        plan.raw(
            "Traceback (most recent call last):\n"
            f"OSError: {plan.model} is not a local folder and is not a valid model identifier listed on "
            "'https://huggingface.co/models'\nIf this is a private repository, make sure to pass a token having "
            "permission to this repo either by logging in with `hf auth login` or by passing `token=<your_token>`"
        )
        return Story(tuple(plan.lines), "exit", 1)
    plan.say("INFO", "__init__.py:84", "Build <ray> executor.")
    plan.say("INFO", "ray_executor.py:271", "Init ray cluster.")
    if plan.private:
        plan.raw("{time}\tINFO worker.py:2014 -- Started a local Ray instance.")
    else:
        at = plan.nowhere or plan.cluster.address
        plan.raw(f"{{time}}\tINFO worker.py:1810 -- Connecting to existing Ray cluster at address: {at}...")
        if plan.nowhere:
            plan.raw(f"[{{time}} W 1 1] rpc_client.h:153: Failed to connect to GCS at address {at} within 5 seconds.")
            return Story(tuple(plan.lines), "hang")
        plan.raw("{time}\tINFO worker.py:2013 -- Connected to Ray cluster.")
    if plan.cluster.free_npus < plan.tp:
        return _wait_for_npus(plan)
    plan.say("INFO", "ray_executor.py:284", "Init ray workers.")
    workers = places(plan)
    _rank_table(plan, workers)
    _devices(plan, workers)
    step = plan.load_seconds / 5
    plan.say("INFO", "ray_executor.py:301", "Init distributed environment by device.", step)
    plan.say("INFO", "ray_executor.py:304", "Init distributed process group.")
    plan.raw(
        f"(RayWorkerWrapper pid=1) [Gloo] Rank 0 is connected to {plan.tp - 1} peer ranks. "
        f"Expected number of connected peer ranks is : {plan.tp - 1}"
    )
    warming = "Warming up distribute environment, this might take long time, please waiting..."
    plan.say("INFO", "ray_executor.py:309", warming, step)
    if plan.never:
        return Story(tuple(plan.lines), "hang")
    if plan.death:
        raise _DeathError(plan.death)
    plan.say("INFO", "base.py:191", "Building Model.", step)
    if plan.dies:
        raise _DeathError(
            "RuntimeError: NPU out of memory. Tried to allocate 2.03 GiB (NPU 0; 60.97 GiB total capacity; 58.92 GiB "
            "already allocated; 58.92 GiB current active; 1.01 GiB free; 59.20 GiB reserved in total by PyTorch)"
        )
    plan.say("INFO", "base.py:194", "Updating configs.", step)
    plan.say("INFO", "base.py:200", "Building GraphRunner and warmup ops, please waiting.")
    plan.say(
        "INFO", "base.py:204", "Building CacheEngine with config: CacheConfig(block_size=64, cache_max_entry_count=0.8)"
    )
    plan.say("INFO", "base.py:206", "Warming up model.", step)
    hint = (
        f"HINT:    Please open \033[93m\033[1mhttp://0.0.0.0:{plan.port}\033[0m in a browser for detailed api usage!!!"
    )
    if plan.noise:
        plan.raw(plan.noise)
    plan.raw("\n".join([hint] * 3))
    if plan.port_taken:
        plan.raw(
            "INFO:     Started server process [1]\nINFO:     Waiting for application startup.\n"
            "INFO:     Application startup complete.\n"
            f"ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', {plan.port}): "
            "address already in use\nINFO:     Waiting for application shutdown.\n"
            "INFO:     Application shutdown complete."
        )
        return Story(tuple(plan.lines), "exit", 1)
    return Story(tuple(plan.lines))


def _wait_for_npus(plan: Plan) -> Story:
    plan.say(
        "WARNING",
        "ray.py:124",
        "The number of required NPUs exceeds the total number of available NPUs in the placement group.",
    )
    head = plan.cluster.address.rpartition(":")[0]
    bundles = [{"NPU": 1.0, f"node:{head}": 0.001}, *[{"NPU": 1.0}] * (plan.tp - 1)]
    plan.say(
        "INFO",
        "ray.py:62",
        f"Waiting for creating a placement group of specs for 10 seconds. specs={bundles}. Check `ray status` to see "
        "if you have enough resources, and make sure the IP addresses used by ray cluster are the same as VLLM_HOST_IP "
        "environment variable specified in each node if you are running on a multi-node.",
    )
    return Story(tuple(plan.lines), "hang")


def _rank_table(plan: Plan, workers: Sequence[Place]) -> None:
    path = plan.env.get(TABLE)
    if not path or not plan.reads_table:
        return
    if plan.table is None:
        raise _DeathError(f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'")
    try:
        table = json.loads(plan.table)
    except json.JSONDecodeError as error:
        raise _DeathError(f"json.decoder.JSONDecodeError: {error}") from None
    try:
        servers = table["server_list"]
        devices = [(str(s["server_id"]), d["rank_id"], d["device_id"]) for s in servers for d in s["device"]]
        first = str(servers[0]["server_id"])
    except (KeyError, IndexError, TypeError) as error:
        _table_failed(plan, table)
        raise _DeathError(f"{type(error).__name__}: {error}") from None
    if first != plan.cluster.address.rpartition(":")[0].strip("[]"):
        _table_failed(plan, table)
        raise _DeathError("AssertionError: Master address does not match rank table")
    ips = [server for server, _, _ in devices]
    if plan.does(Behaviour.RANKS):
        ips = _ranked(plan, table, devices)[: plan.tp]
    if len(ips) != len(workers):
        raise _DeathError(
            "ValueError: The length of the ips list does not match the workers, "
            f"ips length: {len(ips)}, workers length: {len(workers)}"
        )
    found = [w.member.address for w in workers]
    if sorted(ips) != sorted(found):
        raise _DeathError(
            "ValueError: The IP addresses in the ips list do not match the worker IPs. "
            f"ips: {sorted(set(ips))}, worker_ips: {sorted(set(found))}"
        )


def _ranked(plan: Plan, table: Any, devices: Sequence[tuple[str, Any, Any]]) -> list[str]:
    """The servers in rank order, with the checks that came in 0.12."""
    if not devices:
        _table_failed(plan, table)
        raise _DeathError("ValueError: Rank table contains no devices.")
    try:
        ranked = sorted((int(rank), server) for server, rank, _ in devices)
    except (TypeError, ValueError) as error:
        _table_failed(plan, table)
        raise _DeathError(f"{type(error).__name__}: {error}") from None
    ids = [rank for rank, _ in ranked]
    if ids != list(range(len(ids))):
        _table_failed(plan, table)
        raise _DeathError(f"ValueError: Rank ids are not contiguous starting from 0: {ids[:8]}...{ids[-8:]}")
    if len(ids) < plan.tp:
        raise _DeathError(
            "ValueError: Rank table world_size is smaller than required ranks for current dp_rank. "
            f"world_size={len(ids)}, required={plan.tp}"
        )
    return [server for _, server in ranked]


def _table_failed(plan: Plan, table: Any) -> None:
    plan.say("ERROR", "ray_executor.py:76", f"Parse rank table file({table})  failed")


def _devices(plan: Plan, workers: Sequence[Place]) -> None:
    """What ``set_device`` refuses: devices that Ray hides, or numbers beyond a node's devices."""
    several = len({w.member.address for w in workers}) > 1
    for worker in workers:
        hidden = worker.member.env.get(NOSET) != "1" and not plan.env.get("ASCEND_SET_RT_VISIBLE_DEVICES_BY_RAY")
        if hidden and worker.index > 0:
            raise _invalid(worker, worker.index)
        if (
            several
            and plan.does(Behaviour.DEVICE) is not DeviceChoice.WORKER_INDEX
            and not (plan.reads_table and plan.env.get(TABLE))
            and worker.rank >= worker.member.npus
        ):
            # Without a table old releases take all ranks for ranks of one node.
            raise _invalid(worker, worker.rank)


def _invalid(worker: Place, device: int) -> _DeathError:
    return _DeathError(
        "ray.exceptions.RayTaskError(RuntimeError): ray::RayWorkerWrapper.set_device() "
        f"(pid=1, ip={worker.member.address})\n"
        "RuntimeError: Initialize:torch_npu/csrc/core/npu/sys_ctrl/NpuSysCtrl.cpp:215 NPU function error: "
        f"c10_npu::SetDevice({device}), error code is 107001\n"
        "[Error]: Invalid device ID.\n        Check whether the device ID is valid."
    )
