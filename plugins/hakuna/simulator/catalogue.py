# SPDX-License-Identifier: Apache-2.0
"""The catalogue of faults: what each one does to a simulated cluster, and which rule is to find it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class Scope(enum.Enum):
    """What a fault belongs to. DEVICE faults may be given a node: then all its devices have it."""

    CLUSTER = "cluster"
    NODE = "node"
    DEVICE = "device"
    NODE_PAIR = "node pair"
    PAIR = "device pair"


@dataclass(frozen=True)
class FaultKind:
    """One entry. ``rule`` is the code that must report it, ``blocks`` what can not be judged because of it."""

    name: str
    scope: Scope
    summary: str
    rule: str
    blocks: str = ""
    source: str = ""


_GATE = "every later stage"
_D, _N = Scope.DEVICE, Scope.NODE

_HOST = (
    FaultKind("dead-host", _N, "the node does not answer at all", "HST101", "all about the node; every later stage"),
    FaultKind(
        "host-key-changed",
        _N,
        "the node has another host key than known_hosts",
        "HST102",
        "all about the node; every later stage",
    ),
    FaultKind(
        "login-refused", _N, "the node refuses every credential", "HST103", "all about the node; every later stage"
    ),
    FaultKind(
        "connection-cut",
        _N,
        "the connection breaks before the first command",
        "HST104",
        "all about the node; every later stage",
    ),
    FaultKind("lease-held", _N, "another run holds the node", "HST105", "HST107; every later stage"),
    FaultKind(
        "leftover-container",
        _N,
        "a container of another run is still there",
        "HST106",
        "HST107, HST108; every later stage",
        "guide 2.4",
    ),
    FaultKind("port-taken", _N, "redis-server listens on Ray's port", "HST107", _GATE, "vllm-ascend #405, #1955"),
    FaultKind("foreign-process", _D, "somebody's python runs on the NPU", "HST108", _GATE, "LlamaFactory #3839"),
    FaultKind("driver-differs", _N, "another driver version", "HST109", _GATE, "guide 0"),
    FaultKind("firmware-differs", _N, "another firmware version", "HST110", _GATE, "guide 0"),
    FaultKind("npu-smi-differs", _N, "npu-smi of another release than the driver", "HST111", _GATE),
    FaultKind("host-cann-differs", _N, "another CANN version on the host", "HST112", _GATE, "guide 0"),
    FaultKind(
        "tool-missing", _N, "hccn_tool is not installed", "HST113", "all checks of tools and network; every later stage"
    ),
    FaultKind(
        "npu-missing",
        _D,
        "the card fell off the bus",
        "HST114",
        "HST115, HST116, NET207; every later stage",
        "faultdiag: Invalid card id",
    ),
    FaultKind("npu-unhealthy", _D, "npu-smi says Health: Alarm", "HST115", _GATE, "faultdiag A4025021"),
    FaultKind("firmware-unfit", _D, "npu-smi says that driver and firmware do not fit", "HST116", _GATE),
    FaultKind("device-node-missing", _D, "/dev/davinciN is absent", "HST117", _GATE, "guide 1"),
    FaultKind("clock-skew", _N, "the clock is 30 s ahead", "HST118"),
    FaultKind("low-disk", _N, "1 GiB is left on /", "HST119", _GATE),
    FaultKind("engine-down", _N, "the container engine's daemon does not run", "HST120", "HST121; every later stage"),
    FaultKind("image-differs", _N, "the image's tag stands for another digest", "HST121", _GATE, "guide 0"),
    FaultKind("model-missing", _N, "there is no model directory", "HST122", _GATE),
    FaultKind("model-differs", _N, "one weight file is shorter than on the other nodes", "HST122", _GATE),
    FaultKind(
        "interface-missing",
        _N,
        "the inventory's interface does not exist; the address is on bond0",
        "HST123",
        _GATE,
        "guide 2.1",
    ),
    FaultKind("hostname-loopback", _N, "the hostname resolves to 127.0.1.1", "HST124", _GATE),
    FaultKind("hostname-duplicate", _N, "the node has the first node's hostname", "HST125", _GATE),
    FaultKind(
        "tcp-blocked",
        Scope.NODE_PAIR,
        "ports 60000 and above time out from the one node to the other",
        "HST126",
        _GATE,
        "hicann/hccl cluster_info_nego.md",
    ),
    FaultKind("ports-not-reserved", _N, "HCCL's ports are inside the ephemeral range", "HST127"),
    FaultKind("low-nofile", _N, "1024 open files", "HST128"),
)

_NETWORK = (
    FaultKind(
        "no-device-ip",
        _D,
        "no IP is set on the device",
        "NET201",
        "NET202-NET206, NET210, the mesh; every later stage",
        "gpustack #2551",
    ),
    FaultKind(
        "duplicate-device-ip",
        _D,
        "the device has the address of the first node's first device, live and in hccn.conf",
        "NET202",
        "NET220, RNK406; every later stage",
        "HCCL: device_ip is already exist",
    ),
    FaultKind(
        "mixed-families",
        _D,
        "the device has an IPv6 address where the others have IPv4 (or the reverse)",
        "NET203",
        _GATE,
        "hicann/hccl EI0001",
    ),
    FaultKind("tls-differs", _D, "the TLS switch is 1; nothing else changes", "NET204", _GATE, "guide 5.2"),
    FaultKind(
        "unparsed-tls", _D, "hccn_tool -tls -g prints text that nobody knows (verdict UNPARSED)", "NET204", _GATE
    ),
    FaultKind("hung-tool", _D, "hccn_tool -tls -g never ends (verdict ERROR)", "NET204", _GATE),
    FaultKind(
        "stale-hccn-conf", _D, "address_N in /etc/hccn.conf is not the live one", "NET205", _GATE, "vllm-ascend #16847"
    ),
    FaultKind(
        "wrong-netmask",
        _D,
        "another netmask than the other devices",
        "NET206",
        "NET220; every later stage",
        "guide 5.1",
    ),
    FaultKind(
        "link-down",
        _D,
        "the link is down: net_health Fault, pings fail",
        "NET207",
        "NET208, NET209, NET211, NET220, NET221; every later stage",
    ),
    FaultKind(
        "net-health-bad", _D, "net_health says Receive timeout although the link is up", "NET208", _GATE, "faultdiag"
    ),
    FaultKind(
        "link-flaps", _D, "the link went down 5 times since the device started", "NET209", "", "faultdiag link_stat"
    ),
    FaultKind("gateway-missing", _D, "no gateway is set, with devices in several subnets", "NET210", _GATE),
    FaultKind("lldp-silent", _D, "the switch does not speak LLDP", "NET211"),
    FaultKind("certificate-expiring", _D, "the device's certificate ends in 5 days", "NET213"),
    FaultKind(
        "device-unreachable",
        _D,
        "all pings to and from the device are lost; its link is up and its health Success",
        "NET220",
        _GATE,
        "guide 5.1",
    ),
    FaultKind(
        "one-way-loss",
        Scope.PAIR,
        "pings from the one device to the other are lost; the reverse works",
        "NET220",
        _GATE,
    ),
    FaultKind("partial-loss", _D, "one of three packets is lost to and from the device", "NET221", _GATE, "guide 0"),
    FaultKind("slow-pair", Scope.PAIR, "pings from the one device to the other take 40 ms", "NET222", "", "guide 0"),
)

_CONTAINER = (
    FaultKind("container-refused", _N, "the engine can not start the container", "CTR301", _GATE),
    FaultKind(
        "device-not-in-container", _D, "/dev/davinciN is absent inside the container", "CTR303", _GATE, "guide 1"
    ),
    FaultKind("driver-inside-differs", _N, "the container brings a driver of its own", "CTR305", _GATE),
    FaultKind("shm-small", _N, "shared memory is 64M inside the container", "CTR306", _GATE, "guide 1"),
    FaultKind("model-not-inside", _N, "the model's directory is not mounted", "CTR307", _GATE, "guide 1"),
    FaultKind("cann-inside-differs", _N, "another CANN inside the container", "CTR309", _GATE, "guide 0"),
)

_TABLE = (
    FaultKind(
        "duplicate-rank-id",
        Scope.CLUSTER,
        "a site's script gives the last device the rank of another one",
        "RNK402",
        "RNK403, RNK409; every later stage",
        "guide 3",
    ),
    FaultKind(
        "rank-gap",
        Scope.CLUSTER,
        "a site's script leaves a number out of the ranks",
        "RNK403",
        "RNK409; every later stage",
        "guide 3",
    ),
    FaultKind(
        "wrong-server-id",
        Scope.CLUSTER,
        "a site's script writes node_0, node_1 as the guide's example has it",
        "RNK405",
        "RNK406; every later stage",
        "guide 3",
    ),
    FaultKind("table-differs", _N, "the node's table has another device_ip", "RNK407", _GATE, "guide 3"),
)

_SERVICE = (
    FaultKind(
        "variable-missing",
        _N,
        "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES is not in the raylet's environment",
        "RAY505",
        _GATE,
        "guide 2.1",
    ),
    FaultKind(
        "worker-missing", _N, "ray start says that it started, but the node never joins", "RAY503", _GATE, "guide 2.4"
    ),
    FaultKind(
        "npu-resource-zero", _N, "the node joins without an NPU resource", "RAY504", _GATE, "dlinfer NPU resource patch"
    ),
    FaultKind(
        "eager-missing",
        Scope.CLUSTER,
        "a wrapper drops --eager-mode from the server's arguments",
        "SRV703",
        "the generation stage",
        "guide 4.1",
    ),
    FaultKind("server-dies", Scope.CLUSTER, "the server dies while it loads", "SRV701", "the generation stage"),
    FaultKind("server-never-ready", Scope.CLUSTER, "the server never listens", "SRV701", "the generation stage"),
    FaultKind("garbage-generation", Scope.CLUSTER, "the server answers with babble", "GEN805"),
)

#: Every fault by its name, in the order of the stages.
CATALOGUE: Mapping[str, FaultKind] = MappingProxyType(
    {kind.name: kind for kind in (*_HOST, *_NETWORK, *_CONTAINER, *_TABLE, *_SERVICE)}
)


def markdown() -> str:
    """The catalogue as a Markdown table."""
    rows = ["| fault | where | what is wrong | reported by | blocks |", "|---|---|---|---|---|"]
    rows += [
        f"| `{k.name}` | {k.scope.value} | {k.summary} | {k.rule} | {k.blocks or '-'} |" for k in CATALOGUE.values()
    ]
    return "\n".join(rows) + "\n"
