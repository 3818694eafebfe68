# SPDX-License-Identifier: Apache-2.0
"""Starting the simulated api_server: what it checks, what it says, what it leaves in the process lists."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


@pytest.fixture
def ready(cluster):
    """A cluster on which Ray runs."""
    one = cluster()
    one.start_ray()
    return one


def test_a_server_comes_up(ready):
    pid = ready.serve("--log-level", "INFO")
    assert ready.ask().json()["status"] == "healthy"
    body = {"model": "/models/model", "prompt": "Hakuna Matata"}
    answer = ready.ask("/v1/completions", method="POST", json=body).json()
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
    ready.ask()
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
    ready.ask()
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
    ready.ask()
    (server,) = ready.processes(kind="api_server")
    port = ready.port()
    said = ready.text("sh", "-c", "x", "hakuna-kill", "run-1", "TERM", str(pid))
    assert said == f"killed {pid}\nkill-end\n"
    until(lambda: not processes.lives(server))
    until(lambda: not listens(port))  # its last thread closes the socket
    assert ready.port() is None
    assert [p["kind"] for p in ready.processes()] == ["gcs_server", "raylet"]
    assert [p["kind"] for p in ready.processes("node-1")] == ["raylet"]
    assert not any(ready.state.read()["npu_processes"].values())
    assert "Uvicorn running" in ready.log(), "the log stays"


def test_a_server_that_ended_by_itself_is_noticed_by_the_next(ready):
    first = ready.serve()
    ready.ask()
    (server,) = ready.processes(kind="api_server")
    processes.end_real(server["real_pid"], server["real_start"])
    until(lambda: not processes.lives(server))
    second = ready.serve()
    assert second != first
    assert [p["pid"] for p in ready.processes(kind="api_server")] == [second]
    assert ready.ask().status_code == 200
    until(lambda: ready.log().count("Uvicorn running") == 2)  # the first one's log stands before that of the second


def test_the_port_is_taken(ready):
    ready.serve()
    ready.ask()
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
    assert ready.ask().status_code == 200


def test_newer_options_are_known_to_newer_releases(cluster):
    one = cluster(lmdeploy_version="0.18.0")
    one.start_ray()
    one.serve("--num-gpu-blocks", "5", "--model-name", "mine")
    assert one.ask("/v1/models").json()["data"][0]["id"] == "mine"


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
    assert ready.ask("/v1/models").status_code == 401
    assert ready.ask("/v1/models", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    secret_is_nowhere(ready, "s3cret")


def test_a_key_from_standard_input(ready):
    argv = ("python3", "-c", "text", "hakuna-serve", *SERVE)
    ready.serve(argv=argv, stdin=b"s3cret\n")
    assert ready.ask("/v1/models").status_code == 401
    assert ready.ask("/v1/models", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    secret_is_nowhere(ready, "s3cret")
    (server,) = ready.processes(kind="api_server")
    assert server["argv"][3:] == ["hakuna-serve", *SERVE]


def test_no_key_on_standard_input(ready):
    ready.serve(argv=("python3", "-c", "text", "hakuna-serve", *SERVE))
    assert "no API key on stdin" in ready.log()


def test_keys_are_not_shown():
    words = ("serve", "--api-keys", "a", "b", "--tp", "2", "--api_keys=c")
    assert without_secrets(words) == ("serve", "--api-keys", "***", "***", "--tp", "2", "--api_keys=***")


# --- faults -----------------------------------------------------------------------------------------------------------


def test_fault_eager_missing(cluster):
    one = cluster(faults=["eager-missing"])
    one.start_ray()
    one.serve()
    (server,) = one.processes(kind="api_server")
    assert "--eager-mode" not in server["argv"]
    assert "--tp" in server["argv"]
    assert one.ask().status_code == 200


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
    texts = [one.ask("/v1/completions", method="POST", json=body).json()["choices"][0]["text"] for _ in range(2)]
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
