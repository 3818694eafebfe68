# SPDX-License-Identifier: Apache-2.0
"""``/etc/hccn.conf``: what the devices' network is set to at the next start of the driver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hakuna.evidence import Command
from hakuna.probes.hccn_address import valid_ip
from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import lines, shown


@dataclass(frozen=True)
class HccnConf:
    """The file by device. ``present`` false: there is no such file. ``tls_enable`` None: it does not say."""

    addresses: Mapping[int, str] = field(default_factory=dict)
    netmasks: Mapping[int, str] = field(default_factory=dict)
    gateways: Mapping[int, str] = field(default_factory=dict)
    netdetects: Mapping[int, str] = field(default_factory=dict)
    addresses6: Mapping[int, str] = field(default_factory=dict)
    prefixes6: Mapping[int, int] = field(default_factory=dict)
    tls_enable: Mapping[int, bool] | None = None
    present: bool = True


# Keys: hicann/driver hccn_tool (facts/formats.md); IPv6netmask holds a prefix length.
_IPS = {"address": "addresses", "gateway": "gateways", "netdetect": "netdetects", "ipv6address": "addresses6"}


def conf() -> Command:
    return Command("hccn.conf", ("cat", "/etc/hccn.conf"), lane="files", sudo=True)


def parse_conf(text: str) -> HccnConf:
    """Read the file; keys that Hakuna does not use are passed over.

    Raises:
        UnparsedError: a line that is no setting, or an invalid address.
    """
    if re.search(r"hccn\.conf: No such file", text):
        return HccnConf(present=False)
    found: dict[str, dict[int, str]] = {name: {} for name in (*_IPS.values(), "netmasks")}
    prefixes: dict[int, int] = {}
    tls: dict[int, bool] = {}
    tls_all: bool | None = None
    for row in lines(text):
        if row.startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_]*?)(?:_(\d+))?\s*=\s*(\S*)", row)
        if not match:
            raise UnparsedError(f"/etc/hccn.conf: not a setting: {shown(row)!r}")
        key, value = match.group(1).lower(), match.group(3)
        device = int(match.group(2)) if match.group(2) else None
        if key == "tls_enable":
            if value not in ("0", "1"):
                raise UnparsedError(f"/etc/hccn.conf: {row}: neither 0 nor 1")
            if device is None:
                tls_all = value == "1"
            else:
                tls[device] = value == "1"
        elif device is None:
            continue
        elif key in _IPS:
            found[_IPS[key]][device] = valid_ip(f"{match.group(1)}_{device}", value)
        elif key == "netmask":
            found["netmasks"][device] = valid_ip(f"netmask_{device}", value)
        elif key == "ipv6netmask":
            if not value.isdigit() or int(value) > 128:  # noqa: PLR2004  # bits of an IPv6 address
                raise UnparsedError(f"/etc/hccn.conf: {row}: not a prefix length")
            prefixes[device] = int(value)
    if tls_all is not None:
        everyone = {*found["addresses"], *found["addresses6"], *tls}
        tls = {d: tls.get(d, tls_all) for d in sorted(everyone)}
    return HccnConf(**found, prefixes6=prefixes, tls_enable=tls or None)
