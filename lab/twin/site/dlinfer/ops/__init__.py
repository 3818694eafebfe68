# SPDX-License-Identifier: Apache-2.0
"""The operators of a dense decoder, in plain PyTorch (16 and 32 bit floats; no quantisation, MLA, MoE or vision).

The attention operators' arguments changed with LMDeploy's releases: those of the installed one are taken.
"""

from __future__ import annotations

from importlib import metadata
from typing import NoReturn

from dlinfer.ops.dense import (
    add_rms_norm,
    apply_rotary_pos_emb,
    fill_kv_cache,
    linear,
    paged_decode_attention,
    rms_norm,
    silu_and_mul,
)
from dlinfer.ops.era import speaks_of_lengths

if speaks_of_lengths(metadata.version("lmdeploy")):
    from dlinfer.ops.until_0_14 import paged_prefill_attention, prefill_attention
else:
    from dlinfer.ops.since_0_18 import paged_prefill_attention, prefill_attention  # type: ignore[assignment]

__all__ = [
    "add_rms_norm",
    "apply_rotary_pos_emb",
    "fill_kv_cache",
    "linear",
    "paged_decode_attention",
    "paged_prefill_attention",
    "prefill_attention",
    "rms_norm",
    "silu_and_mul",
]


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(f"the CPU twin has no operator {name}")
