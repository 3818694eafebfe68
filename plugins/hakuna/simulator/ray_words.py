# SPDX-License-Identifier: Apache-2.0
"""What the simulated ``ray`` says at length: status reports, next steps, and its ways to fail."""

from __future__ import annotations

import re
import time

from hakuna.simulator.ray_cluster import SITE, RayCluster

_NEW_STATUS = (2, 47)


def next_steps(gcs: str) -> str:
    return (
        f"Next steps\n  To add another node to this Ray cluster, run\n    ray start --address='{gcs}'\n  \n"
        "  To connect to this Ray cluster:\n    import ray\n    ray.init()\n  \n"
        "  To submit a Ray job using the Ray Jobs CLI:\n    RAY_ADDRESS='http://127.0.0.1:8265' ray job submit "
        "--working-dir . -- python my_script.py\n  \n"
        "  See https://docs.ray.io/en/latest/cluster/running-applications/job-submission/index.html \n"
        "  for more information on submitting Ray jobs to the Ray cluster.\n  \n"
        "  To terminate the Ray runtime, run\n    ray stop\n  \n  To view the status of the cluster, use\n"
        "    ray status\n  \n  To monitor and debug Ray, view the dashboard at \n    127.0.0.1:8265\n  \n"
        "  If connection to the dashboard fails, check your firewall settings and network configuration.\n"
    )


def traceback(words: str) -> str:
    return (
        f'Traceback (most recent call last):\n  File "{SITE}/ray/scripts/scripts.py", line 1006, in start\n'
        f"    node = ray._private.node.Node(\n{words.rstrip()}\n"
    )


def port_in_use(port: int) -> str:
    return (
        "RuntimeError: Failed to start GCS.  Last 1 lines of error files:================\n"
        f"grpc_server.cc:141:  Check failed: server_ Failed to start the grpc server. The specified port is {port}. "
        "This means that Ray's core components will not be able to function correctly. If the server startup error "
        "message is `Address already in use`, it indicates the server fails to start because the port is already used "
        "by other processes (such as --node-manager-port, --object-manager-port, --gcs-server-port, and ports between "
        f"--min-worker-port, --max-worker-port). Try running sudo lsof -i :{port} to check if there are other "
        "processes listening to the port."
    )


def unreachable(address: str) -> str:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"[{stamp},000 E 1 1] gcs_rpc_client.h:179: Failed to connect to GCS at address {address} within 5 seconds.\n"
        f"{stamp},001\tWARNING utils.py:1591 -- Unable to connect to GCS at {address}. Check that (1) Ray GCS with "
        "matching version started successfully at the specified address, and (2) there is no firewall setting "
        "preventing access.\n"
        + traceback("ConnectionError: Could not read 'session_name' from GCS. Did GCS start successfully?")
    )


def status_text(cluster: RayCluster, version: str, pending: int = 0) -> str:
    """What ``ray status`` prints about a cluster; ``pending`` NPUs are asked for by a placement group."""
    line = "-" * 63
    now = time.time()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1_000_000):06d}"
    active = "".join(f" 1 node_{m.id}\n" for m in cluster.members) or " (no active nodes)\n"
    total: dict[str, float] = {}
    for member in cluster.members:
        for name, amount in member.resources.items():
            if not name.startswith(("node:", "accelerator_type:")):
                total[name] = total.get(name, 0.0) + amount
    used = sum(m.used for m in cluster.members)
    usage = "".join(f" {_amount(name, total[name], used)}\n" for name in sorted(total))
    demand = " (no resource demands)\n"
    if pending:
        demand = f" {{'NPU': 1.0}} * {pending} (PACK): 1+ pending placement groups\n"
    number = tuple(int(x) for x in re.findall(r"\d+", version)[:2])
    if number >= _NEW_STATUS:
        constraints = " (no request_resources() constraints)\n"
        tail = f"Total Usage:\n{usage}\nTotal Constraints:\n{constraints}Total Demands:\n{demand}"
    else:
        tail = f"Usage:\n{usage}\nDemands:\n{demand}"
    return (
        f"======== Autoscaler status: {stamp} ========\nNode status\n{line}\nActive:\n{active}Pending:\n"
        f" (no pending nodes)\nRecent failures:\n (no failures)\n\nResources\n{line}\n{tail}"
    )


def _amount(name: str, total: float, used: float) -> str:
    if "memory" in name:
        return f"0B/{total / 2**40:.2f}TiB {name}" if total >= 2**40 else f"0B/{total / 2**30:.2f}GiB {name}"
    if name == "NPU" and used:
        # LMDeploy's workers take 0.01 each of the placement group's bundles of 1.
        return f"{used * 0.01:g}/{total:.1f} NPU ({used * 0.01:g} used of {used:.1f} reserved in placement groups)"
    return f"0.0/{total:.1f} {name}"
