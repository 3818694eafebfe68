# SPDX-License-Identifier: Apache-2.0
"""What the workers of a start that fails leave in their logs, by fault: the one that fails, and all that wait for it.

The words are those of CANN (hcomm's error table; hicann/hccl docs/zh/user_guide/fault_diagnosis), of torch_npu and of Ray
(node_manager.cc); the times say who came first, and the server repeats what a rank that waited said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hakuna.where import Where

if TYPE_CHECKING:
    from hakuna.simulator.cluster import ClusterSpec

#: Where Ray and CANN keep their logs.
RAY_LOGS = "/tmp/ray/session_latest/logs"  # noqa: S108  # Ray's own place
PLOG = "/root/ascend/log/debug/plog"
_DAY = "2026-03-18"
_FIRST_PID = 30000

#: What every worker's log holds without anything being wrong.
_QUIET_OUT = ":job_id:01000000\n:actor_name:RayWorkerWrapper\n"
_QUIET_ERR = (
    ":job_id:01000000\n:actor_name:RayWorkerWrapper\n"
    "/usr/local/python3.11.10/lib/python3.11/site-packages/torch_npu/contrib/transfer_to_npu.py:299: ImportWarning: \n"
    "    The backend in torch.distributed.init_process_group set to hccl now..\n"
    "[W compiler_depend.ts:615] Warning: expandable_segments currently defaults to false. (function operator())\n"
)
_QUIET_RAYLET = (
    "[2026-03-18 10:31:00,101 I 401 401] (raylet) main.cc:307: Setting cluster ID to: 3f1b\n"
    "[2026-03-18 10:31:04,552 E 401 440] (raylet) core_worker_process.cc:825: Failed to establish connection to the "
    "metrics exporter agent. Metrics will not be exported.\n"
)


@dataclass(frozen=True)
class Rank:
    """One rank of the simulated world."""

    number: int
    where: Where
    host: str
    address: str

    @property
    def pid(self) -> int:
        return _FIRST_PID + self.number


@dataclass(frozen=True)
class World:
    """All ranks, and the places of the fault."""

    ranks: tuple[Rank, ...]
    fault: Where

    @property
    def bad(self) -> tuple[Rank, ...]:
        """The ranks that the fault is of."""
        return tuple(r for r in self.ranks if self.fault.covers(r.where))


#: What one rank writes into its plog and its .err file, and the last words of the server.
Said = tuple[str, str]
Story = Callable[[World, Rank], Said]


def _plog(rank: Rank, time: str, place: str, words: str, module: str = "HCCL") -> str:
    return f"[ERROR] {module}({rank.pid},ray::RayWorkerWr):{_DAY}-{time}.113.403 [{place}] [{rank.pid}]{words}\n"


def _torch(rank: Rank, time: str, code: str, words: str) -> str:
    """An error as torch_npu raises it: the exception's generic words, then CANN's own."""
    return (
        "RuntimeError: The Inner error is reported as above. The process exits for this inner error, and the current "
        "working operator name is HcclAllreduce.\n"
        f"[ERROR] {_DAY}-{time} (PID:{rank.pid}, Device:{rank.where.device}, RankID:{rank.number}) ERR02200 DIST call "
        "hccl api failed.\n"
        f"[PID: {rank.pid}] {_DAY}-{time}.335.888 {code}: {words}\n"
    )


def _waits(rank: Rank, other: Rank) -> Said:
    """A link that does not come up (EI0006), 120 s after all others."""
    row = f"   |  {other.address}({other.number})   |  16666  |   {rank.address}({rank.number})   |  3234403008  |"
    plog = _plog(
        rank,
        "10:35:52",
        "hccl_socket_manager.cc:797",
        f"[Wait][LinkEstablish]wait socket establish timeout, role[1] rank[{rank.number}] timeout[120 s]",
    ) + _plog(rank, "10:35:52", "hccl_socket_manager.cc:583", f"{row}  client  | time out |   DISABLE  | LinkInfo")
    words = (
        "Getting socket times out. Reason: 1. The remote does not initiate a connect request. some NPUs in the cluster "
        f"are abnormal. srcRank[{rank.host}/{rank.where.device}] connect destRank[{other.host}/{other.where.device}] fail"
    )
    return plog, _torch(rank, "10:35:52", "Communication_Error_Get_Socket(EI0006)", words)


def _one(words: Callable[[Rank], Said]) -> Story:
    """The fault's ranks say something of their own; all others wait for the first of them."""
    return lambda world, rank: words(rank) if rank in world.bad else _waits(rank, world.bad[0])


def _port_taken(rank: Rank) -> Said:
    plog = _plog(
        rank,
        "10:33:40",
        "hccl_socket.cc:110",
        f"[InitChannelStage][Timeout] socket type[0], listen on ip[{rank.address}] and specific port[16666] fail. Please "
        "check the port status and whether the port is being used by other process.",
    )
    words = (
        "Failed to enable listening for the device network adapter socket.Reason: The IP address "
        f"{rank.address} and port 16666 have already been bound."
    )
    return plog, _torch(rank, "10:33:40", "Communication_Error_Bind_IP_Port(EI0019)", words)


def _hccp_left(rank: Rank) -> Said:
    plog = _plog(
        rank, "10:33:41", "process_mode_manager.cpp:587", "[TsdClient] DeviceMsgProc  errcode[EJ0001]", "TDT"
    ) + _plog(rank, "10:33:41", "tsd_client.cpp:31", f"TsdOpen failed, deviceId[{rank.where.device}].", "TDT")
    words = "Failed to initialize the HCCP process. Reason: Maybe the last training process is running."
    return plog, _torch(rank, "10:33:41", "HCCP_Process_Initialization_Failure(EJ0001)", words)


def _port_down(rank: Rank) -> Said:
    plog = _plog(
        rank,
        "10:33:42",
        "ra_hdc.c:1270",
        f"tid:{rank.pid},ra_hdc_rdev_init(1270) : [init][ra_hdc_rdev]ra hdc message process failed ret(-67) "
        f"phy_id({rank.where.device})",
        "HCCP",
    )
    return plog, _torch(
        rank, "10:33:42", "Environment_Error(EJ0002)", "The network port is down.Suggest: check the link"
    )


def _other_address(rank: Rank) -> Said:
    plog = _plog(
        rank,
        "10:33:43",
        "ra_host.c:480",
        f"tid:{rank.pid},ra_rdev_init_check_ip(480) : [check][ip]fail, ret(129) the IP address(198.51.100.99) in the "
        f"ranktable is inconsistent with the IP address({rank.address}) of the network adapter, please make sure they're "
        "consistent. num(1)",
        "HCCP",
    )
    words = "The ranktable information check failed, Reason:[the IP address is not the one of the device]."
    return plog, _torch(rank, "10:33:43", "Ranktable_Check_Failed(EI0014)", words)


def _interface(rank: Rank) -> Said:
    words = (
        "Environment variable [HCCL_SOCKET_IFNAME] is invalid. Reason: set ifname to [bond9] by HCCL_SOCKET_IFNAME, "
    )
    words += "but not found in the environment."
    plog = _plog(rank, "10:33:20", "externalinput.cc:963", f"[InitGroupStage][EnvConfig]{words}")
    return plog, _torch(rank, "10:33:20", "Config_Error_Invalid_Environment_Variable(EI0001)", words)


def _no_memory(rank: Rank) -> Said:
    return "", (
        'Traceback (most recent call last):\n  File "/opt/lmdeploy/lmdeploy/pytorch/engine/model_agent/agent.py", line '
        "1013, in _build_model\n    patched_model = build_patched_model(\n"
        f"RuntimeError: NPU out of memory. Tried to allocate 2.03 GiB (NPU {rank.where.device}; 60.97 GiB total capacity; "
        "58.92 GiB already allocated; 1.01 GiB free; 59.20 GiB reserved in total by PyTorch)\n"
    )


def _crash(rank: Rank) -> Said:
    return "", (
        f"*** SIGSEGV received at time=1773829990 on cpu {rank.number} ***\nPC: @     0xfffd8c0d7a50  (unknown)  (unknown)\n"
        "Fatal Python error: Segmentation fault\n\nStack (most recent call first):\n"
        '  File "/usr/local/python3.11.10/lib/python3.11/site-packages/torch_npu/npu/__init__.py", line 278 in set_device\n'
    )


def _gone(_rank: Rank) -> Said:
    return "", ""


def _root_misses(world: World, rank: Rank) -> Said:
    """The root (rank 0) waits for a node in vain; those that came hear of it from the root (EI0015)."""
    if rank in world.bad:
        return "", ""
    missing = [r.number for r in world.bad]
    came = [r for r in world.ranks if r not in world.bad]
    if rank.number == 0:
        listed = ",".join(f"[{r.number:016d}]" for r in came)
        plog = "".join(
            _plog(rank, "10:35:20", f"topoinfo_exchange_server.cc:{line}", words)
            for line, words in (
                ("314", "[InitGroupStage][RanktableDetect]topo exchange server get socket timeout! timeout[120 s]"),
                (
                    "501",
                    f"[InitGroupStage][DisplayConnectionedRank]total connected num is [{len(came)}],line num is [1]",
                ),
                ("503", f"[InitGroupStage][DisplayConnectionedRank]need connect rankNum is [{len(world.ranks)}]"),
                ("517", f"[InitGroupStage][DisplayConnectionedRank]connected rankinfo[LINE 0]: {listed};"),
            )
        )
    else:
        agents = "".join(f"{number}," for number in missing)
        plog = _plog(
            rank,
            "10:35:20",
            "topoinfo_exchange_base.cc:145",
            "[InitGroupStage][RanktableDetect] TopoDetect ERROR occur !!! fault_type[1], "
            f'fault_info["Failed to connect agent[{agents}]"]',
        )
    words = (
        "Failed to collect cluster information of the communicator based on rootInfo detection. Reason: Receiving message "
        f"from the root node timed out. Check whether node {world.ranks[0].host} reports an error."
    )
    return plog, _torch(rank, "10:35:20", "Ranktable_Detect_Failed(EI0015)", words)


def _switches(world: World, rank: Rank) -> Said:
    """Only the root says who differs (EI0016); the others hear that the root gave up."""
    if rank.number:
        return _waits(rank, world.ranks[0])
    odd = ",".join(str(r.number) for r in world.bad)
    rest = ",".join(str(r.number) for r in world.ranks if r not in world.bad)
    words = (
        'Value Disable for config "tls" is invalid. Expected Value:"All ranks are consistent. Current status : rankList '
        f'for enabled tls:[{odd}]; rankList for disabled tls:[{rest}]"'
    )
    plog = _plog(rank, "10:33:30", "topoinfo_exchange_agent.cc:640", f"[InitGroupStage][RanktableCheck]{words}")
    return plog, _torch(rank, "10:33:30", "Config_Error(EI0016)", words)


def _ends(world: World) -> tuple[Rank, Rank]:
    source = next(r for r in world.ranks if r.where == world.fault.source)
    target = next(r for r in world.ranks if r.where == world.fault.target)
    return source, target


def _no_way(world: World, rank: Rank) -> Said:
    """Both ends wait for each other; the ring waits for one of them."""
    source, target = _ends(world)
    if rank == source:
        plog, err = _waits(rank, target)
        return plog.replace("10:35:52", "10:35:50"), err.replace("10:35:52", "10:35:50")
    return _waits(rank, source)


def _broken_way(world: World, rank: Rank) -> Said:
    """The link breaks under load (EI0013); all others wait for a notify that never comes (EI0002)."""
    source, target = _ends(world)
    if rank == target:
        return "", ""
    if rank == source:
        plog = _plog(
            rank,
            "10:36:13",
            "heartbeat.cc:1229",
            f"[TaskExecStage][HeartbeatAbnormal][ROCE CQE ERROR]cqe error status[12], time:[{_DAY} 10:36:12.776654],"
            f"localInfo{{server[{source.host}],deviceId[{source.host}],deviceIp[{source.address}]}}, "
            f"remoteIP{{server[{target.host}],deviceId[{target.host}],deviceIp[{target.address}]}}",
        )
        words = (
            f"An error CQE occurred during operator execution. Local information: server {source.host}, device ID "
            f"{source.where.device}, device IP {source.address}. Peer information: server {target.host}, device ID "
            f"{target.where.device}, device IP {target.address}."
        )
        return plog, _torch(rank, "10:36:13", "Execution_Error_ROCE_CQE(EI0013)", words)
    plog = _plog(
        rank,
        "10:36:40",
        "task_exception_handler.cc:454",
        "[TaskExecStage][Timeout][Host]Task run failed, para information is notify id:[0x0000000000000050], "
        f"stage:[ffffffff], remote rank:[{source.number}].",
    )
    words = (
        "The wait execution of the Notify register times out. Reason: The Notify register has not received the Notify "
        f"record from remote rank: [{source.number}]."
    )
    return plog, _torch(rank, "10:36:40", "Communication_Error_Timeout(EI0002)", words)


STORIES: Mapping[str, Story] = {
    "worker-port-taken": _one(_port_taken),
    "worker-hccp-left": _one(_hccp_left),
    "worker-port-down": _one(_port_down),
    "worker-other-address": _one(_other_address),
    "worker-interface": _one(_interface),
    "worker-no-memory": _one(_no_memory),
    "worker-crashes": _one(_crash),
    "worker-killed": _one(_gone),
    "worker-hangs": _one(_gone),
    "ranks-not-connected": _root_misses,
    "worker-tls-differs": _switches,
    "worker-no-way": _no_way,
    "worker-way-breaks": _broken_way,
}
#: The same of servers that came up, and lost a worker in a request.
IN_REQUEST: Mapping[str, Story] = {
    "worker-full-in-request": _one(_no_memory),
    "way-breaks-in-request": _broken_way,
}


def story(spec: ClusterSpec) -> tuple[Story, World] | None:
    """The story of the first fault of the workers that the cluster has."""
    stories = {**STORIES, **IN_REQUEST}
    fault = next((f for f in spec.faults if f.name in stories), None)
    if fault is None:
        return None
    order = [device for node in spec.inventory.ordered_nodes for device in node.devices]
    ranks = tuple(
        Rank(number, where, spec.node(where.node).node_ip, spec.device(where.node, where.device).ip or "")
        for number, where in enumerate(order)
    )
    return stories[fault.name], World(ranks, fault.where)


def logs(spec: ClusterSpec, node: str) -> dict[str, str]:
    """The logs that Ray and CANN have on a node after the server's start, by path."""
    told = story(spec)
    number = sum(len(n.device_ids) for n in spec.inventory.ordered_nodes[: _position(spec, node)])
    found = {f"{RAY_LOGS}/raylet.out": _QUIET_RAYLET + _kill(spec, node)}
    for rank, device in enumerate(spec.node(node).device_ids, number):
        where = Where(node, device)
        plog, err = ("", "")
        if told is not None:
            write, world = told
            plog, err = write(world, next(r for r in world.ranks if r.where == where))
        pid = _FIRST_PID + rank
        name = f"{RAY_LOGS}/worker-{rank:056x}-01000000-{pid}"
        found[f"{name}.out"] = _QUIET_OUT
        found[f"{name}.err"] = _QUIET_ERR + err
        if plog:
            found[f"{PLOG}/plog-{pid}_20260318103300000.log"] = plog
    return found


def _position(spec: ClusterSpec, node: str) -> int:
    return [n.name for n in spec.inventory.ordered_nodes].index(node)


def _kill(spec: ClusterSpec, node: str) -> str:
    """What the raylet says of a worker that it killed."""
    told = story(spec)
    if told is None or not any(f.name == "worker-killed" for f in spec.faults) or told[1].fault.node != node:
        return ""
    victim = told[1].bad[0]
    return (
        "[2026-03-18 10:33:50,445 E 401 401] (raylet) node_manager.cc:3049: 1 Workers (tasks / actors) killed due to memory "
        f"pressure (OOM), 0 Workers crashed due to other reasons at node (ID: e5d953ef, IP: {victim.host}) over the last "
        f"time period. To see more information about the Workers killed on this node, use `ray logs raylet.out -ip "
        f"{victim.host}`\n"
    )


def server_words(spec: ClusterSpec) -> str:
    """What the server repeats before it dies: the words of a rank of its own node, which only waited."""
    told = story(spec)
    if told is None or any(f.name in IN_REQUEST for f in spec.faults):
        return ""
    write, world = told
    rank = next(
        (r for r in world.ranks if r.where.node == spec.inventory.head_node.name and r not in world.bad), world.ranks[0]
    )
    said = (
        write(world, rank)[1]
        or "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task."
    )
    return (
        "ray.exceptions.RayTaskError(RuntimeError): ray::RayWorkerWrapper.warmup_dist() "
        f"(pid={rank.pid}, ip={rank.host}, actor_id=8c22c88e5dbb3e566fc0518001000000)\n{said.rstrip()}"
    )
