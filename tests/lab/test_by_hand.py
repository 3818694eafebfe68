# SPDX-License-Identifier: Apache-2.0
"""A cluster that somebody brought up with the guide's own commands, judged with --attach."""

from __future__ import annotations

import subprocess

import pytest
from lab.plan import INVENTORY, REPOSITORY, Plan
from lab_runs import Finding, environment, run

from hakuna.inventory import load
from hakuna.probes import containers
from lab import host as lab_host
from lab import machine

PLAN = Plan()
NOSET = "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES"


def on(lab, host, *words):
    return machine.run(lab.host(host).inside(*words))


def exports(inventory, node):
    return {
        "GLOO_SOCKET_IFNAME": node.interface,
        "TP_SOCKET_IFNAME": node.interface,
        "HCCL_IF_IP": node.node_ip,
        NOSET: "1",
        "ASCEND_RANK_TABLE_FILE_PATH": inventory.rank_table.path,
    }


def bring_up(lab, inventory, spoil):
    """Sections 1 to 3 of the guide; ``spoil`` changes the exports of the worker."""
    words = [str(REPOSITORY / ".venv/bin/hakuna"), "rank-table", "--inventory", str(INVENTORY)]
    table = subprocess.run(words, env=environment(), check=True, capture_output=True).stdout
    head = inventory.head_node
    for node in inventory.ordered_nodes:
        argv = list(containers.run(inventory, node, {}).argv)
        while "--label" in argv:
            at = argv.index("--label")
            del argv[at : at + 2]
        lab_host.put(lab.host(node.name), inventory.rank_table.path, table)
        on(lab, node.name, *argv)
        env = exports(inventory, node)
        if node is not head:
            spoil(env)
        lines = [f"export {name}={value}" for name, value in env.items()]
        where = "--head --port=6379" if node is head else f"--address={head.node_ip}:6379"
        more = f"--object-store-memory=100000000 --resources='{{\"NPU\": {len(node.device_ids)}}}'"
        lines.append(f"ray start {where} --node-ip-address={node.node_ip} {more}")
        on(lab, node.name, "docker", "exec", inventory.container.name, "bash", "-c", "\n".join(lines))


def take_down(lab, inventory):
    for node in inventory.nodes:
        on(lab, node.name, "sh", "-c", f"docker rm -f {inventory.container.name}; rm -rf /tmp/hakuna")


def wrong_ip(env):
    env["HCCL_IF_IP"] = PLAN.host_ip("lab-a")  # the head's


def no_noset(env):
    del env[NOSET]


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (lambda _env: None, ()),
        (wrong_ip, (Finding("RAY505", "lab-b"),)),
        (no_noset, (Finding("RAY505", "lab-b"),)),
    ],
    ids=["as-the-guide-says", "wrong-hccl-if-ip", "noset-missing"],
)
def test_a_cluster_made_by_hand_is_judged_as_it_is(lab, tmp_path, spoil, wanted):
    inventory = load(INVENTORY).inventory
    bring_up(lab, inventory, spoil)
    try:
        told = run(tmp_path, "--attach", "--until=ray")
    finally:
        take_down(lab, inventory)
    assert told.root_causes == wanted, told.output
    assert told.verdict == ("NOT READY" if wanted else "READY"), told.output
