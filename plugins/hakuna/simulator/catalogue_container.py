# SPDX-License-Identifier: Apache-2.0
"""Faults of the containers: what the engine did, what is visible inside."""

from __future__ import annotations

from hakuna.simulator.fault_kind import FaultKind, Scope, Shows

_GATE = "every later stage"
_D, _N = Scope.DEVICE, Scope.NODE

FAULTS = (
    FaultKind("container-refused", _N, "the engine can not start the container", "CTR301", _GATE, source="guide 1"),
    FaultKind(
        "device-not-in-container", _D, "/dev/davinciN is absent inside the container", "CTR303", _GATE, "guide 1"
    ),
    FaultKind(
        "driver-inside-differs",
        _N,
        "the container brings a driver of its own",
        "CTR305",
        _GATE,
        source="vllm-ascend #2698",
    ),
    FaultKind("shm-small", _N, "shared memory is 64M inside the container", "CTR306", _GATE, "guide 1"),
    FaultKind("model-not-inside", _N, "the model's directory is not mounted", "CTR307", _GATE, "guide 1"),
    FaultKind("cann-inside-differs", _N, "another CANN inside the container", "CTR309", _GATE, "guide 0"),
    FaultKind(
        "lease-lost",
        _N,
        "another run takes the node between the look and the start",
        "CTR300",
        "CTR301; every later stage",
        "teuthology #438, #1688",
    ),
    FaultKind(
        "container-exits",
        _N,
        "the engine says that it started, and the container ends at once",
        "CTR301",
        "all about the container; every later stage",
        "guide 1 (entrypoint)",
    ),
    FaultKind(
        "name-taken",
        _N,
        "somebody else's container has the name already, and runs",
        "CTR301",
        "all about the container; every later stage",
        "ROCm/cvs: docker rm -f before start, without a label",
    ),
    FaultKind("bridge-network", _N, "a site's docker wrapper drops --net=host", "CTR302", _GATE, "guide 1"),
    FaultKind("not-privileged", _N, "the daemon refuses --privileged in silence", "CTR302", _GATE, "guide 1"),
    FaultKind(
        "mount-missing",
        _N,
        "the driver's mount is left out of docker run",
        "CTR302",
        "CTR304, CTR305; every later stage",
        "gpustack/runtime #28; vllm-ascend #2698",
    ),
    FaultKind("tools-not-inside", _N, "the image has no ray on its PATH", "CTR304", _GATE, "vllm-ascend #2698"),
    FaultKind(
        "ray-differs",
        _N,
        "another Ray inside the container",
        "CTR308",
        "CTR310; every later stage",
        "Ray: Version mismatch: The cluster was started with",
    ),
    FaultKind(
        "python-differs",
        _N,
        "another Python inside the container",
        "CTR308",
        "CTR310; every later stage",
        "Ray: Version mismatch (Python)",
    ),
    FaultKind(
        "lmdeploy-not-there",
        Scope.CLUSTER,
        "the image brings no LMDeploy",
        "CTR310",
        _GATE,
        "guide 1",
        shows=Shows.NODES,
    ),
    FaultKind(
        "lmdeploy-too-old",
        Scope.CLUSTER,
        "the image brings LMDeploy 0.7.3, which knows no Ray on Ascend",
        "CTR313",
        _GATE,
        "lmdeploy #3260",
        shows=Shows.CLUSTER,
    ),
    FaultKind(
        "old-image-runs",
        _N,
        "the tag is right, and the container runs the image from before",
        "CTR311",
        _GATE,
        "guide 1 (a2-latest moves)",
    ),
)
