# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # beside the scripts that use it
"""Network namespaces for the benchmarks' hosts: one each, all on one switch. They end with the processes in them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: For measurements between devices (RFC 2544): no machine's own network has it.
NETWORK = "198.18.77"
#: This machine's own address on the switch.
OWN = f"{NETWORK}.254"
UPLINK = "hakuna-bench"


def available() -> bool:
    """Whether this process may make namespaces."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return False
    # Root in a container may not be allowed to.
    return subprocess.run(["unshare", "--net", "--", "ip", "link"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Switch:
    """The namespace of the switch, by the process that holds it."""

    pid: int

    def host(self, number: int, argv: Sequence[str], *, mute: bool = False) -> subprocess.Popen[bytes]:
        """Start ``argv`` as the host ``198.18.77.NUMBER``, with an eth0 of its own. A ``mute`` one answers nothing."""
        held = ["sh", "-c", 'read -r _; exec "$@"', "sh", *argv]  # until it has its address
        process = subprocess.Popen(
            ["unshare", "--net", "--", *held],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _await_namespace(process)
        port = f"host{number}"
        _ip(self.pid, f"link add {port} type veth peer name eth0 netns {process.pid}")
        _ip(self.pid, f"link set {port} master switch", f"link set {port} up")
        own = ["link set lo up", f"addr add {NETWORK}.{number}/24 dev eth0", "link set eth0 up"]
        _ip(process.pid, *own, *([f"route add blackhole {OWN}/32"] if mute else []))
        if process.stdin is not None:
            process.stdin.write(b"\n")
            process.stdin.close()
        return process


@contextlib.contextmanager
def switch() -> Iterator[Switch]:
    """A switch, and this machine's port on it."""
    holder = subprocess.Popen(["unshare", "--net", "--", "sleep", "infinity"], stdin=subprocess.DEVNULL)
    try:
        _await_namespace(holder)
        _ip(holder.pid, "link add switch type bridge stp_state 0 forward_delay 0", "link set switch up")
        _ip(None, f"link add {UPLINK} type veth peer name uplink netns {holder.pid}")
        _ip(None, f"addr add {OWN}/24 dev {UPLINK}", f"link set {UPLINK} up")
        _ip(holder.pid, "link set uplink master switch", "link set uplink up")
        yield Switch(holder.pid)
    finally:
        holder.terminate()
        holder.wait(10)
        _await(lambda: not Path("/sys/class/net", UPLINK).exists(), "the switch to go")


def clear(pids: Sequence[int]) -> None:
    """Kill what else is in the networks of these processes: sessions would never hear that their clients are gone."""
    networks = {_network(pid) for pid in pids} - {_network(os.getpid())}
    end = time.monotonic() + 20
    while (left := _others(networks, pids)) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)  # they are no children of this process


def _others(networks: set[Path], known: Sequence[int]) -> list[int]:
    found = []
    for pid in (int(entry.name) for entry in Path("/proc").glob("[0-9]*")):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if pid not in known and _network(pid) in networks:
                found.append(pid)
    return found


def _network(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


def _ip(pid: int | None, *lines: str) -> None:
    """Run lines of ``ip -batch``, in the network of that process."""
    inside = [] if pid is None else ["nsenter", "-t", str(pid), "-n", "--"]
    done = subprocess.run(
        [*inside, "ip", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"ip: {done.stderr.strip()}; in: {'; '.join(lines)}")


def _await_namespace(process: subprocess.Popen[bytes]) -> None:
    _await(lambda: _network(process.pid) != _network(os.getpid()), "a network namespace")


def _await(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(0.005)  # the kernel tells nobody
