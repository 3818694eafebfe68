# SPDX-License-Identifier: Apache-2.0
"""LMDeploy imports this for its effect: from here on "cuda" means the NPU, which here is the CPU."""

from torch_npu.contrib import transfer_to_npu  # noqa: F401  # for its effect

from dlinfer.framework.lmdeploy_ext import broken
from dlinfer.framework.lmdeploy_ext import device as device

broken.install()
