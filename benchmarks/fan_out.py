# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # a script, run by its path
"""The same batches over ssh and as Ray tasks, on real Ray clusters of several sizes.

    python benchmarks/fan_out.py --ray PYTHON [--hosts 2,16,32] [--json FILE]

``PYTHON`` is an interpreter that has ray (``make lab`` installs one). Each host is a network namespace with a real sshd
and a raylet of one CPU, all on this machine. By turns: a batch of one short query, and the pings of section 5.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import contenders
import namespaces
import script
from compare import by_turns
from hosts import DEVICES, Bench, bench

from hakuna.evidence import Batch, Command
from hakuna.inventory import load
from hakuna.inventory.model import Engine, Inventory
from hakuna.probes import hccn, hccn_pings
from hakuna.stages.fan_out import FanOutTransport
from hakuna.transports.ssh import SshTransport
from hakuna.transports.ways import FanOut

START = ("--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats")
REPEAT = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ray", type=Path, required=True)
    parser.add_argument("--hosts", default="2,16,32")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not namespaces.available():
        raise RuntimeError("raylets on one machine need network namespaces: run it as root")
    found = {}
    for size in map(int, options.hosts.split(",")):
        # A short name: Ray's sockets lie beneath it, and the path of a socket has at most 107 bytes.
        with tempfile.TemporaryDirectory(prefix="hb-") as folder, bench(Path(folder) / "b", size) as made:
            found[f"{size} hosts"] = measure(made, options.ray.absolute())
        sys.stderr.write(json.dumps({size: found[f"{size} hosts"]}) + "\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def measure(made: Bench, python: Path) -> dict[str, float]:
    """Seconds of each batch by each way."""
    wrapper = made.folder / "bin" / "python3"  # what the head finds is the one that has ray
    wrapper.write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    wrapper.chmod(0o755)
    inventory = addressed(load(contenders.inventory(made)).inventory, made)
    ssh = SshTransport(inventory)
    heard: list[str] = []
    ray = FanOutTransport(ssh, inventory, FanOut.RAY, heard.append)
    with raylets(ssh, inventory, made, python.parent / "ray"):
        ways: dict[str, Callable[[], None]] = {}
        for what, batches in {"one query": queries(inventory), "64 pings": pings(inventory, made)}.items():
            ways[f"{what}, ssh"] = partial(send, ssh, batches)
            ways[f"{what}, Ray"] = partial(send, ray, batches)
        times = by_turns(ways, REPEAT)
    ssh.close()
    strays = {h for h in heard if f"{len(inventory.nodes)} nodes asked as Ray tasks" not in h or "over ssh" in h}
    if strays:
        raise RuntimeError(f"not everything went as Ray tasks: {strays}")
    return times


def addressed(inventory: Inventory, made: Bench) -> Inventory:
    """With the hosts' own addresses as node IPs, and without containers."""
    nodes = tuple(n.model_copy(update={"node_ip": h.address}) for n, h in zip(inventory.nodes, made.hosts, strict=True))
    container = inventory.container.model_copy(update={"engine": Engine.NONE})
    return inventory.model_copy(update={"nodes": nodes, "container": container})


def send(transport: SshTransport | FanOutTransport, batches: dict[str, Batch]) -> None:
    """Carry one batch to each host; all of it must be answered."""
    for node, answer in transport.run("bench", batches).items():
        if answer.trouble or not all(o.ok for o in answer.outcomes.values()):
            raise RuntimeError(f"{node}: {answer}")


def queries(inventory: Inventory) -> dict[str, Batch]:
    one = Command("true", ("true",), query=True)
    return {n.name: Batch((replace(one, bare=one),)) for n in inventory.nodes}


def pings(inventory: Inventory, made: Bench) -> dict[str, Batch]:
    batches = {}
    for node, host in zip(inventory.nodes, made.hosts, strict=True):
        ips = [made.next(host).device_ip(j) for j in range(DEVICES)]
        lanes = (hccn.pings(i, ips) for i in node.device_ids)
        batches[node.name] = Batch(tuple(hccn_pings.as_ray_task(replace(c, sudo=False)) for c in lanes))
    return batches


@contextlib.contextmanager
def raylets(ssh: SshTransport, inventory: Inventory, made: Bench, ray: Path) -> Iterator[None]:
    """Ray on all hosts; at the end whatever is left in the hosts' networks is killed."""
    head = inventory.head_node
    address = f"{head.node_ip}:6379"
    # What a task of Ray finds is what Ray was started with.
    env = {"PATH": f"{made.folder / 'bin'}:{ray.parent}:/usr/bin:/bin"}

    def start(node_ip: str, *words: str) -> Batch:
        argv = (str(ray), "start", f"--node-ip-address={node_ip}", *words, *START)
        return Batch((Command("ray", argv, env=env, deadline=300.0),))

    try:
        own = ("--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={made.folder / 'r'}")
        send(ssh, {head.name: start(head.node_ip, *own)})
        for node in inventory.workers:  # one after the other: Ray gives a raylet 30 s, and all share this machine
            send(ssh, {node.name: start(node.node_ip, f"--address={address}")})
        time.sleep(5)  # their agents start; nothing tells when they are done
        yield
    finally:
        namespaces.clear(made.pids)


if __name__ == "__main__":
    script.finish(main)
