# SPDX-License-Identifier: Apache-2.0
"""Several faults at once: as many causes are to be named, each once, and what one hides is not to be guessed at."""

from __future__ import annotations

from hakuna.simulator.fault_kind import Combination

COMBINED = (
    Combination(
        "two-switches",
        ("tls-differs@node-b/3", "tls-differs@node-a/5"),
        ("NET204 on node-a/5", "NET204 on node-b/3"),
        "one device of each node has another TLS switch",
        "vllm-ascend #10224",
    ),
    Combination(
        "switch-and-stale-conf",
        ("tls-differs@node-b/3", "stale-hccn-conf@node-a/1"),
        ("NET204 on node-b/3", "NET205 on node-a/1"),
        "device and direction of two different rules",
        "vllm-ascend #10224, #16847",
    ),
    Combination(
        "dead-host-hides-its-devices",
        ("dead-host@node-b", "link-down@node-b/3", "tls-differs@node-a/3"),
        ("HST101 on node-b", "NET204 on node-a/3"),
        "what the dead node's devices have cannot be seen, and is not told",
        "pytest-testinfra #449",
    ),
    Combination(
        "missing-device-and-switch",
        ("npu-missing@node-b/6", "tls-differs@node-a/2"),
        ("HST114 on node-b/6", "NET204 on node-a/2"),
        "a device that is not there has no pairs; another one's switch differs",
        "vllm-ascend #8519, #10224",
    ),
    Combination(
        "driver-and-no-address",
        ("driver-differs@node-b", "no-device-ip@node-a/0"),
        ("HST109 on node-b", "NET201 on node-a/0"),
        "a node and a device",
        "gpustack #755, #2551",
    ),
    Combination(
        "two-dead-devices",
        ("device-unreachable@node-b/3", "device-unreachable@node-a/5"),
        ("NET220 on node-a/5", "NET220 on node-b/3"),
        "two devices, and the pair between them is no third cause",
        "vllm-ascend #9447, #168",
    ),
    Combination(
        "one-way-and-loopback",
        ("one-way-loss@node-b/3>node-a/0", "hostname-loopback@node-a"),
        ("HST124 on node-a", "NET220 on node-b/3 -> node-a/0"),
        "one direction of one pair, and a name",
        "vllm-ascend #168; gpustack #2125",
    ),
    Combination(
        "lost-way-and-slow-pair",
        ("one-way-loss@node-b/3>node-a/0", "slow-pair@node-a/5>node-b/6"),
        ("NET220 on node-b/3 -> node-a/0", "NET222 on node-a/5 -> node-b/6"),
        "a pair that is lost explains itself, and no other pair",
        "vllm-ascend #168; guide 0",
    ),
    Combination(
        "loss-and-clock",
        ("partial-loss@node-b/3", "clock-skew@node-b"),
        ("NET221 on node-b/3", "HST118 on node-b"),
        "a device and its own node, which are independent",
        "vllm-ascend #168; tt-metal 35914",
    ),
    Combination(
        "stale-conf-and-bad-table",
        ("stale-hccn-conf@node-b/2", "duplicate-rank-id"),
        ("NET205 on node-b/2", "NET230 on node-b/7"),
        "a site's own table gives a rank twice, and a file of the same node is stale",
        "vllm-ascend #16847; gpustack #2821",
        {"rank_table.generate": False},
    ),
    Combination(
        "bad-table-is-never-made",
        ("stale-hccn-conf@node-b/2", "duplicate-rank-id"),
        ("NET205 on node-b/2",),
        "the same where the run makes the table: it is not made, so nothing is wrong with it yet",
        "vllm-ascend #16847",
    ),
    Combination(
        "two-faults-of-one-table",
        ("table-not-completed", "duplicate-rank-id"),
        ("RNK402 on node-b/7", "RNK408 on cluster"),
        "an entry, and the table as a whole",
        "gpustack #2821; MindIE global rank table (status initializing)",
    ),
    Combination(
        "small-shm-and-hidden-device",
        ("shm-small@node-a", "device-not-in-container@node-b/3"),
        ("CTR303 on node-b/3", "CTR306 on node-a"),
        "the containers of two nodes",
        "guide 1",
    ),
    Combination(
        "variable-and-resource",
        ("variable-missing@node-b", "npu-resource-zero@node-a"),
        ("RAY504 on node-a", "RAY505 on node-b"),
        "two nodes of one Ray cluster",
        "gpustack #3352; ray #55137",
    ),
    Combination(
        "worker-and-leftover",
        ("worker-no-memory@node-b/3", "container-survives@node-a"),
        ("SRV710 on node-b/3", "TDN902 on node-a"),
        "a worker fails, and then a container cannot be removed",
        "lmdeploy #3354; cilium-cli #67",
    ),
    Combination(
        "answer-and-leftover",
        ("completions-fail", "container-survives@node-b"),
        ("GEN801 on node-a", "TDN902 on node-b"),
        "the last stage and the teardown",
        "lmdeploy #3354; cilium-cli #67",
    ),
)
