# SPDX-License-Identifier: Apache-2.0
"""Stand-in for torch_npu: ``torch.npu`` without a device behind it, and a process-group backend "hccl" that is gloo.

Does not show: HCCL, device memory, streams that overlap, the words of CANN's errors.
"""

from __future__ import annotations

import functools
import sys
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from torch_npu import npu

__version__ = "2.9.0+cpu.twin"


def _hccl(store: Any, rank: int, size: int, timeout: timedelta) -> Any:
    return dist.ProcessGroupGloo(store, rank, size, timeout)


def _npu_is_here(place: Any) -> Any:
    """A device argument "npu" or "npu:3" as "cpu"; everything else as it is."""
    return "cpu" if isinstance(place, str) and place.partition(":")[0] == "npu" else place


def _moved(to: Any) -> Any:
    @functools.wraps(to)
    def call(self: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        if "device" in options:
            options["device"] = _npu_is_here(options["device"])
        return to(self, *(_npu_is_here(a) for a in arguments), **options)

    return call


def npu_fusion_attention(*_arguments: Any, **_options: Any) -> NoReturn:
    """Has to exist: transformers imports it as soon as there is a torch_npu.

    Without it AutoTokenizer fails, and LMDeploy then serves with an empty chat template and says nothing.
    """
    raise NotImplementedError("the CPU twin has no npu_fusion_attention")


torch.npu = npu  # type: ignore[attr-defined]
sys.modules["torch.npu"] = npu
torch.Tensor.to = _moved(torch.Tensor.to)  # type: ignore[method-assign]  # with the real one, "npu" is a device
if dist.is_available() and "hccl" not in dist.Backend.backend_list:
    dist.Backend.register_backend("hccl", _hccl, devices=["cpu"])
