# SPDX-License-Identifier: Apache-2.0
"""``/etc/hccn.conf``: what the devices' network is set to at the next start of the driver.

Keys: hicann/driver hccn_tool; ``IPv6netmask`` holds a prefix length.
"""

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


def conf() -> Command:
    return Command("hccn.conf", ("cat", "/etc/hccn.conf"), lane="files", sudo=True, query=True)


def parse_conf(text: str) -> HccnConf:
    """Read the file; keys that Hakuna does not use are passed over.

    Raises:
        UnparsedError: a line that is no setting, or an invalid address.
    """
    if re.search(r"hccn\.conf: No such file", text):
        return HccnConf(present=False)
    settings: dict[str, dict[int, str]] = {}
    everywhere: dict[str, str] = {}
    for row in lines(text):
        if row.startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_]*?)(?:_(\d+))?\s*=\s*(\S*)", row)
        if not match:
            raise UnparsedError(f"/etc/hccn.conf: not a setting: {shown(row)!r}")
        key = match.group(1).lower()
        if match.group(2):
            settings.setdefault(key, {})[int(match.group(2))] = match.group(3)
        else:
            everywhere[key] = match.group(3)
    addresses, addresses6 = _ips(settings, "address"), _ips(settings, "ipv6address")
    tls = {d: _flag(f"tls_enable_{d}", v) for d, v in settings.get("tls_enable", {}).items()}
    if "tls_enable" in everywhere:
        default = _flag("tls_enable", everywhere["tls_enable"])
        tls = {d: tls.get(d, default) for d in sorted({*addresses, *addresses6, *tls})}
    return HccnConf(
        addresses,
        _ips(settings, "netmask"),
        _ips(settings, "gateway"),
        _ips(settings, "netdetect"),
        addresses6,
        {d: _prefix(d, v) for d, v in settings.get("ipv6netmask", {}).items()},
        tls or None,
    )


def _ips(settings: Mapping[str, Mapping[int, str]], key: str) -> dict[int, str]:
    return {d: valid_ip(f"{key}_{d}", v) for d, v in settings.get(key, {}).items()}


def _flag(name: str, word: str) -> bool:
    if word not in ("0", "1"):
        raise UnparsedError(f"/etc/hccn.conf: {name}: neither 0 nor 1: {word!r}")
    return word == "1"


def _prefix(device: int, word: str) -> int:
    if not word.isdecimal() or int(word) > 128:  # noqa: PLR2004  # bits of an IPv6 address
        raise UnparsedError(f"/etc/hccn.conf: IPv6netmask_{device}: not a prefix length: {word!r}")
    return int(word)
