# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from hakuna.inventory.model import Inventory, Node, Ray
from hakuna.probes import collective, ray
from hakuna.probes.reading import UnparsedError

SAMPLES = Path(__file__).parent / "samples"
NODES = tuple(Node(name=n, address=n, node_ip=f"10.0.0.{i}") for i, n in enumerate("ab", start=1))
ENV = {"HCCL_IF_IP": "10.0.0.1", "HAKUNA_RUN": "r"}


def test_head_and_workers_start_as_the_guide_says():
    inventory = Inventory(nodes=NODES)
    head = ray.start_head(inventory, NODES[0], ENV)
    assert head.argv == ("ray", "start", "--head", "--port=6379", "--node-ip-address=10.0.0.1")
    assert head.env == {"SPT_NOENV": "1", **ENV}  # or Ray's agents write their title over the label
    assert head.mutates
    worker = ray.start_worker(inventory, NODES[1], ENV)
    assert worker.argv == ("ray", "start", "--address=10.0.0.1:6379", "--node-ip-address=10.0.0.2")
    assert (ray.status().argv, ray.stop().argv) == (("ray", "status"), ("ray", "stop"))
    assert ray.nodes(inventory).env == {"RAY_ADDRESS": "10.0.0.1:6379"}


def test_resources_and_ipv6():
    node = Node(name="a", address="a", node_ip="fd00::1", device_ids=(0, 1))
    inventory = Inventory(
        nodes=(node,), ray=Ray(port=7000, npu_resource=True, resources={"x": 2}, object_store_memory=9)
    )
    words = ray.start_worker(inventory, node, {}).argv
    assert "--address=[fd00::1]:7000" in words
    assert "--object-store-memory=9" in words
    resources = next(w for w in words if w.startswith("--resources="))
    assert json.loads(resources.partition("=")[2]) == {"NPU": 2, "x": 2}


def test_the_newest_form_of_ray_status():
    status = ray.parse_status((SAMPLES / "ray_status_2_60.txt").read_text(encoding="utf-8"))
    assert (status.ready, status.active) == (True, 2)  # an idle node is alive
    assert status.resources["NPU"] == (0.16, 16.0)
    assert status.resources["memory"] == (0.0, 46.09 * 2**30)
    assert status.pending == ("10.0.0.3: ray.worker.default, setting-up",)
    assert status.failures == ("ray.worker.default: NodeTerminated (ip: 10.0.0.4)",)
    assert status.demands == ("{'NPU': 1.0} * 16 (PACK): 1+ pending placement groups",)


@pytest.mark.parametrize(
    "text",
    [
        "No cluster status. It may take a few seconds for the Ray internal services to start up.",
        "ConnectionError: Could not find any running Ray instance. Please specify the one to connect to by setting `--address`",
    ],
)
def test_no_status_is_told_and_not_counted(text):
    status = ray.parse_status(text)
    assert (status.ready, status.active, status.detail) == (False, 0, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "Active:\n one node_1\nPending:\n (no pending nodes)\nUsage:\n 0.0/1.0 CPU\n",
        "Active:\n 1 node_1\nUsage:\n lots of CPU\n",
    ],
)
def test_a_status_that_is_none_is_refused(text):
    with pytest.raises(UnparsedError):
        ray.parse_status(text)


@pytest.mark.parametrize(
    "words",
    [
        "RuntimeError: Version mismatch: The cluster was started with:\n    Ray: 2.46.0\n    Python: 3.11.10",
        "ConnectionError: Ray is trying to start at 10.0.0.1:6379, but is already running at 10.0.0.1:6379.",
        "Exception: The current node timed out during startup.",
    ],
)
def test_a_start_that_failed_says_why(words):
    started = ray.parse_start(f"Local node IP: 10.0.0.2\nTraceback (most recent call last):\n{words}\n")
    assert (started.ok, started.node_ip) == (False, "10.0.0.2")
    assert words.split("\n")[0].partition(": ")[2][:20] in started.message


def test_a_start_that_says_nothing_is_no_fact():
    with pytest.raises(UnparsedError):
        ray.parse_start("Local node IP: 10.0.0.2\n")


def test_members():
    node = {"id": "0e5c", "alive": True, "address": "10.0.0.1", "hostname": "a", "resources": {"NPU": 8.0, "CPU": 192}}
    document = {"ray": "2.46.0", "python": "3.11.10", "gcs": "10.0.0.1:6379", "nodes": [node]}
    cluster = ray.parse_nodes("2026 INFO worker.py -- Connecting\n" + json.dumps(document) + "\n")
    assert (cluster.ray, cluster.gcs, cluster.error) == ("2.46.0", "10.0.0.1:6379", "")
    assert cluster.nodes[0] == ray.RayNode("0e5c", True, "10.0.0.1", "a", {"NPU": 8.0, "CPU": 192.0})
    assert ray.parse_nodes('{"error": "ConnectionError: no cluster"}') == ray.RayCluster(
        error="ConnectionError: no cluster"
    )
    for bad in ("", "{}", '{"ray": "2", "python": "3", "gcs": "x", "nodes": [{}]}', '{"nodes": 3}'):
        with pytest.raises(UnparsedError):
            ray.parse_nodes(bad)


def test_collective():
    command = collective.collective((8, 65536), 16, {"HAKUNA_RUN": "r"})
    assert (command.id, command.argv[0], command.argv[3:]) == (
        "collective",
        "python3",
        ("hakuna-collective", "8", "65536"),
    )
    document = {
        "backend": "hccl",
        "world_size": 2,
        "ranks": [{"rank": 0, "node_ip": "10.0.0.1", "device": 0}, {"rank": 1, "node_ip": "10.0.0.2", "device": 0}],
        "rounds": [{"bytes": 8, "seconds": 0.5, "gbps": 0.1, "wrong_ranks": [1]}],
    }
    result = collective.parse_collective("noise\n" + json.dumps(document))
    assert result.ranks[1] == collective.Rank(1, "10.0.0.2", 0)
    assert result.rounds == (collective.Round(8, 0.5, 0.1, (1,)),)
    assert collective.parse_collective('{"error": "RuntimeError: no NPU"}').error == "RuntimeError: no NPU"
    broken = collective.parse_collective(json.dumps({**document, "error": "it broke", "failed_rank": 1}))
    assert (broken.error, broken.place(broken.failed_rank)) == ("it broke", collective.Rank(1, "10.0.0.2", 0))
    assert result.place(result.failed_rank) is None
    with pytest.raises(UnparsedError):
        collective.parse_collective('{"backend": "hccl"}')
