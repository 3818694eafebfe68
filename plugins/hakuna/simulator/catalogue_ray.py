# SPDX-License-Identifier: Apache-2.0
"""Faults of Ray and of the collective that is run on it."""

from __future__ import annotations

from hakuna.simulator.fault_kind import FaultKind, Scope, Shows

_GATE = "every later stage"
_D, _N = Scope.DEVICE, Scope.NODE

FAULTS = (
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
        "npu-resource-zero",
        _N,
        "the node joins without an NPU resource",
        "RAY504",
        _GATE,
        "dlinfer docs/ascend_ray_npu_resource_patch.md",
    ),
    FaultKind(
        "stale-ray",
        _N,
        "a raylet of another cluster runs on the host",
        "RAY501",
        "RAY505, RAY507; every later stage",
        "vllm-ascend #412, gpustack #4171",
        settings={"container.engine": "none"},
    ),
    FaultKind(
        "ray-start-fails",
        _N,
        "ray start says that it cannot reach the head",
        "RAY502",
        "RAY503; every later stage",
        "vllm-ascend #412",
    ),
    FaultKind(
        "wrong-ray-address",
        _N,
        "the node joins with the address of another interface",
        "RAY503",
        _GATE,
        "vllm-ascend #1364",
    ),
    FaultKind(
        "stray-member",
        Scope.CLUSTER,
        "a machine that is not in the inventory has joined",
        "RAY503",
        _GATE,
        "vllm-ascend #412",
        shows=Shows.CLUSTER,
    ),
    FaultKind(
        "npu-resource-partial",
        _N,
        "Ray sees only one NPU (ASCEND_RT_VISIBLE_DEVICES=0)",
        "RAY504",
        _GATE,
        "ray #55137, #53044",
    ),
    FaultKind(
        "wrong-socket-name", _N, "a profile exports GLOO_SOCKET_IFNAME=docker0", "RAY505", _GATE, "vllm-ascend #946"
    ),
    FaultKind(
        "table-variable-missing",
        _N,
        "ASCEND_RANK_TABLE_FILE_PATH is not in the raylet's environment",
        "RAY506",
        _GATE,
        "guide 3; lmdeploy #3260",
    ),
    FaultKind("two-raylets", _N, "a second raylet was started on the node", "RAY507", _GATE, "gpustack #4171"),
    FaultKind(
        "status-differs",
        Scope.CLUSTER,
        "ray status tells of a member less",
        "RAY508",
        "",
        "lmdeploy autotest: pending nodes counted",
        shows=Shows.CLUSTER,
    ),
    FaultKind(
        "recent-failures",
        Scope.CLUSTER,
        "ray status tells of a node that failed lately",
        "RAY508",
        "",
        "lmdeploy autotest: dead nodes counted as alive",
        verdict="WARN",
        shows=Shows.CLUSTER,
    ),
    FaultKind(
        "raylet-nofile",
        _N,
        "the raylet may open 1024 files",
        "RAY509",
        "",
        "Ascend FaultDiag AISW_CANN_HCCL_004",
        verdict="WARN",
    ),
    FaultKind(
        "collective-wrong-sum",
        _D,
        "the device's rank holds a wrong sum",
        "COL601",
        "COL602, COL603; every later stage",
        "lmdeploy #3354, #3637",
    ),
    FaultKind(
        "collective-wrong-everywhere",
        Scope.CLUSTER,
        "the collective ends, and no rank holds the sum",
        "COL601",
        "COL602, COL603; every later stage",
        "lmdeploy #3354, #3637",
        shows=Shows.CLUSTER,
    ),
    FaultKind(
        "collective-rank-lost",
        _D,
        "what the device's rank puts in is in no sum",
        "COL601",
        "COL602, COL603; every later stage",
        "lmdeploy #3354, #3637",
    ),
    FaultKind(
        "collective-rank-fails",
        _D,
        "the device's rank breaks off, and the others wait for it",
        "COL601",
        "COL602, COL603; every later stage",
        "LlamaFactory #3839; verl #332 (EJ0001)",
    ),
    FaultKind(
        "collective-hangs",
        Scope.CLUSTER,
        "the all-reduce ends in EI0006",
        "COL601",
        "COL602, COL603; every later stage",
        "vllm-ascend #9447, #5461 (EI0006)",
        shows=Shows.CLUSTER,
    ),
    FaultKind(
        "ranks-share-device",
        _D,
        "the device's rank runs on its neighbour",
        "COL602",
        _GATE,
        "lmdeploy ray_executor.py _sort_workers_by_ip",
        shows=Shows.NEIGHBOUR_TOO,
    ),
    FaultKind(
        "slow-collective",
        Scope.CLUSTER,
        "the all-reduce runs at a hundredth of its speed",
        "COL603",
        "",
        "hccl_test guide (alg_bandwidth)",
        shows=Shows.CLUSTER,
        settings={"thresholds.allreduce_gbps": 50.0},
    ),
)
