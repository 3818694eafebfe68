# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # beside the scripts that use it
"""Hosts for the benchmarks: one real sshd each, with a stand-in for hccn_tool.

As root each has a network namespace of its own; otherwise it has a loopback address of its own.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import namespaces

DEVICES = 8
LOOPBACK = "127.77.0"
#: Answers as the tool does for addresses, TLS and pings; a ping takes as long as the file beside it says.
TOOL = """#!/bin/sh
case $* in
  *" -ip -g") echo "ipaddr:10.20.$BENCH_HOST.1$2"; echo "netmask:255.255.255.0";;
  *" -tls -g") echo "dev_id:$2, tls switch[0](0:disable, 1:enable), tls preconfigured[1](0:non-preset, 1:preset)";;
  *" -ping -g address "*)
    read -r wait <${0%/*}/wait; [ "$wait" = 0 ] || sleep "$wait"
    echo "device $2 PING $6"
    echo "recv seq=0,time=0.150000ms"; echo "recv seq=1,time=0.060000ms"; echo "recv seq=2,time=0.070000ms"
    echo "3 packets transmitted, 3 received, 0.00% packet loss";;
  *) echo "Command execute failed!"; exit 1;;
esac
"""


@dataclass(frozen=True)
class Host:
    """``number`` is the end of its address for ssh, in ``network``; its devices have 10.20.NUMBER.1DEVICE."""

    number: int
    network: str

    @property
    def name(self) -> str:
        return f"host-{self.number:03d}"

    @property
    def address(self) -> str:
        return f"{self.network}.{self.number}"

    def device_ip(self, device: int) -> str:
        return f"10.20.{self.number}.1{device}"


@dataclass(frozen=True)
class Bench:
    """All hosts of one benchmark, the process of each, and the files that a client needs."""

    folder: Path
    hosts: tuple[Host, ...]
    port: int
    pids: list[int] = field(default_factory=list)

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def ssh_config(self) -> Path:
        return self.folder / "ssh_config"

    def wait(self, seconds: float) -> None:
        """How long a ping takes from now on."""
        (self.folder / "bin" / "wait").write_text(f"{seconds:g}\n")

    def next(self, host: Host) -> Host:
        """The host whose devices this one's devices ping: a cycle."""
        return self.hosts[(self.hosts.index(host) + 1) % len(self.hosts)]

    def calls(self, host: Host) -> list[list[str]]:
        """The guide's section 5 on one host: addresses, TLS, and a ping of each device to each of the next host's."""
        there = self.next(host)
        tool = [["hccn_tool", "-i", str(i)] for i in range(DEVICES)]
        out = [[*t, "-ip", "-g"] for t in tool] + [[*t, "-tls", "-g"] for t in tool]
        return out + [[*t, "-ping", "-g", "address", there.device_ip(j)] for t in tool for j in range(DEVICES)]


@contextlib.contextmanager
def bench(folder: Path, count: int, dead: int = 0) -> Iterator[Bench]:
    """Start ``count`` hosts, and end them. The last ``dead`` of them let every connection wait: nobody answers there.

    Raises:
        RuntimeError: there is no sshd on this machine, or one of them does not start.
    """
    sshd = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if sshd is None:
        raise RuntimeError("no sshd on this machine: install openssh-server")
    folder.mkdir(parents=True)
    network = namespaces.NETWORK if namespaces.available() else LOOPBACK
    made = Bench(folder, tuple(Host(n + 1, network) for n in range(count)), _free_port())
    tool = folder / "bin" / "hccn_tool"
    tool.parent.mkdir()
    tool.write_text(TOOL)
    tool.chmod(0o755)
    made.wait(0)
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text("".join(f"[{h.address}]:{made.port} {host_key}\n" for h in made.hosts))
    made.ssh_config.write_text(
        "Host *\n"
        f"  Port {made.port}\n  User {getpass.getuser()}\n  IdentityFile {made.key}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder / 'known_hosts'}\n  GlobalKnownHostsFile /dev/null\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as at_the_end:
        switch = at_the_end.enter_context(namespaces.switch()) if network != LOOPBACK else None
        for host in made.hosts[count - dead :]:
            if switch:
                at_the_end.callback(_end, switch.host(host.number, ["sleep", "infinity"], mute=True))
            else:
                at_the_end.enter_context(_silence(host.address, made.port))
        for host in made.hosts[: count - dead]:
            config = folder / f"{host.name}.conf"
            config.write_text(
                f"Port {made.port}\nListenAddress {host.address}\nHostKey {folder / 'host_key'}\nPidFile none\n"
                f"AuthorizedKeysFile {folder / 'key.pub'}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
                "PermitRootLogin yes\nSubsystem sftp internal-sftp\n"
                f'SetEnv "BENCH_HOST={host.number}" "PATH={tool.parent}:/usr/bin:/bin" "SHLVL=1"\n'  # no .bashrc
            )
            log = folder / f"{host.name}.log"
            argv = [sshd, "-D", "-f", str(config), "-E", str(log)]
            running = switch.host(host.number, argv) if switch else subprocess.Popen(argv, stdin=subprocess.DEVNULL)
            at_the_end.callback(_end, running)
            made.pids.append(running.pid)
            _await(log, running)
        if switch:
            at_the_end.callback(namespaces.clear, made.pids)
        yield made


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


@contextlib.contextmanager
def _silence(address: str, port: int) -> Iterator[None]:
    """A port whose queue is full: the kernel drops what wants to connect, as if the machine were off."""
    with contextlib.ExitStack() as open_ones:
        listener = open_ones.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(2):
            waiting = open_ones.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((f"{LOOPBACK}.1", 0))
        return int(probe.getsockname()[1])


def _await(log: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while not (log.exists() and "Server listening" in log.read_text("utf-8", "replace")):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"sshd did not start: {log.read_text('utf-8', 'replace') if log.exists() else ''}")
        time.sleep(0.02)  # no event tells that a daemon listens
