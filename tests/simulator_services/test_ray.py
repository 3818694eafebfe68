# SPDX-License-Identifier: Apache-2.0
"""The simulated Ray in the words of the real one, read back with the parsers that read the real one."""

from __future__ import annotations

import json
import re

import pytest

from hakuna.probes.ray import parse_nodes, parse_start, parse_status

NOSET = "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES"


def nodes(cluster, **more):
    return json.loads(cluster.run("python3", "-c", "text", "hakuna-ray-nodes", **more).stdout)


def test_the_version(cluster):
    assert cluster(ray_version="2.47.1").text("ray", "--version") == "ray, version 2.47.1\n"


def test_a_head_starts(cluster):
    one = cluster()
    result = one.start_ray()[0]
    assert result.exit_code == 0
    said = result.stdout.decode()
    assert "Local node IP: 10.0.0.1\n" in said
    assert "--------------------\nRay runtime started.\n--------------------\n" in said
    assert "ray start --address='10.0.0.1:6379'" in said
    started = parse_start(said)
    assert (started.ok, started.node_ip) == (True, "10.0.0.1")
    gcs, raylet = one.processes()
    assert gcs["argv"][0].endswith("/gcs_server")
    assert raylet["argv"][0].endswith("raylet/raylet")
    assert raylet["env"]["GLOO_SOCKET_IFNAME"] == "eth0"
    assert raylet["env"][NOSET] == "1"
    assert gcs["ports"] == [6379]


def test_workers_join(cluster):
    one = cluster(nodes=3)
    results = one.start_ray()
    assert [r.exit_code for r in results] == [0, 0, 0]
    assert all(parse_start(r.stdout.decode()).ok for r in results)
    found = parse_nodes(one.text("python3", "-c", "text", "hakuna-ray-nodes"))
    assert [n.address for n in found.nodes] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert all(n.alive and n.resources["NPU"] == 8.0 for n in found.nodes)
    assert (found.ray, found.gcs) == ("2.46.0", "10.0.0.1:6379")
    assert len({n.id for n in found.nodes}) == 3
    assert not one.processes("node-1", "gcs_server")


def test_status(cluster):
    one = cluster()
    one.start_ray()
    said = one.text("ray", "status")
    assert said.startswith("======== Autoscaler status: 20")
    assert len(re.findall(r"^ 1 node_[0-9a-f]{56}$", said, re.MULTILINE)) == 2
    assert "\nUsage:\n 0.0/384.0 CPU\n 0.0/16.0 NPU\n" in said
    assert parse_status(said) is not None
    assert one.text("ray", "status", node=one.workers[0]).count("node_") == 2, "workers can ask as well"


def test_newer_status_has_other_headings(cluster):
    one = cluster(ray_version="2.60.0")
    one.start_ray()
    said = one.text("ray", "status")
    assert "\nTotal Usage:\n" in said
    assert parse_status(said) is not None


def test_a_worker_without_a_head(cluster):
    one = cluster()
    result = one.run("ray", "start", "--address=10.0.0.1:6379", "--node-ip-address=10.0.0.2", node=one.workers[0])
    assert result.exit_code == 1
    words = result.stderr.decode()
    assert "Failed to connect to GCS at address 10.0.0.1:6379 within 5 seconds" in words
    assert "Unable to connect to GCS at 10.0.0.1:6379. Check that (1) Ray GCS with matching version" in words
    assert not parse_start((result.stdout + result.stderr).decode()).ok
    assert one.processes("node-1") == []


def test_status_and_nodes_without_a_cluster(cluster):
    one = cluster()
    result = one.run("ray", "status")
    assert result.exit_code == 1
    assert b"ConnectionError: Could not find any running Ray instance" in result.stderr
    answer = one.run("python3", "-c", "text", "hakuna-ray-nodes")
    assert answer.exit_code == 1
    assert "Could not find any running Ray" in json.loads(answer.stdout)["error"]
    asked = nodes(one, env={"RAY_ADDRESS": "10.0.0.1:6379"})
    assert "Failed to connect to GCS at address 10.0.0.1:6379" in asked["error"]


def test_a_head_that_is_there_already(cluster):
    one = cluster()
    one.start_ray()
    result = one.run("ray", "start", "--head", "--port=6379", "--node-ip-address=10.0.0.1")
    assert result.exit_code == 1
    assert b"is already running at 10.0.0.1:6379. Please specify a different port" in result.stderr
    assert len(one.processes(kind="gcs_server")) == 1


def test_a_port_that_somebody_has(cluster):
    one = cluster(faults=["port-taken@node-0"])
    result = one.run("ray", "start", "--head", "--port=6379", "--node-ip-address=10.0.0.1")
    assert result.exit_code == 1
    assert b"`Address already in use`" in result.stderr
    assert one.processes() == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("start",), 1, "`--address` is a required flag unless starting a head node with `--head`."),
        (("start", "--address=a:1", "--port=2"), 1, "should only be specified when starting head node"),
        (("start", "--head", "--resources=nope"), 1, "is not a valid JSON string"),
        (("start", "--nope"), 2, "unrecognized arguments: --nope"),
        (("frobnicate",), 2, "No such command 'frobnicate'"),
    ],
)
def test_wrong_arguments(cluster, words, code, said):
    one = cluster()
    result = one.run("ray", *words)
    assert result.exit_code == code
    assert said in result.stderr.decode()
    assert one.processes() == []


def test_given_resources_replace_what_was_found(cluster):
    one = cluster(faults=["npu-resource-zero@node-0"])
    one.run("ray", "start", "--head", "--port=6379", '--resources={"NPU": 8, "site": 1}')
    (node,) = nodes(one)["nodes"]
    assert (node["resources"]["NPU"], node["resources"]["site"]) == (8.0, 1.0)


def test_visible_devices_limit_what_is_found(cluster):
    one = cluster()
    one.run("ray", "start", "--head", env={"ASCEND_RT_VISIBLE_DEVICES": "0,1"})
    assert nodes(one)["nodes"][0]["resources"]["NPU"] == 2.0


def test_fault_npu_resource_zero(cluster):
    one = cluster(faults=["npu-resource-zero@node-1"])
    assert [r.exit_code for r in one.start_ray()] == [0, 0]
    assert [n["resources"].get("NPU") for n in nodes(one)["nodes"]] == [8.0, None]
    assert " 0.0/8.0 NPU\n" in one.text("ray", "status")


def test_fault_worker_missing(cluster):
    one = cluster(faults=["worker-missing@node-1"])
    assert [r.exit_code for r in one.start_ray()] == [0, 0], "ray start itself says that all is well"
    assert [n["address"] for n in nodes(one)["nodes"]] == ["10.0.0.1"]
    assert one.text("ray", "status").count("node_") == 1


def test_fault_variable_missing(cluster):
    one = cluster(faults=["variable-missing@node-1"])
    one.start_ray()
    assert NOSET in one.processes(kind="raylet")[0]["env"]
    (raylet,) = one.processes("node-1")
    assert NOSET not in raylet["env"]
    assert raylet["env"]["GLOO_SOCKET_IFNAME"] == "eth0"


def test_stop_ends_this_node_only(cluster):
    one = cluster()
    one.start_ray()
    assert one.text("ray", "stop", node=one.workers[0]) == "Stopped all 1 Ray processes.\n"
    assert one.processes("node-1") == []
    assert len(one.processes()) == 2
    assert one.text("ray", "stop", "--force") == "Stopped all 2 Ray processes.\n"
    assert one.text("ray", "stop") == "Did not find any active Ray processes.\n"


def test_stop_in_a_container_leaves_the_others(cluster):
    one = cluster()
    one.run("ray", "start", "--head", "--port=6379", container="mine")
    one.run("ray", "start", "--address=10.0.0.1:6379", container="yours")
    assert one.text("ray", "stop", container="yours") == "Stopped all 1 Ray processes.\n"
    assert {p["container"] for p in one.processes()} == {"mine"}


def test_two_ray_versions_do_not_mix(cluster):
    one = cluster()
    one.start_ray()
    with one.state.transaction() as data:
        for process in data["processes"]["node-0"].values():
            process["ray_version"] = "2.9.0"
    result = one.run("ray", "start", "--address=10.0.0.1:6379", node=one.workers[0])
    assert result.exit_code == 1
    assert b"RuntimeError: Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n" in result.stderr
