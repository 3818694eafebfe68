# SPDX-License-Identifier: Apache-2.0
"""The CPU twin: what lets the unmodified LMDeploy serve with ``--device ascend`` on a machine without an NPU.

``site/`` goes on PYTHONPATH and holds stand-ins for torch_npu, dlinfer and acl; nothing of LMDeploy or Ray is patched.
``reference_model`` makes the model that is served, ``packages`` installs what is served with.

What a run on the twin does not show: HCCL (gloo over the host network does its work, so no rank table, device IP or
HCCL variable has an effect below LMDeploy), the kernels (plain PyTorch computes, 16 and 32 bit floats only), graph
mode, quantisation, MoE, MLA, vision, the memory of a device and the words of CANN's errors.

What it shows and hardware may not: gloo waits for the other ranks inside the call, where HCCL only queues the work. A
worker that has begun its next step when the engine is told to stop therefore never ends, and ``pipeline`` with tp=16
never closes: Hakuna ends it a minute after its answer and warns (GEN804).
"""
