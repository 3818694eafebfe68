# SPDX-License-Identifier: Apache-2.0
"""Faults that only the workers' own logs tell of: one rank fails; the others, whom the server repeats, wait for it."""

from __future__ import annotations

from hakuna.simulator.fault_kind import FaultKind, Scope, Shows

_GATE = "SRV701 to SRV709; the generation stage"


def _fault(name: str, scope: Scope, summary: str, source: str, shows: Shows = Shows.HERE) -> FaultKind:
    return FaultKind(name, scope, summary, "SRV710", _GATE, source, shows=shows)


FAULTS = (
    _fault(
        "worker-port-taken",
        Scope.DEVICE,
        "the device's port 16666 is taken: EI0019 in the plog of one rank, EI0006 in those of all others",
        "vllm-ascend #1955; hicann/hccl param_link_stage.md (EI0019)",
    ),
    _fault(
        "worker-hccp-left",
        Scope.DEVICE,
        "an HCCP process of before still has the device: EJ0001",
        "LlamaFactory #3839; verl #332",
    ),
    _fault("worker-port-down", Scope.DEVICE, "the link goes down while the ranks connect: EJ0002", "vllm-ascend #9447"),
    _fault(
        "worker-other-address",
        Scope.DEVICE,
        "the device's address was changed after the look: EI0014",
        "vllm-ascend #16847; hicann/hccl rank_table_load_fail.md",
    ),
    _fault(
        "worker-interface",
        Scope.NODE,
        "HCCL_SOCKET_IFNAME names no interface of the node: EI0001 of all its ranks",
        "hicann/hccl env_config_error_EI0001.md; vllm-ascend #2879",
    ),
    _fault(
        "worker-no-memory",
        Scope.DEVICE,
        "the device's memory is full: NPU out of memory in one worker",
        "lmdeploy #3354",
    ),
    _fault(
        "worker-crashes",
        Scope.DEVICE,
        "one worker ends with a segmentation fault",
        "lmdeploy #4407 (Process mp_engine_proc)",
    ),
    _fault(
        "worker-killed",
        Scope.DEVICE,
        "Ray kills a worker because the host's memory is full",
        "vllm #1160 (killed due to memory pressure)",
    ),
    _fault(
        "worker-hangs",
        Scope.DEVICE,
        "one rank hangs and says nothing; all others say EI0006",
        "vllm-ascend #5461; hicann/hccl param_link_stage.md (EI0006)",
    ),
    _fault(
        "ranks-not-connected",
        Scope.NODE,
        "the node's ranks never come to the root: EI0015 on all others",
        "vllm-ascend #167 (1 of 8 joined); hicann/hccl cluster_info_nego.md",
    ),
    _fault(
        "worker-tls-differs",
        Scope.DEVICE,
        "the TLS switch was changed after the look: EI0016 names the ranks on either side",
        "vllm-ascend #10224; hicann/hccl cluster_info_verify_fail.md",
    ),
    _fault(
        "worker-no-way",
        Scope.PAIR,
        "no way between two devices: both say EI0006 of each other",
        "vllm-ascend #9447, #5461",
    ),
    _fault(
        "worker-way-breaks",
        Scope.PAIR,
        "a link breaks under load: error CQE (EI0013) on one end, EI0002 on all others",
        "hicann/hccl task_exec_stage.md (EI0013)",
    ),
    FaultKind(
        "worker-full-in-request",
        Scope.DEVICE,
        "the server came up; in the first long request one device's memory is full, and the engine stops",
        "GEN814",
        "the generation stage",
        "lmdeploy #3354, #3637",
    ),
    FaultKind(
        "way-breaks-in-request",
        Scope.PAIR,
        "the server came up; in the first long request a link breaks (EI0013), and the engine stops",
        "GEN814",
        "the generation stage",
        "hicann/hccl task_exec_stage.md (EI0013)",
    ),
)
