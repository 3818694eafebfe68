# SPDX-License-Identifier: Apache-2.0
"""The simulated ``ray``: ``start``, ``status``, ``stop`` and ``--version`` in the words of Ray 2.46 and later.

Wording read in Ray's own ``scripts.py``, its autoscaler's status report, and published transcripts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from hakuna.simulator import processes
from hakuna.simulator.ray_cluster import GCS, NOT_RUNNING, RAYLET, SITE, cluster_at, gcs_at, local, node_id
from hakuna.simulator.ray_words import next_steps, port_in_use, status_text, traceback, unreachable
from hakuna.simulator.state import Data
from hakuna.simulator.tools import Call, Result, Tool, say, tool

NOSET = "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES"
PYTHON = "3.11.10"
CPUS = 192
MEMORY = 1_500_000_000_000
OBJECT_STORE = 200_000_000_000


class _UsageError(Exception):
    """What click says about arguments that it does not know."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


@tool("ray")
class Ray(Tool):
    """One call of Ray's command line."""

    def run(self, call: Call) -> Result:
        arguments = call.argv[1:]
        if arguments in (("--version",), ("version",)):
            return say(f"ray, version {call.node.inventory.simulation.ray_version}\n")
        commands: dict[str, Callable[[Call], Result]] = {"start": _start, "status": _status, "stop": _stop}
        if not arguments or arguments[0] not in commands:
            name = arguments[0] if arguments else ""
            return say(err=f"{_usage('COMMAND')}\nError: No such command '{name}'.\n", exit_code=2)
        try:
            return commands[arguments[0]](call)
        except _UsageError as error:
            return say(err=f"{_usage(arguments[0])}\nError: {error}\n", exit_code=2)


def _usage(command: str) -> str:
    return f"Usage: ray {command} [OPTIONS]\nTry 'ray {command} --help' for help.\n"


def _start(call: Call) -> Result:
    parser = _Parser(prog="ray start", allow_abbrev=False, add_help=False)
    parser.add_argument("--head", action="store_true")
    parser.add_argument("--address")
    parser.add_argument("--port", type=int)
    parser.add_argument("--node-ip-address")
    parser.add_argument("--resources", default="{}")
    parser.add_argument("--num-cpus", type=int, default=CPUS)
    parser.add_argument("--num-gpus", type=int, default=0)
    parser.add_argument("--object-store-memory", type=int, default=OBJECT_STORE)
    parser.add_argument("--disable-usage-stats", action="store_true")
    parser.add_argument("--block", action="store_true")
    for name in _IGNORED:
        parser.add_argument(name)
    options = parser.parse_args(list(call.argv[2:]))
    try:
        given = {str(k): float(v) for k, v in json.loads(options.resources).items()}
    except (ValueError, TypeError, AttributeError):
        return say(
            err="`--resources` is not a valid JSON string.\nValid values look like this: `"
            '{"CustomResource3": 1, "CustomResource2": 2}`\n',
            exit_code=1,
        )
    if options.head:
        return _start_head(call, options, given)
    if not options.address:
        return say(err="`--address` is a required flag unless starting a head node with `--head`.\n", exit_code=1)
    if options.port:
        return say(err="`--port` should only be specified when starting head node with `--head`.\n", exit_code=1)
    return _start_worker(call, options, given)


_IGNORED = (
    "--dashboard-host",
    "--dashboard-port",
    "--include-dashboard",
    "--temp-dir",
    "--node-manager-port",
    "--object-manager-port",
    "--min-worker-port",
    "--max-worker-port",
    "--worker-port-list",
    "--ray-client-server-port",
    "--runtime-env-agent-port",
    "--dashboard-agent-grpc-port",
    "--dashboard-agent-listen-port",
    "--metrics-export-port",
    "--memory",
    "--labels",
    "--node-name",
    "--log-style",
    "--log-color",
    "--plasma-directory",
)

_STATS = (
    "Usage stats collection is enabled by default without user confirmation because this terminal is detected to be "
    "non-interactive. To disable this, add `--disable-usage-stats` to the command that starts the cluster, or run the "
    "following command: `ray disable-usage-stats` before starting the cluster. See "
    "https://docs.ray.io/en/master/cluster/usage-stats.html for more details.\n"
)
_STARTED = "\n--------------------\nRay runtime started.\n--------------------\n\n"


def _start_head(call: Call, options: argparse.Namespace, given: dict[str, float]) -> Result:
    address = options.node_ip_address or call.node.model.node_ip
    port = options.port or 6379
    gcs = f"{address}:{port}"
    said = ("Usage stats collection is disabled.\n" if options.disable_usage_stats else _STATS) + "\n"
    said += f"Local node IP: {address}\n"
    with call.node.state.transaction() as data:
        if gcs_at(data, call.node.name, port):
            words = (
                f"ConnectionError: Ray is trying to start at {gcs}, but is already running at {gcs}. Please specify a "
                "different port using the `--port` flag of `ray start` command."
            )
            return say(said, traceback(words), 1)
        if _taken(call, data, port):
            return say(said, traceback(port_in_use(port)), 1)
        session = time.strftime("session_%Y-%m-%d_%H-%M-%S_000000_") + str(data["next_pid"])
        pid = processes.start(
            data,
            call.node.name,
            (
                f"{SITE}/ray/core/src/ray/gcs/gcs_server",
                f"--log_dir=/tmp/ray/{session}/logs",
                f"--gcs_server_port={port}",
                f"--node-ip-address={address}",
                f"--session-name={session}",
            ),
            call.env,
            container=call.container,
            kind=GCS,
            ports=(port,),
            address=address,
            session=session,
            ray_version=call.node.inventory.simulation.ray_version,
        )
        _start_raylet(call, data, options, given, address=address, gcs=gcs, gcs_pid=pid, session=session)
    return say(f"{said}{_STARTED}{next_steps(gcs)}")


def _start_worker(call: Call, options: argparse.Namespace, given: dict[str, float]) -> Result:
    spec, name = call.node.spec, call.node.name
    address = options.node_ip_address or call.node.model.node_ip
    if spec.has("wrong-ray-address", name):
        address = spec.ray_address(name)
    host, _, port = options.address.rpartition(":")
    said = f"Local node IP: {address}\n"
    if spec.has("ray-start-fails", name):
        return say(said, unreachable(options.address), 1)
    with call.node.state.transaction() as data:
        node = call.node.spec.node_of_ip(host.strip("[]"))
        gcs = gcs_at(data, node, int(port)) if port.isdigit() else None
        if gcs is None:
            return say(said, unreachable(options.address), 1)
        version = call.node.inventory.simulation.ray_version
        if gcs["ray_version"] != version:
            words = (
                "RuntimeError: Version mismatch: The cluster was started with:\n"
                f"    Ray: {gcs['ray_version']}\n    Python: {PYTHON}\n"
                f"This process on node {address} was started with:\n    Ray: {version}\n    Python: {PYTHON}\n"
            )
            return say(said, traceback(words), 1)
        _start_raylet(
            call,
            data,
            options,
            given,
            address=address,
            gcs=f"{gcs['address']}:{port}",
            gcs_pid=gcs["pid"],
            session=gcs["session"],
        )
    return say(f"{said}{_STARTED}To terminate the Ray runtime, run\n  ray stop\n")


def _start_raylet(
    call: Call,
    data: Data,
    options: argparse.Namespace,
    given: dict[str, float],
    *,
    address: str,
    gcs: str,
    gcs_pid: int,
    session: str,
) -> None:
    spec, name = call.node.spec, call.node.name
    env = dict(call.env)
    if spec.has("variable-missing", name):
        env.pop(NOSET, None)
    if spec.has("table-variable-missing", name):
        env.pop("ASCEND_RANK_TABLE_FILE_PATH", None)
    if spec.has("wrong-socket-name", name):
        env["GLOO_SOCKET_IFNAME"] = "docker0"
    resources = {
        "CPU": float(options.num_cpus),
        "memory": float(MEMORY),
        "object_store_memory": float(options.object_store_memory),
        f"node:{address}": 1.0,
        f"accelerator_type:{spec.chip.soc}": 1.0,
    }
    if options.head:
        resources["node:__internal_head__"] = 1.0
    if options.num_gpus:
        resources["GPU"] = float(options.num_gpus)
    npus = _detected(call)
    if npus:
        resources["NPU"] = float(npus)
    resources |= given
    resources = {k: v for k, v in resources.items() if v}
    listed = ",".join(f"{k},{v:g}" for k, v in sorted(resources.items()))
    limit: dict[str, Any] = {"nofile": 1024} if spec.has("raylet-nofile", name) else {}
    for number in range(2 if spec.has("two-raylets", name) else 1):
        processes.start(
            data,
            name,
            (
                f"{SITE}/ray/core/src/ray/raylet/raylet",
                f"--raylet_socket_name=/tmp/ray/{session}/sockets/raylet",
                f"--node_ip_address={address}",
                f"--static_resource_list={listed}",
                f"--gcs-address={gcs}",
                f"--session-name={session}",
            ),
            env,
            container=call.container,
            kind=RAYLET,
            address=address,
            gcs=gcs,
            gcs_pid=gcs_pid,
            head=options.head,
            joined=number == 0 and not spec.has("worker-missing", name),
            node_id=node_id(address, gcs, data["next_pid"]),
            resources=resources,
            dependents=[],
            **limit,
        )


def _detected(call: Call) -> int:
    """How many NPUs Ray finds by itself: ACL's count, limited by ASCEND_RT_VISIBLE_DEVICES (ray npu.py)."""
    spec, name = call.node.spec, call.node.name
    if spec.has("npu-resource-zero", name):
        return 0
    found = 1 if spec.has("npu-resource-partial", name) else len(spec.present_devices(name))
    visible = call.env.get("ASCEND_RT_VISIBLE_DEVICES")
    return found if visible is None else min(found, len([x for x in visible.split(",") if x.strip()]))


def _taken(call: Call, data: Data, port: int) -> bool:
    if call.node.spec.has("port-taken", call.node.name) and port == call.node.inventory.ray.port:
        return True
    return any(port in process["ports"] for process in processes.of_node(data, call.node.name))


def _status(call: Call) -> Result:
    data = call.node.state.read()
    address = _option(call, "--address") or local(call, data)
    cluster = cluster_at(call, data, address) if address else None
    if not address:
        return say(err=traceback(f"ConnectionError: {NOT_RUNNING}"), exit_code=1)
    if cluster is None:
        return say(err=unreachable(address), exit_code=1)
    if call.node.spec.has("status-differs"):
        cluster = replace(cluster, members=cluster.members[:-1])
    text = status_text(cluster, call.node.inventory.simulation.ray_version, _pending(data))
    if call.node.spec.has("recent-failures"):
        failed = f" {cluster.members[-1].address}: NodeTerminated (ip: {cluster.members[-1].address})"
        text = text.replace(" (no failures)", failed)
    return say(text)


def _option(call: Call, name: str) -> str:
    words = call.argv[2:]
    for index, word in enumerate(words):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name and index + 1 < len(words):
            return words[index + 1]
    return ""


def _pending(data: Data) -> int:
    """The NPUs that a server waits for."""
    return sum(int(p.get("wants_npus", 0)) for node in data["processes"] for p in processes.of_node(data, node))


def _stop(call: Call) -> Result:
    force = any(word in ("-f", "--force") for word in call.argv[2:])
    with call.node.state.transaction() as data:
        # A container has its own process namespace; the host sees the processes of all.
        mine = [
            p
            for p in processes.of_node(data, call.node.name)
            if call.container in (None, p["container"]) and _is_ray(p)
        ]
        order = {RAYLET: 0, GCS: 2}
        for process in sorted(mine, key=lambda p: order.get(p["kind"], 1)):
            processes.end(data, call.node.name, process["pid"], signal=9 if force else 15)
    if not mine:
        return say("Did not find any active Ray processes.\n")
    return say(f"Stopped all {len(mine)} Ray processes.\n")


def _is_ray(process: dict[str, Any]) -> bool:
    return process["kind"] in (RAYLET, GCS) or process["argv"][0].startswith("ray::")
