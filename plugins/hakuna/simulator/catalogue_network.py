# SPDX-License-Identifier: Apache-2.0
"""Faults of the devices' own network: addresses, links, TLS, the mesh."""

from __future__ import annotations

from hakuna.simulator.fault_kind import FaultKind, Scope

_GATE = "every later stage"
_D, _N = Scope.DEVICE, Scope.NODE

FAULTS = (
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
        "hicann/hccl cluster_info_verify_fail.md (device ip family, EI0001)",
    ),
    FaultKind("tls-differs", _D, "the TLS switch is 1; nothing else changes", "NET204", _GATE, "guide 5.2"),
    FaultKind(
        "unparsed-tls",
        _D,
        "hccn_tool -tls -g prints text that nobody knows (verdict UNPARSED)",
        "NET204",
        _GATE,
        verdict="UNPARSED",
        also=("NET213",),
        source="cluster-health-scanner: FAIL_PARSE_RESULT",
    ),
    FaultKind(
        "hung-tool",
        _D,
        "hccn_tool -tls -g never ends (verdict ERROR)",
        "NET204",
        _GATE,
        verdict="ERROR",
        also=("NET213",),
        source="SuperBench #288; ROCm/cvs #269 (timeouts)",
    ),
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
        source="vllm-ascend #9447",
    ),
    FaultKind(
        "net-health-bad",
        _D,
        "net_health says Receive timeout although the link is up",
        "NET208",
        _GATE,
        "Ascend FaultDiag (net_health)",
    ),
    FaultKind(
        "link-flaps",
        _D,
        "the link went down 5 times since the device started",
        "NET209",
        "",
        "Ascend FaultDiag (link_stat)",
        verdict="WARN",
    ),
    FaultKind(
        "gateway-missing",
        _D,
        "no gateway is set, with devices in several subnets",
        "NET210",
        _GATE,
        source="hccn_tool reference (-gateway -g)",
    ),
    FaultKind(
        "lldp-silent",
        _D,
        "the switch does not speak LLDP",
        "NET211",
        verdict="WARN",
        source="vllm-ascend docs: -lldp -g",
    ),
    FaultKind(
        "certificate-expiring",
        _D,
        "the device's certificate ends in 5 days",
        "NET213",
        verdict="WARN",
        source="hccn_tool: tls alarm time threshold",
    ),
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
        source="vllm-ascend #168",
    ),
    FaultKind("partial-loss", _D, "one of three packets is lost to and from the device", "NET221", _GATE, "guide 0"),
    FaultKind("slow-pair", Scope.PAIR, "pings from the one device to the other take 40 ms", "NET222", "", "guide 0"),
    FaultKind(
        "hung-ping",
        Scope.PAIR,
        "hccn_tool -ping from the one device to the other never ends",
        "NET220",
        _GATE,
        "SuperBench #288; ROCm/cvs #269 (timeouts)",
        verdict="ERROR",
        also=("NET221", "NET222"),
    ),
    FaultKind(
        "unparsed-link",
        _D,
        "hccn_tool -link -g prints text that nobody knows",
        "NET207",
        _GATE,
        "cluster-health-scanner: FAIL_PARSE_RESULT",
        verdict="UNPARSED",
    ),
)
