# SPDX-License-Identifier: Apache-2.0
"""The rows of the launch: eager mode, environment, how a death shows."""

from __future__ import annotations

from .row import A2, A3, DUO, Behaviour, EagerDemand, Row, Topology

ROWS: tuple[Row, ...] = (
    Row(
        "eager-forbidden-300i-duo",
        Behaviour.EAGER,
        EagerDemand.FORBIDDEN,
        "Atlas 300I Duo runs in graph mode with fp16 only",
        "LMDeploy docs get_started/ascend",
        chips=(DUO,),
    ),
    Row(
        "eager-free-one-node",
        Behaviour.EAGER,
        EagerDemand.FREE,
        "on one node LMDeploy's Ascend backend works with and without eager mode",
        "LMDeploy docs get_started/ascend",
        chips=(A2, A3),
        topology=Topology.ONE,
    ),
    Row(
        "eager-required-before-0.15.0",
        Behaviour.EAGER,
        EagerDemand.REQUIRED,
        "across nodes LMDeploy up to 0.14.0 works in eager mode only; without it dlinfer's ATB graph selects "
        "lccl, which "
        'cannot span nodes ("rankSize [16] is invalid")',
        "guide 0 and 4 (dlinfer 4c329c9, #290); xllm #498",
        until="0.15.0",
        chips=(A2, A3),
        topology=Topology.SEVERAL,
    ),
    Row(
        "eager-advised-from-0.15.0",
        Behaviour.EAGER,
        EagerDemand.ADVISED,
        "from LMDeploy 0.15.0 on the guide's successor no longer asks for --eager-mode, but keeps tensor "
        "parallelism across "
        "nodes for quick feasibility only; eager mode is the path that is known to work",
        "dlinfer #331 (b44fbe0, 2026-07-03)",
        since="0.15.0",
        chips=(A2, A3),
        topology=Topology.SEVERAL,
    ),
    Row(
        "environment-of-the-raylet-before-0.15.0",
        Behaviour.FORWARDED,
        (),
        "LMDeploy up to 0.14.0 forwards no environment to Ascend workers: they have only what the raylet had",
        "ray_executor.py up to 0.14.0 (no runtime_env for Ascend)",
        until="0.15.0",
    ),
    Row(
        "environment-forwarded-from-0.15.0",
        Behaviour.FORWARDED,
        ("HCCL_BUFFSIZE", "HCCL_CONNECT_TIMEOUT", "HCCL_OP_EXPANSION_MODE", "HCCL_IF_IP"),
        "LMDeploy from 0.15.0 on forwards HCCL_BUFFSIZE, HCCL_CONNECT_TIMEOUT, HCCL_OP_EXPANSION_MODE, HCCL_IF_IP and "
        "LMDEPLOY_*; GLOO_* and HCCL_SOCKET_IFNAME still come from the raylet",
        "lmdeploy/pytorch/envs.py from 0.15.0",
        since="0.15.0",
    ),
    Row(
        "if-ip-one-node",
        Behaviour.IF_IP,
        False,
        "on one node there is nobody that HCCL_IF_IP could leak to",
        "all workers are on the node whose address it is",
        topology=Topology.ONE,
    ),
    Row(
        "if-ip-kept-before-0.15.0",
        Behaviour.IF_IP,
        False,
        "LMDeploy up to 0.14.0 does not forward HCCL_IF_IP: each worker has its own raylet's",
        "ray_executor.py up to 0.14.0 (no runtime_env for Ascend)",
        until="0.15.0",
        topology=Topology.SEVERAL,
    ),
    Row(
        "if-ip-leaks-from-0.15.0",
        Behaviour.IF_IP,
        True,
        "LMDeploy from 0.15.0 on forwards the serving shell's HCCL_IF_IP to the workers of every node: those "
        "of other nodes "
        "then bind an address that they do not have",
        "runtime_env (lmdeploy/pytorch/envs.py); reproduced with 0.18.0 and Ray 2.60",
        since="0.15.0",
        topology=Topology.SEVERAL,
    ),
    Row(
        "noset-always",
        Behaviour.NOSET,
        True,
        "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES must be set before ray start: LMDeploy sets it in "
        "its own process "
        "only, and Ray then hides all but one device from each worker",
        "op_backend.py: support_ray(); reproduced with 0.18.0 and Ray 2.60; vllm-ascend #168",
    ),
    Row(
        "death-unseen-before-0.14.0",
        Behaviour.DEATH,
        False,
        "LMDeploy up to 0.13.0 hangs when its engine process dies in its start",
        "mp_engine/zmq_engine.py up to 0.13.0; lmdeploy #3354",
        until="0.14.0",
    ),
    Row(
        "death-told-from-0.14.0",
        Behaviour.DEATH,
        True,
        'LMDeploy from 0.14.0 on: "PyTorch ZMQ engine process exited before publishing RPC server port."',
        "mp_engine/zmq_engine.py from 0.14.0",
        since="0.14.0",
    ),
)
