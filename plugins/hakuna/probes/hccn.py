# SPDX-License-Identifier: Apache-2.0
"""``hccn_tool``: the commands that Hakuna sends to each device, and all of its parsers by one name."""

from __future__ import annotations

import ipaddress

from hakuna.evidence import Command
from hakuna.probes.hccn_address import (
    DeviceAddress,
    Gateway,
    NetDetect,
    Vnic,
    parse_address,
    parse_address6,
    parse_gateway,
    parse_netdetect,
    parse_vnic,
)
from hakuna.probes.hccn_link import (
    HealthStatus,
    Link,
    LinkEvent,
    LinkHistory,
    Lldp,
    NetHealth,
    parse_link,
    parse_link_stat,
    parse_lldp,
    parse_net_health,
)
from hakuna.probes.hccn_ping import Ping, parse_ping
from hakuna.probes.hccn_pings import pings
from hakuna.probes.hccn_split import split_by_device
from hakuna.probes.hccn_tls import Certificate, Tls, parse_tls

__all__ = [
    "Certificate",
    "DeviceAddress",
    "Gateway",
    "HealthStatus",
    "Link",
    "LinkEvent",
    "LinkHistory",
    "Lldp",
    "NetDetect",
    "NetHealth",
    "Ping",
    "Tls",
    "Vnic",
    "address",
    "address6",
    "gateway",
    "link",
    "link_stat",
    "lldp",
    "net_health",
    "netdetect",
    "parse_address",
    "parse_address6",
    "parse_gateway",
    "parse_link",
    "parse_link_stat",
    "parse_lldp",
    "parse_net_health",
    "parse_netdetect",
    "parse_ping",
    "parse_tls",
    "parse_vnic",
    "ping",
    "pings",
    "split_by_device",
    "tls",
    "vnic",
]


def _command(name: str, device: int, *words: str, deadline: float = 20.0) -> Command:
    """One call; calls about one device run one after the other, devices side by side. The tool needs root."""
    argv = ("hccn_tool", "-i", str(device), *words)
    return Command(f"hccn.{name}/{device}", argv, deadline=deadline, lane=f"hccn/{device}", sudo=True, query=True)


def address(device: int) -> Command:
    return _command("ip", device, "-ip", "-g")


def address6(device: int) -> Command:
    return _command("ip6", device, "-ip", "-inet6", "-g")


def link(device: int) -> Command:
    return _command("link", device, "-link", "-g")


def net_health(device: int) -> Command:
    return _command("health", device, "-net_health", "-g")


def gateway(device: int) -> Command:
    return _command("gateway", device, "-gateway", "-g")


def netdetect(device: int) -> Command:
    return _command("netdetect", device, "-netdetect", "-g")


def tls(device: int) -> Command:
    return _command("tls", device, "-tls", "-g")


def lldp(device: int) -> Command:
    return _command("lldp", device, "-lldp", "-g")


def link_stat(device: int) -> Command:
    return _command("link_stat", device, "-link_stat", "-g")


def vnic(device: int) -> Command:
    return _command("vnic", device, "-vnic", "-g")


def ping(device: int, ip: str, peer_name: str, peer_device: int, packets: int | None = None) -> Command:
    """One ping to the device ``peer_device`` of node ``peer_name``, which has the address ``ip``.

    ``packets`` None leaves the number to the tool (3). The id is ``hccn.ping/DEVICE/PEER/PEER_DEVICE``.
    """
    version6 = ipaddress.ip_address(ip).version == 6  # noqa: PLR2004  # IPv6
    words = ["-ping", "-inet6", "-g", "ipv6_address", ip] if version6 else ["-ping", "-g", "address", ip]
    if packets is not None:
        words += ["pkt", str(packets)]
    name = f"hccn.ping/{device}/{peer_name}/{peer_device}"
    argv = ("hccn_tool", "-i", str(device), *words)
    # A lost packet is waited for about a second by the tool.
    return Command(name, argv, deadline=20.0 + 2.0 * (packets or 3), lane=f"hccn/{device}", sudo=True, query=True)
