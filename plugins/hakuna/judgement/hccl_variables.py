# SPDX-License-Identifier: Apache-2.0
"""HCCL's environment variables and their legal values (hicann/hccl docs/zh/user_guide/hccl_env)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping


def hccl_variable_problem(name: str, value: str) -> str:
    """What to set a variable to when its value is not legal; empty when it is, or the variable is not known."""
    check = _CHECKS.get(name)
    return check(name, value.strip()) if check is not None else ""


def _whole(low: int, high: int | None = None, step: int = 1) -> Callable[[str, str], str]:
    def check(name: str, value: str) -> str:
        legal = re.fullmatch(r"[0-9]{1,9}", value) is not None
        if legal and low <= int(value) <= (int(value) if high is None else high) and int(value) % step == 0:
            return ""
        span = f"of at least {low}" if high is None else f"from {low} to {high}"
        multiple = f", a multiple of {step}" if step > 1 else ""
        return f"set {name} to a whole number {span}{multiple}"

    return check


def _one_of(*words: str) -> Callable[[str, str], str]:
    def check(name: str, value: str) -> str:
        return "" if value in words else f"set {name} to {' or '.join(words)}"

    return check


def _address(name: str, value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return f"set {name} to one IP address of the node's host network (not an interface's name, not a device IP)"
    return ""


def _interface(name: str, value: str) -> str:
    names = re.sub(r"^\^?=?", "", value).split(",")
    if value and all(re.fullmatch(r"[^\s/,^=]{1,15}", n) for n in names):
        return ""
    return f"set {name} to interface names joined by commas, for example =eth0 (exactly eth0) or eth (prefix)"


_SWITCH = _one_of("0", "1")

#: A variable that is not listed has no limits that are known here.
_CHECKS: Mapping[str, Callable[[str, str], str]] = {
    "HCCL_IF_IP": _address,
    "HCCL_SOCKET_IFNAME": _interface,
    "HCCL_SOCKET_FAMILY": _one_of("AF_INET", "AF_INET6"),
    "HCCL_IF_BASE_PORT": _whole(1024, 65520),
    "HCCL_CONNECT_TIMEOUT": _whole(120, 7200),
    "HCCL_EXEC_TIMEOUT": _whole(0),
    "HCCL_BUFFSIZE": _whole(1),
    "HCCL_WHITELIST_DISABLE": _SWITCH,
    "HCCL_INTRA_ROCE_ENABLE": _SWITCH,
    "HCCL_INTRA_PCIE_ENABLE": _SWITCH,
    "HCCL_RDMA_TC": _whole(0, 255, 4),
    "HCCL_RDMA_SL": _whole(0, 7),
    "HCCL_RDMA_TIMEOUT": _whole(5, 20),
}
