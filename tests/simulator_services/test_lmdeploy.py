# SPDX-License-Identifier: Apache-2.0
"""Starting the simulated api_server: what it checks, what it says, what it leaves in the process lists."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from hakuna.simulator import lmdeploy_launch, processes
from hakuna.simulator.lmdeploy_options import without_secrets

SERVE = (
    "lmdeploy", "serve", "api_server", "/models/model", "--backend", "pytorch", "--device", "ascend",
    "--eager-mode", "--tp", "16",
)  # fmt: skip
LOG = "/tmp/hakuna/api_server.log"


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(cluster, path="/health", **more):
    until(lambda: listens(cluster.port()))
    return requests.request(more.pop("method", "GET"), f"http://127.0.0.1:{cluster.port()}{path}", timeout=5, **more)


@pytest.fixture
def ready(cluster):
    """A cluster on which Ray runs."""
    one = cluster()
    one.start_ray()
    return one


def test_a_server_comes_up(ready):
    pid = ready.serve("--log-level", "INFO")
    assert ask(ready).json()["status"] == "healthy"
    body = {"model": "/models/model", "prompt": "Hakuna Matata"}
    answer = ask(ready, "/v1/completions", method="POST", json=body).json()
    assert answer["choices"][0]["text"].endswith("(simulated LMDeploy 0.14.0)")
    (server,) = ready.processes(kind="api_server")
    assert server["pid"] == pid
    assert server["argv"][1].endswith("/bin/lmdeploy")
    assert server["argv"][2:] == [*SERVE[1:], "--log-level", "INFO"]
    assert server["env"]["HAKUNA_RUN"] == "run-1"
    for node in ("node-0", "node-1"):
        workers = ready.processes(node, "worker")
        assert [w["argv"] for w in workers] == [["ray::RayWorkerWrapper"]] * 8
        rows = ready.state.read()["npu_processes"][node]
        assert [(r["npu"], r["pid"]) for r in rows] == [(i, w["pid"]) for i, w in enumerate(workers)]
        assert all(r["memory_mb"] > 50_000 for r in rows)
    assert [w["rank"] for w in ready.processes("node-1", "worker")] == list(range(8, 16))


MILESTONES = (
    "Build <ray> executor.",
    "Init ray cluster.",
    "Connected to Ray cluster.",
    "Init ray workers.",
    "Init distributed environment by device.",
    "Init distributed process group.",
    "Warming up distribute environment, this might take long time, please waiting...",
    "Building Model.",
    "Updating configs.",
    "Warming up model.",
    "HINT:    Please open",
    "Application startup complete.",
    "Uvicorn running on http://0.0.0.0:23333 (Press CTRL+C to quit)",
)


def test_the_log_tells_the_stages(ready):
    ready.serve("--log-level", "INFO")
    ask(ready)
    log = ready.log()
    places = [log.index(words) for words in MILESTONES]
    assert places == sorted(places)
    assert log.count("HINT:    Please open") == 3
    assert '"GET /health HTTP/1.1" 200' in until(lambda: "GET /health" in ready.log() and ready.log())
    tail = ready.text("tail", "-c", "100", LOG)
    assert len(tail) == 100
    assert ready.log().endswith(tail.rstrip("\n") + "\n")


def test_without_a_log_level_only_warnings_are_written(ready):
    ready.serve()
    ask(ready)
    assert "Init ray workers." not in ready.log()
    assert "\n\n" not in ready.log()


def test_it_answers_only_when_it_has_loaded(cluster):
    one = cluster(load_seconds=600)
    one.start_ray()
    one.serve("--log-level", "INFO")
    until(lambda: "Init ray workers." in one.log())
    assert not listens(one.port())


def test_killing_it_takes_everything_away(ready):
    pid = ready.serve()
    ask(ready)
    (server,) = ready.processes(kind="api_server")
    port = ready.port()
    said = ready.text("sh", "-c", "x", "hakuna-kill", "run-1", "TERM", str(pid))
    assert said == f"killed {pid}\nkill-end\n"
    until(lambda: not processes.lives(server))
    assert not listens(port)
    assert ready.port() is None
    assert [p["kind"] for p in ready.processes()] == ["gcs_server", "raylet"]
    assert [p["kind"] for p in ready.processes("node-1")] == ["raylet"]
    assert not any(ready.state.read()["npu_processes"].values())
    assert "Uvicorn running" in ready.log(), "the log stays"


def test_a_server_that_ended_by_itself_is_noticed_by_the_next(ready):
    first = ready.serve()
    ask(ready)
    (server,) = ready.processes(kind="api_server")
    processes.end_real(server["real_pid"], server["real_start"])
    until(lambda: not processes.lives(server))
    second = ready.serve()
    assert second != first
    assert [p["pid"] for p in ready.processes(kind="api_server")] == [second]
    assert ask(ready).status_code == 200
    until(lambda: ready.log().count("Uvicorn running") == 2)  # the first one's log stands before that of the second


def test_the_port_is_taken(ready):
    ready.serve()
    ask(ready)
    ready.run("ray", "start", "--address=10.0.0.1:6379", "--node-ip-address=10.0.0.2", node=ready.workers[0])
    ready.run(*SERVE[:-1], "8", env=ready.write_table(), spawn_log="/tmp/second.log")
    log = (ready.head.file("/tmp/second.log") or b"").decode()
    assert "[Errno 98] error while attempting to bind on address ('0.0.0.0', 23333): address already in use" in log
    assert len(ready.processes(kind="api_server")) == 1


def test_a_literal_port_that_is_taken_on_this_machine(ready, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv(lmdeploy_launch.LITERAL_PORTS, "127.0.0.1")
        ready.serve("--server-port", str(port))
    assert "address already in use" in ready.log()
    assert ready.processes(kind="api_server") == []


def test_a_literal_port(ready, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    monkeypatch.setenv(lmdeploy_launch.LITERAL_PORTS, "1")
    ready.serve("--server-port", str(port))
    until(lambda: listens(port))
    assert ready.state.read()["listeners"]["node-0"] == {str(port): port}


# --- arguments --------------------------------------------------------------------------------------------------------


def test_the_version(cluster):
    assert cluster(lmdeploy_version="0.16.0").text("lmdeploy", "--version") == "0.16.0\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "npu"), "error: argument --device: invalid choice: 'npu' (choose from"),
        (("--tp", "x"), "error: argument --tp: invalid int value: 'x'"),
        (("--nope",), "error: unrecognized arguments: --nope"),
        (("--log-level", "LOUD"), "error: argument --log-level: invalid choice"),
        (("--num-gpu-blocks", "5"), "error: unrecognized arguments"),
    ],
)
def test_arguments_that_lmdeploy_refuses(ready, words, said):
    result = ready.run(*SERVE, *words)
    assert result.exit_code == 2
    assert said in result.stderr.decode()
    assert result.stderr.startswith(b"usage: lmdeploy serve api_server")
    pid = ready.serve(*words)
    assert said in ready.log()
    assert ready.text("sh", "-c", "x", "hakuna-alive", str(pid)) == "gone\n"


def test_underscores_are_dashes(ready):
    ready.serve(argv=tuple(w.replace("--eager-mode", "--eager_mode") for w in SERVE))
    assert ask(ready).status_code == 200


def test_newer_options_are_known_to_newer_releases(cluster):
    one = cluster(lmdeploy_version="0.18.0")
    one.start_ray()
    one.serve("--num-gpu-blocks", "5", "--model-name", "mine")
    assert ask(one, "/v1/models").json()["data"][0]["id"] == "mine"


def test_cuda_is_not_there(ready):
    result = ready.run("lmdeploy", "serve", "api_server", "/models/model")
    assert result.exit_code == 1
    assert b"No CUDA GPUs are available" in result.stderr


def test_a_missing_model(ready):
    ready.serve(argv=("lmdeploy", "serve", "api_server", "/nowhere", *SERVE[4:]))
    assert "OSError: /nowhere is not a local folder" in ready.log()
    assert ready.processes(kind="api_server") == []


# --- API key ----------------------------------------------------------------------------------------------------------


def secret_is_nowhere(cluster, secret):
    assert secret not in cluster.state.path.read_text()
    assert secret not in cluster.log()
    (server,) = cluster.processes(kind="api_server")
    assert secret.encode() not in Path(f"/proc/{server['real_pid']}/cmdline").read_bytes()


def test_a_key_on_the_command_line(ready):
    ready.serve("--api-keys", "s3cret")
    assert ask(ready, "/v1/models").status_code == 401
    assert ask(ready, "/v1/models", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    secret_is_nowhere(ready, "s3cret")


def test_a_key_from_standard_input(ready):
    argv = ("python3", "-c", "text", "hakuna-serve", *SERVE)
    ready.serve(argv=argv, stdin=b"s3cret\n")
    assert ask(ready, "/v1/models").status_code == 401
    assert ask(ready, "/v1/models", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    secret_is_nowhere(ready, "s3cret")
    (server,) = ready.processes(kind="api_server")
    assert server["argv"][3:] == ["hakuna-serve", *SERVE]


def test_no_key_on_standard_input(ready):
    ready.serve(argv=("python3", "-c", "text", "hakuna-serve", *SERVE))
    assert "no API key on stdin" in ready.log()


def test_keys_are_not_shown():
    words = ("serve", "--api-keys", "a", "b", "--tp", "2", "--api_keys=c")
    assert without_secrets(words) == ("serve", "--api-keys", "***", "***", "--tp", "2", "--api_keys=***")


# --- Ray and its NPUs -------------------------------------------------------------------------------------------------


def test_too_few_npus(ready):
    ready.serve("--log-level", "INFO", argv=(*SERVE[:-1], "17"))
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
    ask(ready)
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
        assert ask(one).status_code == 200


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
        assert ask(one).status_code == 200


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


# --- faults -----------------------------------------------------------------------------------------------------------


def test_fault_eager_missing(cluster):
    one = cluster(faults=["eager-missing"])
    one.start_ray()
    one.serve()
    (server,) = one.processes(kind="api_server")
    assert "--eager-mode" not in server["argv"]
    assert "--tp" in server["argv"]
    assert ask(one).status_code == 200


def test_fault_server_dies(cluster):
    one = cluster(faults=["server-dies"])
    one.start_ray()
    pid = one.serve()
    assert one.log().rstrip().endswith("RPCServerDeadError: PyTorch ZMQ engine process is not alive.")
    assert "RuntimeError: NPU out of memory" in one.log()
    assert one.text("sh", "-c", "x", "hakuna-alive", str(pid)) == "gone\n"
    assert one.processes(kind="worker") == []


def test_fault_server_never_ready(cluster):
    one = cluster(faults=["server-never-ready"])
    one.start_ray()
    pid = one.serve("--log-level", "INFO")
    assert one.log().rstrip().endswith("please waiting...")
    assert one.text("sh", "-c", "x", "hakuna-alive", str(pid)) == "alive\n"
    assert one.port() is None
    assert len(one.processes("node-1", "worker")) == 8
    one.text("sh", "-c", "x", "hakuna-kill", "run-1", "TERM", str(pid))
    assert one.processes("node-1", "worker") == []


def test_fault_garbage_generation(cluster):
    one = cluster(faults=["garbage-generation"])
    one.start_ray()
    one.serve()
    body = {"model": "/models/model", "prompt": "Hakuna Matata"}
    texts = [ask(one, "/v1/completions", method="POST", json=body).json()["choices"][0]["text"] for _ in range(2)]
    assert texts[0] != texts[1]
    assert "Hakuna" not in texts[0] + texts[1]


def test_nobody_waits_for_a_server_in_the_foreground(ready):
    result = ready.run(*SERVE, env=ready.write_table())
    assert result.timed_out
    assert ready.processes(kind="api_server") == []


def test_a_cluster_in_memory_takes_its_server_along(tmp_path):
    """Nobody else could end the server of a state that only one process has."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from conftest import Cluster\n"
        "one = Cluster(None); one.start_ray(); one.serve()\n"
        "(server,) = one.processes(kind='api_server')\n"
        "print(server['real_pid'], server['real_start'], one.head.state.read()['files']['node-0']['host'][sys.argv[2]][6:])\n"
    )
    words = [sys.executable, "-c", code, str(Path(__file__).parent), LOG]
    env = {"PYTHONPATH": str(Path(lmdeploy_launch.__file__).parents[2]), "TMPDIR": str(tmp_path)}
    pid, start, _ = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.split(" ", 2)
    until(lambda: processes.real_start(int(pid)) != int(start))
    assert not list(tmp_path.glob("hakuna-server-*.log"))
