# SPDX-License-Identifier: Apache-2.0
"""What is asked of a node's operating system: the commands, and their parsers and facts by one name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from hakuna.evidence import Command
from hakuna.probes.host_network import (
    HostName,
    Interface,
    Listener,
    TcpProbe,
    TcpState,
    parse_addresses,
    parse_hostname,
    parse_ports,
    parse_tcp,
)
from hakuna.probes.reading import UnparsedError
from hakuna.probes.scripts import script
from hakuna.probes.texts import clean, lines, one, shown, unknown

__all__ = [
    "KEPT",
    "DeviceNodes",
    "Disk",
    "HostName",
    "Interface",
    "LeaseState",
    "Limits",
    "Listener",
    "TcpProbe",
    "TcpState",
    "addresses",
    "boot_id",
    "clock",
    "device_nodes",
    "disk",
    "hostname",
    "kernel",
    "lease_acquire",
    "lease_keep",
    "lease_release",
    "lease_show",
    "limits",
    "parse_addresses",
    "parse_boot_id",
    "parse_clock",
    "parse_device_nodes",
    "parse_disk",
    "parse_hostname",
    "parse_kernel",
    "parse_lease",
    "parse_limits",
    "parse_number",
    "parse_ports",
    "parse_tcp",
    "parse_tools",
    "ports",
    "reserved_ports",
    "somaxconn",
    "syn_backlog",
    "tcp",
    "tools",
]

#: How long a TCP connect is waited for, in whole seconds (busybox's timeout knows no fractions).
TCP_SECONDS = 3
#: When the lease of a run that was kept on purpose expires: never (seconds since the epoch, the year 2100).
KEPT = 4102444800
#: "unlimited" as a number.
UNLIMITED = 2**63 - 1


@dataclass(frozen=True)
class Disk:
    """One file system, sizes in bytes. ``mount`` is where it is mounted, not the path that was asked for."""

    mount: str
    size: int
    available: int


@dataclass(frozen=True)
class Limits:
    """Limits of a process; "unlimited" is :data:`UNLIMITED`."""

    nofile_soft: int


@dataclass(frozen=True)
class DeviceNodes:
    """The device nodes in /dev: numbers of ``davinciN``, names of the control nodes."""

    davinci: tuple[int, ...]
    control: frozenset[str]


@dataclass(frozen=True)
class LeaseState:
    """Who holds a node. ``holder`` is empty when nobody does; ``acquired``: the holder is who just asked for it.

    ``lapsed`` is whose lease has expired and still lies there: nobody's, and a sign of a run that died.
    """

    holder: str = ""
    expires: int = 0
    acquired: bool = False
    released: bool = False
    lapsed: str = ""

    @property
    def kept(self) -> bool:
        """Whether it is the lease of a run that was kept on purpose."""
        return self.expires >= KEPT

    @property
    def until(self) -> str:
        """When the lease ends, in UTC; empty without one."""
        if not self.expires:
            return ""
        if self.kept:
            return "no time of its own (the run was kept)"
        return datetime.fromtimestamp(self.expires, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _cat(name: str, path: str) -> Command:
    return Command(f"host.{name}", ("cat", path), lane="host", query=True)


def boot_id() -> Command:
    return _cat("boot_id", "/proc/sys/kernel/random/boot_id")


def clock() -> Command:
    return Command("host.clock", ("date", "+%s.%N"), lane="host", query=True)


def hostname() -> Command:
    return script("hostname", id="host.hostname", lane="names")


def addresses() -> Command:
    return Command("host.addresses", ("ip", "-j", "addr", "show"), lane="host", query=True)


def disk(paths: Iterable[str]) -> Command:
    """The file systems that hold ``paths``; in a lane of its own, as a dead network mount makes df wait."""
    return Command("host.disk", ("df", "-P", "-B1", *paths), lane="disk", query=True)


def ports() -> Command:
    return Command("host.ports", ("ss", "-H", "-l", "-t", "-n", "-p"), lane="host", sudo=True, query=True)


def limits() -> Command:
    # No query: it would tell of the limit that queries have.
    return replace(_cat("limits", "/proc/self/limits"), query=False)


def somaxconn() -> Command:
    return _cat("somaxconn", "/proc/sys/net/core/somaxconn")


def syn_backlog() -> Command:
    return _cat("syn_backlog", "/proc/sys/net/ipv4/tcp_max_syn_backlog")


def reserved_ports() -> Command:
    return _cat("reserved_ports", "/proc/sys/net/ipv4/ip_local_reserved_ports")


def kernel() -> Command:
    return Command("host.kernel", ("uname", "-srm"), lane="host", query=True)


def tools(names: Iterable[str]) -> Command:
    return script("which", *names, id="host.tools", lane="host")


def device_nodes() -> Command:
    wanted = ("davinci*", "devmm_svm", "hisi_hdc")
    words = [w for name in wanted for w in ("-o", "-maxdepth", "1", "-name", name)]
    return Command("host.device_nodes", ("find", "/dev", *words[1:]), lane="host", query=True)


def tcp(peer: str, host: str, ports: Iterable[int], seconds: int = TCP_SECONDS) -> Command:
    """Try TCP connects to all ``ports`` of ``host`` at once; ``peer`` is its name in the inventory."""
    words = [str(p) for p in ports]
    return script("tcp", str(seconds), host, *words, id=f"host.tcp/{peer}", deadline=seconds + 15.0, lane=f"tcp/{peer}")


def lease_show(folder: str) -> Command:
    return script("lease", "show", folder, id="host.lease", lane="host")


def lease_acquire(folder: str, holder: str, seconds: int) -> Command:
    """Take the lease for ``holder`` (one word), or renew it, for so many seconds from now, if it is free."""
    return script("lease", "acquire", folder, holder, f"+{seconds}", id="host.lease", lane="lease", mutates=True)


def lease_keep(folder: str, holder: str) -> Command:
    """Renew a lease for good: only whoever takes the service down ends it."""
    return script("lease", "acquire", folder, holder, str(KEPT), id="host.lease", lane="lease", mutates=True)


def lease_release(folder: str, holder: str) -> Command:
    """Give the lease back. ``holder`` is the whole word it was taken with, or what follows the last slash of it."""
    return script("lease", "release", folder, holder, id="host.lease", mutates=True)


def parse_boot_id(text: str) -> str:
    """Read the kernel's boot id.

    Raises:
        UnparsedError: it is no UUID.
    """
    found = [x for x in lines(text) if re.fullmatch(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", x)]
    return one("boot_id", found, text)


def parse_clock(text: str) -> float:
    """Read ``date +%s.%N``: seconds since the epoch (busybox prints no fraction).

    Raises:
        UnparsedError: any other text.
    """
    found = [x.rstrip(".N%") for x in lines(text) if re.fullmatch(r"\d{9,11}(?:\.(?:\d*|%?N))?", x)]
    return float(one("date +%s.%N", found, text))


def parse_number(text: str) -> int:
    """Read a file of /proc/sys that holds one number.

    Raises:
        UnparsedError: any other text.
    """
    return int(one("a number in /proc/sys", [x for x in lines(text) if re.fullmatch(r"-?\d+", x)], text))


def parse_kernel(text: str) -> str:
    """Read ``uname -srm``: system, release, machine.

    Raises:
        UnparsedError: any other text.
    """
    return one("uname -srm", [x for x in lines(text) if re.fullmatch(r"[A-Z]\w* \S+ \w+", x)], text)


def parse_disk(text: str) -> tuple[Disk, ...]:
    """Read ``df -P -B1``; paths that do not exist are left out.

    Raises:
        UnparsedError: no file system at all.
    """
    found: list[Disk] = []
    for row in lines(text):
        match = re.fullmatch(r".+?\s+(\d+)\s+(?:\d+|-)\s+(-?\d+)\s+(?:\d+%|-)\s+(/.*)", row)
        if match:
            found.append(Disk(match.group(3), int(match.group(1)), int(match.group(2))))
    if not found:
        raise unknown("df -P -B1", text)
    return tuple(dict.fromkeys(found))


def parse_limits(text: str) -> Limits:
    """Read /proc/PID/limits.

    Raises:
        UnparsedError: no ``Max open files``.
    """
    found = [m.group(1) for x in lines(text) if (m := re.match(r"Max open files\s+(\d+|unlimited)\b", x))]
    word = one("/proc/self/limits", found, text)
    return Limits(UNLIMITED if word == "unlimited" else int(word))


def parse_tools(text: str) -> Mapping[str, str | None]:
    """Read what ``hakuna-which`` printed: the path of each tool, None where there is none.

    Raises:
        UnparsedError: the end mark is missing.
    """
    rows = clean(text).split("\n")  # not lines(): "hccn_tool -" looks like an echoed command line there
    if "which-end" not in rows:
        raise unknown("hakuna-which", text)
    found = (re.fullmatch(r"(\S+) (/.*|-)", x) for x in rows)
    return {m.group(1): None if m.group(2) == "-" else m.group(2) for m in found if m}


def parse_device_nodes(text: str) -> DeviceNodes:
    """Read ``find /dev``; an empty answer is an empty /dev.

    Raises:
        UnparsedError: anything but paths in /dev.
    """
    numbers: set[int] = set()
    control: set[str] = set()
    for row in lines(text):
        match = re.fullmatch(r"/dev/([\w-]+)", row)
        if not match:
            if row.startswith("find: warning:"):
                continue
            raise UnparsedError(f"find /dev: {shown(row)!r}")
        number = re.fullmatch(r"davinci(\d+)", match.group(1))
        if number:
            numbers.add(int(number.group(1)))
        else:
            control.add(match.group(1))
    return DeviceNodes(tuple(sorted(numbers)), frozenset(control))


def parse_lease(text: str) -> LeaseState:
    """Read what ``hakuna-lease`` printed.

    Raises:
        UnparsedError: any other text.
    """
    for row in lines(text):
        if row == "lease free":
            return LeaseState()
        if row == "lease released":
            return LeaseState(released=True)
        if match := re.fullmatch(r"lease expired (\S+) (\d{1,11})", row):
            return LeaseState(lapsed=match.group(1))
        if match := re.fullmatch(r"lease (held|acquired) (\S+) (\d{1,11})", row):
            return LeaseState(match.group(2), int(match.group(3)), acquired=match.group(1) == "acquired")
    raise unknown("hakuna-lease", text)
