# SPDX-License-Identifier: Apache-2.0
"""LMDeploy imports this for its effect: from here on "cuda" means the NPU, which here is the CPU."""

from importlib import metadata

from torch_npu.contrib import transfer_to_npu  # noqa: F401  # for its effect

from dlinfer.framework.lmdeploy_ext import broken, kernels
from dlinfer.framework.lmdeploy_ext import device as device
from dlinfer.ops.era import imports_triton

broken.install()
if imports_triton(metadata.version("lmdeploy")):
    kernels.install()
