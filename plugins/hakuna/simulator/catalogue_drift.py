# SPDX-License-Identifier: Apache-2.0
"""Drift: the cluster is not what it was in the last good runs, which ``simulation.past`` stands for."""

from __future__ import annotations

from hakuna.simulator.fault_kind import FaultKind, Scope, Shows

_I = Scope.INVENTORY

FAULTS = (
    FaultKind(
        "driver-updated",
        _I,
        "another driver on every node than in the last good run",
        "HST129",
        "",
        "guide 0",
        verdict="WARN",
        shows=Shows.NODES,
        settings={"simulation.past": {"driver": "25.2.0", "firmware": "7.7.0.1.231"}, "simulation.driver": "25.3.0"},
    ),
    FaultKind(
        "device-ip-moved",
        _I,
        "the last device has another address than in the last good run",
        "NET212",
        "",
        "guide 3",
        verdict="WARN",
        shows=Shows.LAST_DEVICE,
        settings={"simulation.past": {"node-a/0 device IP": "10.20.0.10", "node-b/7 device IP": "10.20.1.117"}},
    ),
    FaultKind(
        "mesh-slower",
        _I,
        "every round trip takes three times as long as usual, far below the limit",
        "NET223",
        "",
        "guide 0",
        verdict="WARN",
        shows=Shows.CLUSTER,
        settings={"simulation.past": {"ping_median_ms": [0.07, 0.071, 0.069, 0.07]}, "simulation.slower_mesh": 3.0},
    ),
    FaultKind(
        "package-updated",
        _I,
        "another Ray inside every container than in the last good run",
        "CTR312",
        "",
        "guide 1",
        verdict="WARN",
        shows=Shows.NODES,
        settings={"simulation.past": {"ray": "2.46.0", "lmdeploy": "0.14.0"}, "simulation.ray_version": "2.48.0"},
    ),
    FaultKind(
        "all-reduce-slower",
        _I,
        "the all-reduce is slower than usual",
        "COL604",
        "",
        "guide 5",
        verdict="WARN",
        shows=Shows.CLUSTER,
        settings={"simulation.past": {"allreduce_gbps": [900000.0, 900100.0, 899900.0, 900000.0]}},
    ),
    FaultKind(
        "tokens-slower",
        _I,
        "tokens come slower than usual",
        "GEN813",
        "",
        "guide 4.1",
        verdict="WARN",
        shows=Shows.CLUSTER,
        settings={"simulation.past": {"tokens_per_second": [9e6, 9.1e6, 9e6, 8.9e6]}},
    ),
)
