# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # beside the scripts that use it
"""The ways to run the guide's section 5 on many hosts, each as a process that is timed from start to end."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hosts import Bench

HERE = Path(__file__).parent


def run(argv: list[str], folder: Path, ends: tuple[int, ...] = (0,), **env: str) -> None:
    """Run one process to its end.

    Raises:
        RuntimeError: it ended with none of ``ends``.
    """
    done = subprocess.run(argv, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode not in ends:
        raise RuntimeError(f"{shlex.join(argv[:4])} ...: {done.stdout[-800:]}{done.stderr[-800:]}")


def floor(bench: Bench) -> None:
    """One script per host, all hosts at once, plain OpenSSH. The devices side by side, as Hakuna has them."""
    running = []
    for host in bench.hosts:
        calls = bench.calls(host)
        lanes = [[shlex.join(c) for c in calls if c[2] == str(i)] for i in range(8)]
        script = "".join("{ " + "; ".join(lane) + "; } &\n" for lane in lanes) + "wait\n"
        running.append(_ssh_script(bench, host.address, script))
    _finish(running)


def one_by_one(bench: Bench) -> None:
    """One script per host, all hosts at once, each with one call after the other."""
    texts = {h: "".join(shlex.join(c) + "\n" for c in bench.calls(h)) for h in bench.hosts}
    _finish([_ssh_script(bench, host.address, text) for host, text in texts.items()])


def _ssh_script(bench: Bench, address: str, script: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        ["ssh", "-F", str(bench.ssh_config), address, "/bin/sh -s"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if process.stdin is not None:
        process.stdin.write(script.encode())
        process.stdin.close()
    return process


def _finish(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        said = process.stderr.read() if process.stderr else b""
        if process.wait():
            raise RuntimeError(f"ssh: {said.decode('utf-8', 'replace')[-500:]}")


def loops(bench: Bench, share: int = 1) -> None:
    """The guide's loops as typed: one ssh per command, host after host. ``share`` 8: the first device's part only."""
    for host in bench.hosts:
        for call in bench.calls(host):
            if share == 1 or call[2] == "0":
                run(["ssh", "-F", str(bench.ssh_config), host.address, shlex.join(call)], bench.folder)


def hakuna(bench: Bench) -> None:
    """Hakuna's commands, transport and parsers, in a process of their own."""
    run([sys.executable, str(HERE / "section5.py"), str(inventory(bench))], bench.folder)


def whole(bench: Bench) -> None:
    """The command that a user types, up to the network: every check of the hosts as well. Such hosts are not READY."""
    words = [f"--inventory={inventory(bench)}", "--until=network", f"--reports={bench.folder / 'reports'}", "-q"]
    run([sys.executable, "-m", "pytest", *words], HERE.parent, ends=(0, 1))


def first_command(bench: Bench) -> float:
    """Seconds from pytest's start until its first batch goes out: the stage of the hosts begins."""
    begun = time.time()
    whole(bench)
    journal = max((bench.folder / "reports").glob("*/journal.jsonl"), key=lambda p: p.stat().st_mtime)
    events = map(json.loads, journal.read_text("utf-8").splitlines())
    return next(e["at"] for e in events if e["event"] == "stage" and e["stage"] == "host") - begun


def with_one_dead(bench: Bench) -> None:
    """The same, where the last host does not answer."""
    run([sys.executable, str(HERE / "section5.py"), str(inventory(bench)), "dead"], bench.folder)


def start(bench: Bench) -> None:
    """The part of Hakuna's time before the first connection: Python, imports, the inventory."""
    run([sys.executable, str(HERE / "section5.py"), str(inventory(bench)), "start"], bench.folder)


def inventory(bench: Bench) -> Path:
    """An inventory of the benchmark's hosts. Only their addresses are ever contacted."""
    ssh = f"{{port: {bench.port}, key: {bench.key}, known_hosts: {bench.folder / 'known_hosts'}}}"
    rows = "".join(
        f"  - {{name: {h.name}, address: {h.address}, node_ip: 192.0.2.{h.number}, interface: lo, ssh: {ssh}}}\n"
        for h in bench.hosts
    )
    path = bench.folder / "inventory.yaml"
    path.write_text(f"cluster: bench\nnodes:\n{rows}")
    return path


def testinfra(bench: Bench, venv: Path, backend: str) -> None:
    """pytest-testinfra: one test per call and host, as its users write them."""
    calls = {h.address: [shlex.join(c) for c in bench.calls(h)] for h in bench.hosts}
    (bench.folder / "test_section5.py").write_text(
        "import json, pytest\n"
        f"CALLS = json.loads({json.dumps(json.dumps(calls))})\n"
        "@pytest.mark.parametrize('number', range(len(next(iter(CALLS.values())))))\n"
        "def test_call(host, number):\n"
        "    name = host.backend.get_pytest_id().partition('://')[2].partition(':')[0]\n"
        "    done = host.run(CALLS[name][number])\n"
        "    assert done.rc == 0 and done.stdout\n"
    )
    hosts = ",".join(
        f"{backend}://{h.address}:{bench.port}" if backend == "ssh" else f"paramiko://{h.address}" for h in bench.hosts
    )
    argv = [str(venv / "bin" / "pytest"), "-q", "-p", "no:cacheprovider", f"--hosts={hosts}"]
    run([*argv, f"--ssh-config={bench.ssh_config}", "test_section5.py"], bench.folder)


def ansible(bench: Bench, venv: Path) -> None:
    """ansible-playbook: one task per call, all hosts in each, with ssh's ControlPersist as it comes."""
    count = len(bench.calls(bench.hosts[0]))
    tasks = [{"ansible.builtin.command": f"{{{{ calls[{n}] }}}}", "changed_when": False} for n in range(count)]
    hosts = {h.address: {"calls": [shlex.join(c) for c in bench.calls(h)]} for h in bench.hosts}
    common = {
        "ansible_ssh_common_args": f"-F {bench.ssh_config}",
        "ansible_python_interpreter": sys.executable,
    }
    (bench.folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
    (bench.folder / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    argv = [str(venv / "bin" / "ansible-playbook"), "-i", "hosts.json", "play.json"]
    run(argv, bench.folder, ANSIBLE_HOME=str(bench.folder / "ansible"))


def timed(what: Callable[[], None]) -> float:
    """Seconds that it takes."""
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun
