# SPDX-License-Identifier: Apache-2.0
"""One host of the lab: its namespaces, its files, its daemons."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hakuna.inventory import load
from hakuna.simulator import shim_script
from hakuna.simulator.cluster import MODEL_FILES, ClusterSpec
from hakuna.simulator.files import CANN_INFO, DRIVER_INFO, FIRMWARE_INFO
from hakuna.simulator.node import SimNode
from hakuna.simulator.state import ClusterState
from lab.machine import LabError, Process, run, wait_for
from lab.plan import CACHE, DEVICES_MASK, FOLDER, IN_HOST, INVENTORY, MARK, MODEL, REPOSITORY, Plan

SOCKET = "/usr/local/Ascend/driver/.lab.sock"
TOOLS = ("/usr/local/Ascend/driver/tools/hccn_tool", "/usr/local/sbin/npu-smi")
SSHD_CONFIG = f"{IN_HOST}/sshd_config"
#: The guide's mounts that are files or folders no lab host has by itself.
_FOLDERS = (
    "/usr/local/Ascend/add-ons",
    "/usr/log/npu/conf/slog",
    "/var/log/npu/slog",
    "/var/log/npu/profiling",
    "/var/log/npu/dump",
    "/lib/modules",
    "/models",
)


def start(plan: Plan, host: str) -> Process:
    """The host's process 1, in namespaces of its own; it has no network yet."""
    folder = FOLDER / "hosts" / host
    folder.mkdir(parents=True, exist_ok=True)
    unshare = [
        "env",
        MARK,
        "unshare",
        "--fork",
        "--pid",
        "--mount",
        "--uts",
        "--net",
        "--ipc",
        "--propagation",
        "private",
    ]
    init = ["/usr/bin/python3", "-IS", str(Path(__file__).with_name("init.py")), host, str(folder), str(plan.devices)]
    init += sorted({str(REPOSITORY), sys.prefix, str(CACHE)})  # what runs in the host for the lab
    with (folder / "init.log").open("wb") as log:
        outer = subprocess.Popen(
            [*unshare, "--kill-child", "--", *init],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    if outer.stdout is None:  # only to tell the type: a pipe was asked for
        raise LabError("no pipe")
    said = outer.stdout.readline().decode().strip()
    outer.stdout.close()
    if not said.isdigit():
        raise LabError(f"{host} did not come up: {(folder / 'init.log').read_text(encoding='utf-8')[-2000:]}")
    return Process.of(int(said))


def furnish(plan: Plan, host: str, init: Process) -> None:
    """Write the host's own files."""
    inventory = load(INVENTORY).inventory
    node = SimNode(ClusterSpec(inventory), ClusterState(None), host)
    files: dict[str, bytes] = {}
    for path in (DRIVER_INFO, FIRMWARE_INFO, CANN_INFO, f"{MODEL}/config.json"):
        files[path] = node.file(path) or b""
    files |= {f"{MODEL}/{name}": b"" for name in MODEL_FILES if name != "config.json"}
    files["/etc/hccn.conf"] = hccn_conf(plan, host).encode()
    files["/etc/hostname"] = f"{host}\n".encode()
    names = "".join(f"{plan.host_ip(h)} {h}\n" for h in plan.hosts)
    files["/etc/hosts"] = f"127.0.0.1 localhost\n{names}".encode()
    files |= {f"/root/{name}": b"" for name in (".bashrc", ".profile")}  # the machine's own may do anything
    files["/usr/log/npu/conf/slog/slog.conf"] = b"global_level=1\n"
    files[f"{IN_HOST}/authorized_keys"] = (FOLDER / "key.pub").read_bytes()
    files[f"{IN_HOST}/inventory.json"] = inventory.model_dump_json().encode()
    files[SSHD_CONFIG] = _SSHD.encode()
    shim = Path(shim_script.__file__).read_text(encoding="utf-8")
    shim = shim.replace("@SOCKET@", SOCKET).replace("@FOLDER@", "/usr/local/sbin")
    files |= {tool: f"#!/usr/bin/python3 -IS\n{shim}".encode() for tool in TOOLS}
    run(init.inside("mkdir", "-p", "-m", "755", *_FOLDERS))
    for path, content in files.items():
        put(init, path, content)
    run(init.inside("chmod", "755", *TOOLS))
    for name in ("host_key", "host_key.pub"):
        put(init, f"{IN_HOST}/{name}", (FOLDER / "hosts" / host / name).read_bytes())
    run(init.inside("chmod", "600", f"{IN_HOST}/host_key"))
    reserve = "echo 60000-60031 >/proc/sys/net/ipv4/ip_local_reserved_ports"
    run(init.inside("sh", "-c", reserve))


def hccn_conf(plan: Plan, host: str) -> str:
    """``/etc/hccn.conf`` as the devices are set up."""
    mask = "255.255.0.0" if DEVICES_MASK == 16 else "255.255.255.0"  # noqa: PLR2004  # two bytes of four
    rows = [f"address_{i}={plan.device_ip(host, i)}\nnetmask_{i}={mask}\n" for i in range(plan.devices)]
    return "".join(rows)


_SSHD = f"""\
Port 22
HostKey {IN_HOST}/host_key
AuthorizedKeysFile {IN_HOST}/authorized_keys
PidFile /run/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
MaxStartups 100
MaxSessions 100
LogLevel VERBOSE
"""


def put(init: Process, path: str, content: bytes) -> None:
    """Write one file of a host."""
    words = ["sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "put", path]
    subprocess.run(init.inside(*words), input=content, check=True)


def start_sshd(init: Process) -> None:
    run(init.inside("/usr/sbin/sshd", "-f", SSHD_CONFIG, "-E", "/var/log/sshd.log"))
    wait_for(lambda: "LISTEN" in run(init.inside("ss", "-Hltn", "sport = :22")), "sshd to listen")


def stop_sshd(init: Process) -> None:
    """End the daemon that listens, not the sessions that run."""
    run(init.inside("sh", "-c", "kill $(cat /run/sshd.pid)"))
    wait_for(lambda: not run(init.inside("ss", "-Hltn", "sport = :22")), "sshd to stop")


def start_chips(host: str, init: Process) -> None:
    """Start what stands behind hccn_tool and npu-smi."""
    path = f"PYTHONPATH={REPOSITORY}/plugins:{REPOSITORY}"
    words = ["env", path, sys.executable, "-m", "lab.npu", f"{IN_HOST}/inventory.json", host, SOCKET]
    log = "/var/log/lab-chips.log"
    spawn(init, words, log)
    await_file(init, SOCKET, log)


def await_file(init: Process, path: str, log: str) -> None:
    """Wait until a program has made its socket.

    Raises:
        LabError: it did not, with the end of its log.
    """
    try:
        wait_for(lambda: "yes" in run(init.inside("sh", "-c", f"test -e {path} && echo yes || true")), path)
    except LabError as error:
        raise LabError(f"{error}: {run(init.inside('tail', '-n', '20', log), check=False)}") from error


def spawn(init: Process, words: list[str], log: str) -> None:
    """Leave a program behind in a host, as a child of its process 1."""
    script = 'l=$1; shift; setsid "$@" </dev/null >>"$l" 2>&1 &'
    run(init.inside("sh", "-c", script, "spawn", log, *words))
