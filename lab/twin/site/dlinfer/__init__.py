# SPDX-License-Identifier: Apache-2.0
"""Stand-in for dlinfer, the plug-in by which LMDeploy computes on an Ascend chip: here in plain PyTorch.

Does not show: kernels, graph mode, quantisation, MoE, MLA, vision.
"""

import torch_npu  # noqa: F401  # as the real one: with dlinfer there is torch.npu

__version__ = "0.2.8+cpu.twin"
