# SPDX-License-Identifier: Apache-2.0
"""``hccn_tool``: the devices' own network, in the tool's own words.

Formats: hicann/driver ``src/custom/network/hccn/ascend910B/hccn_tool`` (tool_ops.c, tool_tls.c, tool_ipv6.c).
What goes wrong is said on two streams: the reason on stderr, "Command execute failed!" on stdout.
"""

from __future__ import annotations

import ipaddress
import time
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone

from hakuna.inventory.model import Chip
from hakuna.simulator.cluster import Device
from hakuna.simulator.node import SimNode
from hakuna.simulator.tools import Call, Result, Tool, say, tool

USAGE = "Usage: hccn_tool [-i <device_id>] [-option] [-s|-g] [parameters]\n"
PACKETS = 3
DAY = 86400


def _failed(reason: str) -> Result:
    return say("Command execute failed!\n", f"{reason}\n", 1)


@tool("hccn_tool")
class HccnTool(Tool):
    """``hccn_tool -i N -WHAT [-inet6] -g [ARG...]``; it sets nothing."""

    def run(self, call: Call) -> Result:
        words = list(call.argv[1:])
        if len(words) < 4 or words[0] != "-i" or not words[1].isdigit() or "-g" not in words:  # noqa: PLR2004  # the shortest query
            return say(USAGE, "Input parameter error!\n", 1)
        index = int(words[1])
        if index not in call.node.spec.present_devices(call.node.name):
            return say("", "The device is not exist!\n", 1)
        query = _QUERIES.get(words[2].lstrip("-"))
        if query is None:
            return say(USAGE, f"Unknown command {words[2]}.\n", 1)
        return query(call.node, call.node.spec.device(call.node.name, index), words[3:])


def _ip(node: SimNode, device: Device, words: list[str]) -> Result:
    del node
    six = "-inet6" in words
    if device.ip is None or device.ipv6 is not six:
        return _failed("Get ipconf failed, because no ip was preset there!")
    if six:
        # The tool writes all eight groups in full.
        return say(f"ipv6_address:{ipaddress.ip_address(device.ip).exploded}\nprefix_length:{device.mask}\n")
    return say(f"ipaddr:{device.ip}\nnetmask:{device.mask}\n")


def _link(node: SimNode, device: Device, words: list[str]) -> Result:
    del words
    if node.spec.has("unparsed-link", node.name, device.index):
        return say("Link v2 {phy=1;mac=1}\n")
    return say(f"link status: {'UP' if device.link_up else 'DOWN'}\n")


def _net_health(node: SimNode, device: Device, words: list[str]) -> Result:
    del words
    word = "Success" if device.link_up else "Fault"
    if node.spec.has("net-health-bad", node.name, device.index):
        word = "Receive timeout"
    return say(f"net health status: {word}\n")


def _gateway(node: SimNode, device: Device, words: list[str]) -> Result:
    del node, words
    if device.gateway is None:
        return _failed("Get gateway failed, because no gateway was preset there!")
    if ":" in device.gateway:
        return say(f"gateway:{ipaddress.ip_address(device.gateway).exploded}\n")
    return say(f"default gateway:{device.gateway}, Iface:eth{device.index}\n")


def _netdetect(node: SimNode, device: Device, words: list[str]) -> Result:
    del node, words
    if device.gateway is None or device.ipv6:
        return say("netdetect address:\n")
    return say(f"netdetect address:{device.gateway}\n")


def _lldp(node: SimNode, device: Device, words: list[str]) -> Result:
    del words
    if device.port is None:
        return say("LLDP info: no neighbour\nChassis ID TLV\nTime to Live TLV\n\t0\n")
    mac = f"4c:b1:6c:00:{node.spec.number(node.name) % 256:02x}:01"
    return say(
        f"Chassis ID TLV\n\tMAC: {mac}\nPort ID TLV\n\tIfname: {device.port}\nTime to Live TLV\n\t120\n"
        f"System Name TLV\n\tleaf-{1 + node.spec.number(node.name) // 16}\nEnd of LLDPDU TLV\n"
    )


#: The driver keeps only the last changes; the counts go on.
_RECORDS = 6


def _link_stat(node: SimNode, device: Device, words: list[str]) -> Result:
    """Changes since the device started, newest first."""
    del words
    now = int(time.time())
    start = now - 30 * DAY
    changes = [(start, "UP"), (start + 15, "DOWN"), (start + 16, "UP")]
    if node.spec.has("link-flaps", node.name, device.index):
        for hour in range(1, 5):
            changes += [(now - hour * 3600, "DOWN"), (now - hour * 3600 + 2, "UP")]
    if not device.link_up:
        changes.append((now - 600, "DOWN"))
    changes.sort(key=lambda change: change[0], reverse=True)
    mark = f"[devid {device.index}]"
    ups = sum(state == "UP" for _, state in changes)
    rows = [
        f"{mark}current time        : {_ctime(now)}",
        f"{mark}link up count       : {ups}",
        f"{mark}link down count     : {len(changes) - ups}",
        f"{mark}link change records :",
        *(f"{mark}    {_ctime(at)}    LINK {state}" for at, state in changes[:_RECORDS]),
    ]
    return say("\n".join(rows) + "\n")


def _ctime(seconds: int) -> str:
    return time.asctime(time.gmtime(seconds))


def _vnic(node: SimNode, device: Device, words: list[str]) -> Result:
    del words
    if node.inventory.chip is not Chip.ATLAS_800T_A3:
        return say("", "This device does not support vnic!\n", 1)
    return say(f"vnic link status: UP\nvnic ipaddr: 192.168.2.{199 - device.index}\nvnic netmask: 255.255.255.0\n")


def _tls(node: SimNode, device: Device, words: list[str]) -> Result:
    del words
    spec, name, i = node.spec, node.name, device.index
    if spec.has("hung-tool", name, i):
        return Result(timed_out=True)
    if spec.has("unparsed-tls", name, i):
        return say("TLS-Info v9 {state=ok;mode=auto}\n")
    first = datetime(2020, 2, 19, 3, 19, 21, tzinfo=timezone.utc)
    last = datetime(2048, 2, 16, 3, 19, 21, tzinfo=timezone.utc)
    soon = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=5, hours=1)
    public_end = soon if spec.has("certificate-expiring", name, i) else last
    preset = "tls preconfigured[1](0:non-preset, 1:preset), tls alarm time threshold[60]days"
    rows = [f"dev_id:{i}, tls switch[{int(device.tls)}](0:disable, 1:enable), {preset}"]
    for kind, issuer, end in (
        ("pub", "/C=CN/ST=GD/O=HUAWEI/OU=2012/CN=2_1thCA", public_end),
        ("ca1", "/C=CN/ST=GD/L=SZ/O=HUAWEI/CN=1thCA", last),
        ("ca2", "/C=CN/ST=GD/L=SZ/O=HUAWEI/CN=1thCA", last),
    ):
        rows += [
            f"dev_id:{i}, [{kind} cert] info:",
            f"         issuer[{issuer}]",
            f"         start_time[{_openssl_time(first)}]",
            f"         end_time[{_openssl_time(end)}]",
        ]
    return say("\n".join(rows) + "\n")


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _openssl_time(at: datetime) -> str:
    return f"{_DAYS[at.weekday()]} {_MONTHS[at.month - 1]} {at.day:2d} {at:%H:%M:%S} {at.year} GMT"


# --- ping -------------------------------------------------------------------------------------------------------------


def _ping(node: SimNode, device: Device, words: list[str]) -> Result:
    """``-ping [-inet6] -g address IP [pkt COUNT]``."""
    six = "-inet6" in words
    key = "ipv6_address" if six else "address"
    try:
        ip = words[words.index(key) + 1]
        targets = node.spec.devices_at(ip)
        packets = int(words[words.index("pkt") + 1]) if "pkt" in words else PACKETS
    except (ValueError, IndexError):
        return say(USAGE, "Input parameter error!\n", 1)
    if not device.link_up:
        return _failed("Execute failed: Link status is down.")
    if device.ip is None or device.ipv6 is not six:
        return _failed("Get ipconf failed, because no ip was preset there!")
    if any(node.spec.has_pair("hung-ping", device.where, t.where) for t in targets):
        return Result(timed_out=True)
    lost = _lost(node, device, targets, packets)
    times = _times(node, device, targets, packets)
    rows = [f"device {device.index} {'PING6' if six else 'PING'} {ip}"]
    rows += [f"recv time out seq={n}" if n in lost else f"recv seq={n},time={times[n]:.6f}ms" for n in range(packets)]
    received = packets - len(lost)
    loss = 100.0 * len(lost) / packets if packets else 0.0
    rows.append(f"{packets} packets transmitted, {received} received, {loss:.2f}% packet loss")
    return say("\n".join(rows) + "\n")


def _lost(node: SimNode, device: Device, targets: tuple[Device, ...], packets: int) -> frozenset[int]:
    """The packets that do not come back. Of several devices with one address the first one answers."""
    spec = node.spec
    everything = frozenset(range(packets))
    if not targets:
        return everything
    target = targets[0]
    if not target.link_up or (spec.by_rail and device.index != target.index):
        return everything
    if not spec.faults:
        return frozenset()
    ends = ((d.where.node, d.where.device) for d in (device, target))
    faults = {name for end in ends for name in ("device-unreachable", "partial-loss") if spec.has(name, *end)}
    one_way = any(spec.has_pair("one-way-loss", device.where, t.where) for t in targets)
    if one_way or "device-unreachable" in faults:
        return everything
    return frozenset(range(0, packets, 3)) if "partial-loss" in faults else frozenset()


def _times(node: SimNode, device: Device, targets: tuple[Device, ...], packets: int) -> list[float]:
    """Round trips in ms: the same for a pair each time, the first one slower (it resolves the address)."""
    target = targets[0].ip if targets else ""
    seed = zlib.crc32(f"{device.ip}>{target}".encode())
    slow = 40.0 if any(node.spec.has_pair("slow-pair", device.where, t.where) for t in targets) else 0.0
    slower = node.spec.inventory.simulation.slower_mesh
    return [(slow + round_trip(n, (seed >> (n % 4) * 8) & 31)) * slower for n in range(packets)]


def round_trip(packet: int, value: int) -> float:
    """The round trip of one packet in ms; ``value`` (0 to 31) is the pair's own."""
    return (0.137 if packet == 0 else 0.052) + value / 1000


_QUERIES: Mapping[str, Callable[[SimNode, Device, list[str]], Result]] = {
    "ip": _ip,
    "link": _link,
    "net_health": _net_health,
    "gateway": _gateway,
    "netdetect": _netdetect,
    "lldp": _lldp,
    "link_stat": _link_stat,
    "vnic": _vnic,
    "tls": _tls,
    "ping": _ping,
}
