# SPDX-License-Identifier: Apache-2.0
"""Starts of the simulated api_server that meet too few NPUs, a wrong environment or a wrong rank table."""

from __future__ import annotations

import pytest


@pytest.fixture
def ready(cluster):
    """A cluster on which Ray runs."""
    one = cluster()
    one.start_ray()
    return one


# --- Ray and its NPUs -------------------------------------------------------------------------------------------------


def test_too_few_npus(ready):
    ready.serve("--log-level", "INFO", argv=(*ready.serve_words[:-1], "17"))
    log = ready.log()
    assert "The number of required NPUs exceeds the total number of available NPUs in the placement group." in log
    assert "Waiting for creating a placement group of specs for 10 seconds. specs=[{'NPU': 1.0, 'node:10.0.0.1'" in log
    assert "{'NPU': 1.0} * 17 (PACK): 1+ pending placement groups" in ready.text("ray", "status")
    assert len(ready.processes(kind="api_server")) == 1
    assert ready.processes(kind="worker") == []
    assert ready.port() is None


def test_the_npus_of_a_missing_worker_are_missed(cluster):
    one = cluster(faults=["worker-missing@node-1"])
    one.start_ray()
    one.serve()
    assert "exceeds the total number of available NPUs" in one.log()


def test_without_ray_it_sees_this_machine_only(cluster):
    one = cluster()
    one.serve()
    assert "exceeds the total number of available NPUs" in one.log()


def test_used_npus_show_in_the_status(ready):
    ready.serve()
    ready.ask()
    assert "0.16/16.0 NPU (0.16 used of 16.0 reserved in placement groups)" in ready.text("ray", "status")


def test_noset_missing(cluster):
    one = cluster(faults=["variable-missing@node-1"])
    one.start_ray()
    one.serve()
    log = one.log()
    assert "ip=10.0.0.2" in log
    assert "Invalid device ID" in log
    assert log.rstrip().endswith("RPCServerDeadError: PyTorch ZMQ engine process is not alive.")
    assert one.processes(kind="api_server") == []


# --- rank table -------------------------------------------------------------------------------------------------------


def servers(*ips, first=0, devices=8):
    return [
        {"server_id": ip, "device": [{"device_id": str(d), "rank_id": str(first + 8 * i + d)} for d in range(devices)]}
        for i, ip in enumerate(ips)
    ]


MISMATCH = "AssertionError: Master address does not match rank table"


@pytest.mark.parametrize(
    ("version", "table", "said"),
    [
        ("0.14.0", servers("node_0", "node_1"), MISMATCH),
        ("0.11.1", servers("node_0", "node_1"), MISMATCH),
        ("0.14.0", servers("10.0.0.2", "10.0.0.1"), MISMATCH),
        (
            "0.14.0",
            servers("10.0.0.1", "10.0.0.2", first=1),
            "ValueError: Rank ids are not contiguous starting from 0: [1",
        ),
        ("0.11.1", servers("10.0.0.1", "10.0.0.2", first=1), ""),
        ("0.14.0", servers("10.0.0.1"), "Rank table world_size is smaller than required ranks for current dp_rank."),
        (
            "0.11.1",
            servers("10.0.0.1"),
            "The length of the ips list does not match the workers, ips length: 8, workers length: 16",
        ),
        ("0.14.0", servers("10.0.0.1", "10.0.0.9"), "The IP addresses in the ips list do not match the worker IPs."),
        ("0.14.0", [], "IndexError: list index out of range"),
        ("0.14.0", servers("10.0.0.1", devices=0), "ValueError: Rank table contains no devices."),
        ("0.14.0", servers("10.0.0.1", "10.0.0.2"), ""),
        ("0.15.0", servers("node_0"), ""),
        ("0.18.0", [], ""),
    ],
)
def test_what_releases_make_of_a_table(cluster, version, table, said):
    one = cluster(lmdeploy_version=version)
    one.start_ray()
    one.serve(env=one.write_table(server_list=table))
    if said:
        assert said in one.log()
        assert one.port() is None
    else:
        assert one.ask().status_code == 200


def test_a_table_that_is_not_there_or_no_json(ready):
    env = ready.write_table()
    ready.serve(env={**env, "ASCEND_RANK_TABLE_FILE_PATH": "/nowhere.json"})
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere.json'" in ready.log()
    ready.head.write("/tmp/hakuna/rank_table.json", b"{oops")
    ready.serve(env=env)
    assert "json.decoder.JSONDecodeError: Expecting property name" in ready.log()


def test_a_failed_table_is_named_in_the_log(ready):
    ready.serve(env=ready.write_table(server_list=servers("node_0")))
    assert "ERROR - ray_executor.py:76 - Parse rank table file({" in ready.log()


@pytest.mark.parametrize(("version", "fails"), [("0.14.0", True), ("0.15.0", False)])
def test_no_table_on_two_nodes(cluster, version, fails):
    one = cluster(lmdeploy_version=version)
    one.start_ray()
    one.serve(env={k: v for k, v in one.write_table().items() if k != "ASCEND_RANK_TABLE_FILE_PATH"})
    if fails:
        assert "SetDevice(8)" in one.log()
    else:
        assert one.ask().status_code == 200


def test_old_releases_hang_when_their_engine_dies(cluster):
    one = cluster(lmdeploy_version="0.13.0")
    one.start_ray()
    pid = one.serve(env=one.write_table(server_list=servers("node_0")))
    assert MISMATCH in one.log()
    assert "RPCServerDeadError" not in one.log()
    assert one.text("sh", "-c", "x", "hakuna-alive", str(pid)) == "alive\n"
    assert one.port() is None


def test_forwarding_of_variables_to_the_workers(cluster):
    """From 0.15.0 the driver's HCCL_IF_IP reaches the workers of the other nodes, too: a known trap."""
    for version, expected in (("0.14.0", "10.0.0.2"), ("0.15.0", "10.0.0.1")):
        one = cluster(lmdeploy_version=version)
        for node in one.nodes:
            env = {**one.write_table(), "HCCL_IF_IP": node.model.node_ip}
            words = ("--head",) if node is one.head else ("--address=10.0.0.1:6379",)
            one.run("ray", "start", *words, f"--node-ip-address={node.model.node_ip}", node=node, env=env)
        one.serve(env={**one.write_table(), "HCCL_IF_IP": "10.0.0.1"})
        assert {w["env"]["HCCL_IF_IP"] for w in one.processes("node-1", "worker")} == {expected}
        one.close()
