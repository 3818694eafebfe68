# SPDX-License-Identifier: Apache-2.0
"""Simulated processes, and the real ones that some stand for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hakuna.simulator import processes
from hakuna.simulator.state import section


def script(node, name, *args, container=None):
    return node.execute(("sh", "-c", "TEXT", name, *args), container=container).stdout.decode()


@pytest.fixture
def sleeper():
    """A real process that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.stdin.close()
    process.wait()


@pytest.fixture
def node(cluster):
    return cluster()["node-b"]


def begin(node, *argv, run="r1", **more):
    env = {"HAKUNA_RUN": run, "GLOO_SOCKET_IFNAME": "eth0", "SECRET_HOME": "x", "RAY_API_TOKEN": "t", "PATH": "/bin"}
    with node.state.transaction() as data:
        return processes.start(data, node.name, argv, env, **more)


def test_processes_are_found_by_arguments_and_label(node):
    pid = begin(node, "lmdeploy", "serve", "api_server\n/models")
    other = begin(node, "raylet/raylet", run="r2", container="c1")
    rows = script(node, "hakuna-procs", "api_server").splitlines()
    assert rows == [
        f"process {pid} {100000 + 7 * pid} 1",
        "arg lmdeploy",
        "arg serve",
        "arg api_server /models",
        "env HAKUNA_RUN=r1",
        "env GLOO_SOCKET_IFNAME=eth0",
        "limit nofile 655350",
        "end",
        "procs-end 1",
    ]
    assert script(node, "hakuna-procs", "HAKUNA_RUN=").endswith("procs-end 2\n")
    assert f"process {other} " in script(node, "hakuna-procs", "HAKUNA_RUN=r2")
    assert script(node, "hakuna-procs", "HAKUNA_RUN=r3") == "procs-end 0\n"
    inside = script(node, "hakuna-procs", "HAKUNA_RUN=", container="c1")
    assert inside.endswith("procs-end 1\n")
    assert "limit nofile 1048576" in inside


def test_only_what_carries_the_label_is_ended(node):
    mine, theirs = begin(node, "a"), begin(node, "b", run="r2")
    said = script(node, "hakuna-kill", "r1", "TERM", str(mine), str(theirs), "999999").splitlines()
    assert said == [f"killed {mine}", f"foreign {theirs}", "gone 999999", "kill-end"]
    assert script(node, "hakuna-alive", str(mine)) == "gone\n"
    assert script(node, "hakuna-alive", str(theirs)) == "alive\n"


def test_what_hangs_on_a_process_goes_with_it(node):
    worker = begin(node, "ray::RayWorkerWrapper")
    server = begin(node, "api_server", ports=(23333,), dependents=[["node-b", worker]])
    with node.state.transaction() as data:
        section(data, "listeners", "node-b")["23333"] = 1
        section(data, "npu_processes", "node-b").append({"npu": 0, "pid": worker, "name": "w", "memory_mb": 1})
    assert (
        f'users:(("api_server",pid={server},fd=6))'
        in node.execute(("ss", "-H", "-l", "-t", "-n", "-p")).stdout.decode()
    )
    script(node, "hakuna-kill", "r1", "TERM", str(server))
    data = node.state.read()
    assert data["listeners"]["node-b"] == {}
    assert data["npu_processes"]["node-b"] == []
    assert data["processes"]["node-b"] == {}


def test_the_real_process_is_ended_with_it(node, sleeper):
    pid = begin(node, "api_server", real_pid=sleeper.pid, real_start=processes.real_start(sleeper.pid))
    assert script(node, "hakuna-alive", str(pid)) == "alive\n"
    script(node, "hakuna-kill", "r1", "TERM", str(pid))
    assert sleeper.wait(10) == -15


def test_a_pid_that_was_given_to_somebody_else_is_left_alone(node, sleeper):
    start = processes.real_start(sleeper.pid)
    assert not processes.end_real(sleeper.pid, start + 1)
    assert sleeper.poll() is None
    assert processes.end_real(sleeper.pid, start)
    sleeper.wait(10)
    assert not processes.end_real(sleeper.pid, start)


def test_a_process_ends_when_the_real_one_does(node, sleeper):
    pid = begin(node, "api_server", real_pid=sleeper.pid, real_start=processes.real_start(sleeper.pid))
    sleeper.kill()
    sleeper.wait(10)
    assert script(node, "hakuna-alive", str(pid)) == "gone\n"
    assert script(node, "hakuna-procs", "api_server") == "procs-end 0\n"
