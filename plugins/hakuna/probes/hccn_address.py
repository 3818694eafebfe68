# SPDX-License-Identifier: Apache-2.0
"""Addresses of the devices' own network: device IP, gateway, detect IP, vNIC (``hccn_tool -ip|-gateway|... -g``)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from hakuna.probes.hccn_errors import refuse, says_no_ipv6, says_not_set
from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import lines, one, unknown

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class DeviceAddress:
    """One device's IP as the device has it now; ``ip`` None: none is set. IPv6 is written compressed."""

    ip: str | None
    netmask: str | None = None
    prefix: int | None = None

    @property
    def network(self) -> _Network | None:
        """The subnet; None without an address or a mask."""
        if self.ip is None or self.prefix is None:
            return None
        return ipaddress.ip_network(f"{self.ip}/{self.prefix}", strict=False)


@dataclass(frozen=True)
class Gateway:
    """The default gateway of a device and the interface it is behind; ``ip`` None: none is set."""

    ip: str | None
    interface: str = ""


@dataclass(frozen=True)
class NetDetect:
    """The address that the device watches for ``net_health``; ``ip`` None: none is set."""

    ip: str | None


@dataclass(frozen=True)
class Vnic:
    """A3's virtual NIC between the dies of a super pod; never the RoCE address."""

    up: bool | None
    ip: str | None


def valid_ip(what: str, word: str) -> str:
    """An IP address in its usual spelling.

    Raises:
        UnparsedError: the word is none, such as the masked ``10.xx.xx.10`` of documents; it is named.
    """
    try:
        return str(ipaddress.ip_address(word.strip()))
    except ValueError as error:
        raise UnparsedError(f"{what}: not an IP address: {word.strip()!r}") from error


def _values(pattern: str, text: str) -> list[str]:
    found = (re.match(pattern, x, re.IGNORECASE) for x in lines(text))
    return [m.group(1).strip() for m in found if m]


def parse_address(text: str) -> DeviceAddress:
    """Read ``-ip -g`` or ``-ip -inet6 -g`` of one device: ``ipaddr``, ``netmask``, ``ipv6_address``, ``prefix_length``.

    Raises:
        UnparsedError: no address and no known word that none is set, several devices, or an invalid value.
    """
    if not _values(r"(?:ipaddr|ipv6_address)\s*[:=](.*)", text) and (says_not_set(text) or says_no_ipv6(text)):
        return DeviceAddress(None)
    old = _values(r"ipaddr\s*[:=](.*)", text)
    new = _values(r"ipv6_address\s*[:=](.*)", text)
    if not old and not new:
        refuse(text)
        raise unknown("hccn_tool -ip -g", text)
    if old and new:
        raise UnparsedError("hccn_tool -ip -g: an IPv4 and an IPv6 address in one answer")
    if new:
        ip = valid_ip("ipv6_address", one("ipv6_address", new, text))
        lengths = _values(r"prefix_length\s*[:=]\s*(\d+)", text)
        prefix = int(one("prefix_length", lengths, text)) if lengths else None
        return DeviceAddress(ip, None, prefix)
    ip = valid_ip("ipaddr", one("ipaddr", old, text))
    masks = _values(r"netmask\s*[:=](.*)", text)
    if not masks:
        return DeviceAddress(ip)
    netmask = one("netmask", masks, text)
    try:
        prefix = ipaddress.ip_network(f"0.0.0.0/{netmask}").prefixlen
    except ValueError as error:
        raise UnparsedError(f"netmask: not a netmask: {netmask!r}") from error
    return DeviceAddress(ip, netmask, prefix)


def parse_address6(text: str) -> DeviceAddress:
    """Read ``-ip -inet6 -g``; a device that does not support IPv6 has no address.

    Raises:
        UnparsedError: as :func:`parse_address`.
    """
    return parse_address(text)


def parse_gateway(text: str) -> Gateway:
    """Read ``-gateway -g``: ``default gateway:IP, Iface:ethN``, or ``gateway:IP`` for IPv6.

    Raises:
        UnparsedError: no gateway and no known word that none is set, several different ones, or an invalid value.
    """
    found = [
        re.match(r"(?:default\s+)?gateway\s*[:=]\s*([^\s,]*)(?:\s*,\s*Iface\s*:\s*(\S+))?", x, re.IGNORECASE)
        for x in lines(text)
    ]
    rows = list(dict.fromkeys((m.group(1), m.group(2) or "") for m in found if m))
    if not rows:
        if says_not_set(text) or says_no_ipv6(text):
            return Gateway(None)
        refuse(text)
        raise unknown("hccn_tool -gateway -g", text)
    if len(rows) > 1:
        raise UnparsedError(f"hccn_tool -gateway -g: several gateways: {rows[:3]}")
    return Gateway(valid_ip("gateway", rows[0][0]), rows[0][1])


def parse_netdetect(text: str) -> NetDetect:
    """Read ``-netdetect -g``: ``netdetect addr: IP`` or ``netdetect address:IP``; nothing after the key: none is set.

    Raises:
        UnparsedError: no such key and no known word that none is set, or an invalid value.
    """
    values = _values(r"netdetect\s+addr(?:ess)?\s*[:=](.*)", text)
    if not values:
        if says_not_set(text):
            return NetDetect(None)
        refuse(text)
    word = one("hccn_tool -netdetect -g", values, text)
    return NetDetect(valid_ip("netdetect address", word) if word else None)


def parse_vnic(text: str) -> Vnic:
    """Read ``-vnic -g``: ``vnic link status``, ``vnic ipaddr``.

    Raises:
        UnparsedError: neither is there and no known word that none is set, several devices, or an invalid value.
    """
    states = _values(r"vnic\s+link\s+status\s*:\s*(\S+)", text)
    ips = _values(r"vnic\s+ipaddr\s*:(.*)", text)
    if not states and not ips:
        if says_not_set(text):
            return Vnic(None, None)
        refuse(text)
        raise unknown("hccn_tool -vnic -g", text)
    state = one("vnic link status", states, text).upper() if states else ""
    if state not in ("", "UP", "DOWN"):
        raise UnparsedError(f"vnic link status: neither UP nor DOWN: {state!r}")
    return Vnic(
        state == "UP" if state else None, valid_ip("vnic ipaddr", one("vnic ipaddr", ips, text)) if ips else None
    )
