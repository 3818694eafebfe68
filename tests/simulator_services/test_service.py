# SPDX-License-Identifier: Apache-2.0
"""The executables that stand on a real login's PATH, with the service behind them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import requests

from hakuna.simulator import lmdeploy_launch, processes
from hakuna.simulator.service import SimulatorService
from hakuna.simulator.shim import NAMES, install_shims

PLUGINS = Path(lmdeploy_launch.__file__).parents[2]
RAY = ("ray", "start", "--head", "--port=6379", "--node-ip-address=10.0.0.1")
SERVE = ("lmdeploy", "serve", "api_server", "/models/model", "--backend", "pytorch", "--device", "ascend", "--tp", "8")


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


@pytest.fixture
def short():
    """A folder with a short path: a unix socket's has to be."""
    folder = Path(tempfile.mkdtemp(prefix="hk-"))
    yield folder
    shutil.rmtree(folder)


class Login:
    """Runs commands as a login does whose PATH begins with the shims."""

    def __init__(self, one, folder):
        self.one = one
        self.folder = folder
        self.bin = folder / "bin"
        self.env = {"PATH": f"{self.bin}:/usr/bin:/bin", "HAKUNA_RUN": "run-1"}
        self.socket = folder / "s"
        install_shims(self.bin, self.socket)
        self.service = SimulatorService(one.spec, one.state, "node-0", self.socket)
        self.service.start()

    def run(self, *argv, **more):
        if "input" not in more:
            more.setdefault("stdin", subprocess.DEVNULL)
        env = {**self.env, **more.pop("env", {})}
        words = [str(self.bin / argv[0]), *argv[1:]]
        return subprocess.run(words, env=env, capture_output=True, timeout=20, check=False, **more)

    def close(self):
        self.service.stop()


@pytest.fixture
def login(cluster, short):
    made = Login(cluster(), short)
    yield made
    made.close()


def test_output_and_exit_code_come_through(login):
    answer = login.run("hccn_tool", "-i", "0", "-ip", "-g")
    assert (answer.returncode, answer.stdout) == (0, b"ipaddr:10.20.0.10\nnetmask:255.255.255.0\n")
    answer = login.run("ray", "status")
    assert answer.returncode == 1
    assert b"ConnectionError: Could not find any running Ray instance" in answer.stderr
    assert answer.stdout == b""


def test_a_large_output_comes_through_whole(login):
    login.one.head.write("/big", bytes(range(32, 127)) * 20_000)
    answer = login.run("cat", "/big")
    assert answer.stdout == bytes(range(32, 127)) * 20_000


def test_bytes_that_are_no_text_come_through(login):
    login.one.head.write("/odd", b"\xff\x00\xfe\n")
    assert login.run("cat", "/odd").stdout == b"\xff\x00\xfe\n"
    path = os.fsdecode(b"/no\xfftext")
    assert login.run("sh", "-c", "x", "hakuna-write", path, input=b"1").stdout == b"wrote /no\xfftext 1\n"


def test_a_simulator_that_fails_says_so(login, monkeypatch):
    def fail(*_args):
        raise RuntimeError("a bug")

    monkeypatch.setattr(login.service.node, "execute", fail)
    answer = login.run("uname", "-s")
    assert (answer.returncode, answer.stdout) == (70, b"")
    assert answer.stderr == b"hakuna: the simulated uname failed: RuntimeError('a bug')\n"


def test_environment_and_arguments_reach_the_node(login):
    answer = login.run(*RAY, env={"GLOO_SOCKET_IFNAME": "eth 0\n'x'"})
    assert answer.returncode == 0, answer.stderr
    raylet = login.one.processes(kind="raylet")[0]
    assert raylet["env"]["GLOO_SOCKET_IFNAME"] == "eth 0\n'x'"
    assert b"10.0.0.1" in login.run("python3", "-c", "text", "hakuna-ray-nodes").stdout


def test_scripts_get_their_standard_input(login):
    answer = login.run("sh", "-c", "text", "hakuna-write", "/tmp/x/file.json", input=b'{"a": 1}')
    assert answer.stdout == b"wrote /tmp/x/file.json 8\n"
    assert login.one.head.file("/tmp/x/file.json") == b'{"a": 1}'
    assert login.run("cat", "/tmp/x/file.json").stdout == b'{"a": 1}'


def test_nobody_else_reads_standard_input(login):
    with (login.folder / "script").open("w+b") as file:
        file.write(b"the rest of a script")
        file.seek(0)
        login.run("uname", "-s", stdin=file)
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0


def test_other_scripts_and_programs_are_the_machines_own(login):
    assert login.run("sh", "-c", "echo real $1", "x", "shell").stdout == b"real shell\n"
    assert login.run("sh", "-c", "exit 7").returncode == 7
    assert login.run("cat", input=b"through").stdout == b"through"


def test_files_of_the_machine_are_the_machines_own(login):
    log = login.folder / "real.log"
    log.write_bytes(b"0123456789")
    assert login.run("tail", "-c", "3", str(log)).stdout == b"789"
    assert login.run("cat", str(log)).stdout == b"0123456789"
    assert login.run("cat", "/nowhere/at/all").returncode == 1
    assert b"hccn" not in login.run("cat", "/etc/hccn.conf").stdout
    assert b"address_0=10.20.0.10" in login.run("cat", "/etc/hccn.conf").stdout


def test_a_container_can_be_used(cluster, short):
    login = Login(cluster(engine="docker"), short)
    try:
        image = login.one.inventory.container.image
        name = ("--name", "hk", "--privileged=true", "-v", "/models/model:/models/model")
        assert login.run("docker", "run", "-d", "-it", *name, image).returncode == 0
        inside = login.run("docker", "exec", "-e", "HCCL_IF_IP=10.0.0.1", "hk", *RAY)
        assert inside.returncode == 0, inside.stderr
        assert {p["container"] for p in login.one.processes()} == {"hk"}
        assert login.one.processes(kind="raylet")[0]["env"]["HCCL_IF_IP"] == "10.0.0.1"
    finally:
        login.close()


def start(login, *argv):
    """Start a command detached, with its output in a log, as the script of a batch does."""
    log = login.folder / "server.log"
    with log.open("ab") as file:
        env = {**login.env, "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES": "1"}
        words = [str(login.bin / argv[0]), *argv[1:]]
        return subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file), log


@pytest.fixture
def ray(login):
    login.run(*RAY, env={"RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES": "1"})
    return login


def test_a_server_stays_in_the_foreground_until_it_is_killed(ray):
    process, log = start(ray, *SERVE)
    with process:
        until(lambda: b"Uvicorn running" in log.read_bytes())
        assert process.poll() is None
        (server,) = ray.one.processes(kind="api_server")
        assert server["pid"] == process.pid, "the pid that the script saw is the server's"
        url = f"http://127.0.0.1:{ray.one.port()}/health"
        assert requests.get(url, timeout=5).status_code == 200
        assert b"GET /health" in ray.run("tail", "-c", "500", str(log)).stdout
        assert ray.run("sh", "-c", "x", "hakuna-alive", str(process.pid)).stdout == b"alive\n"
        killed = ray.run("sh", "-c", "x", "hakuna-kill", "run-1", "TERM", str(process.pid))
        assert killed.stdout == f"killed {process.pid}\nkill-end\n".encode()
        assert process.wait(10) == 0
        assert not processes.lives(server)
    assert ray.one.processes(kind="worker") == []


def test_a_server_ends_with_its_client(ray):
    process, log = start(ray, *SERVE)
    with process:
        until(lambda: b"Uvicorn running" in log.read_bytes())
        (server,) = ray.one.processes(kind="api_server")
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    until(lambda: not ray.one.processes(kind="api_server"))
    until(lambda: not processes.lives(server))


def test_a_server_that_fails_says_so_and_ends(ray):
    process, log = start(ray, *SERVE[:-4], "--device", "npu")
    with process:
        assert process.wait(10) == 2
    assert b"invalid choice: 'npu'" in log.read_bytes()


def test_a_server_that_never_gets_ready_stays(ray):
    process, log = start(ray, *SERVE[:-1], "64")
    with process:
        until(lambda: b"exceeds the total number of available NPUs" in log.read_bytes())
        assert process.poll() is None
        ray.run("sh", "-c", "x", "hakuna-kill", "run-1", "TERM", str(process.pid))
        assert process.wait(10) == 0


def test_a_tool_that_hangs_is_ended_by_its_caller(cluster, short):
    login = Login(cluster(faults=["hung-tool@node-0/0"]), short)
    try:
        process, _ = start(login, "hccn_tool", "-i", "0", "-tls", "-g")
        with process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.2)
            process.terminate()
            assert process.wait(10) == -signal.SIGTERM
    finally:
        login.close()


def test_the_servers_log_can_be_removed(cluster, short):
    one = cluster()
    log = short / "api_server.log"
    server = one.inventory.server.model_copy(update={"log": str(log)})
    one.spec.inventory = one.inventory.model_copy(update={"server": server})
    login = Login(one, short)
    try:
        log.write_text("said")
        other = short / "other"
        other.write_text("mine")
        answer = login.run("sh", "-c", "x", "hakuna-remove", str(log), str(other))
        assert answer.stdout.splitlines()[0] == f"removed {log}".encode()
        assert not log.exists()
        assert other.exists(), "nothing else of the machine is touched"
    finally:
        login.close()


def test_without_its_service_a_tool_says_so(short):
    install_shims(short / "bin", short / "s")
    answer = subprocess.run([short / "bin" / "hccn_tool"], capture_output=True, check=False)
    assert answer.returncode == 126
    assert b"the simulated node is gone" in answer.stderr


def test_the_folder_holds_every_tool(short):
    assert install_shims(short / "bin", short / "s") == NAMES
    install_shims(short / "bin", short / "s")  # again: a second installation replaces the first
    assert {p.name for p in (short / "bin").iterdir()} == {*NAMES, ".hakuna-shim"}
    with pytest.raises(ValueError, match="longer than 107"):
        install_shims(short / "bin", Path("/" + "x" * 120))
    with pytest.raises(ValueError, match="not a path"):
        install_shims(short / "bin", Path('/a"b'))


def test_the_service_as_a_process(short):
    inventory = short / "inventory.yaml"
    inventory.write_text(
        "transport: simulated\nnodes:\n"
        "  - {name: node-0, address: 10.0.0.1, node_ip: 10.0.0.1}\n"
        "  - {name: node-1, address: 10.0.0.2, node_ip: 10.0.0.2}\n"
        "container: {engine: none}\n"
    )
    words = [
        "--inventory",
        str(inventory),
        "--node",
        "node-1",
        "--state",
        str(short / "state"),
        "--socket",
        str(short / "s"),
    ]
    env = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    command = [sys.executable, "-m", "hakuna.simulator.service", *words, "--fault", "tls-differs@node-1/2"]
    install_shims(short / "bin", short / "s")
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        answer = subprocess.run([short / "bin" / "hccn_tool", "-i", "2", "-tls", "-g"], capture_output=True, check=True)
        assert b"tls switch[1]" in answer.stdout
        assert subprocess.run([short / "bin" / "hostname"], capture_output=True, check=True).stdout == b"node-1\n"
        process.terminate()
        assert process.wait(10) == 0
    assert not (short / "s").exists()
