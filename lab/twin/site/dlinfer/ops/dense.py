# SPDX-License-Identifier: Apache-2.0
"""The operators that are the same in every release of LMDeploy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dlinfer.ops.attention import paged


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, all_reduce: bool = False, group: str = "") -> Tensor:
    """Weighted sum plus bias. LMDeploy sums up over the ranks itself and never sets ``all_reduce``."""
    if all_reduce:
        raise NotImplementedError(f"the CPU twin has no fused all-reduce (group {group!r})")
    return functional.linear(x, weight, bias)


def silu_and_mul(x: Tensor, dim: int = -1) -> Tensor:
    """SwiGLU: the first half gates the second."""
    gate, up = x.chunk(2, dim)
    return functional.silu(gate) * up


def rms_norm(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square norm, its mean in 32 bits."""
    exact = hidden.float()
    scale = torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + epsilon)
    return (exact * scale).to(hidden.dtype) * weight


def add_rms_norm(hidden: Tensor, residual: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """The norm of a sum, and the sum."""
    added = hidden + residual
    return rms_norm(added, weight, epsilon), added


def apply_rotary_pos_emb(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate the first dimensions of every head, half against half (NeoX); the rest of a head stays.

    query and key are (..., tokens, heads, size); cos and sin (..., tokens, rotated), each half the same.
    """
    width = cos.shape[-1]
    cos, sin = cos.reshape(-1, 1, width), sin.reshape(-1, 1, width)

    def turn(x: Tensor) -> Tensor:
        flat = x.reshape(-1, *x.shape[-2:])
        first, second = flat[..., :width].chunk(2, -1)
        turned = flat[..., :width] * cos + torch.cat((-second, first), -1) * sin
        return torch.cat((turned, flat[..., width:]), -1).view(x.shape)

    return turn(query), turn(key)


def fill_kv_cache(
    key: Tensor,
    value: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    slots: Tensor,
    k_scales_zeros: Sequence[Tensor | None] = (),
    v_scales_zeros: Sequence[Tensor | None] = (),
    quant_bits: int = 0,
) -> tuple[Tensor, Tensor]:
    """Write each token's key and value into its slot: block * block size + offset; caches are (block, offset, ...)."""
    del k_scales_zeros, v_scales_zeros
    if quant_bits:
        raise NotImplementedError("the CPU twin has no quantised cache")
    flat = slots.reshape(-1).long()
    for cache, new in ((key_cache, key), (value_cache, value)):
        size = cache.shape[1]
        cache[flat // size, flat % size] = new.reshape(-1, *cache.shape[2:]).to(cache.dtype)
    return key_cache, value_cache


def paged_decode_attention(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    block_size: int,
    q_ends: Tensor,
    kv_lengths: Tensor,
    max_kv_length: int | None,
    q_heads: int,
    kv_heads: int,
    head_size_v: int = 0,
    softmax_scale: float | None = None,
    alibi_slopes: Sequence[float] | None = None,
    attn_output: Tensor | None = None,
    kv_scales: Tensor | None = None,
    kv_zeros: Tensor | None = None,
    quant_bits: int | None = 0,
) -> Tensor:
    """One new token for each sequence, against its cache."""
    del max_kv_length, q_heads, kv_heads, head_size_v, alibi_slopes, kv_scales, kv_zeros, quant_bits
    ends, lengths = q_ends.tolist(), kv_lengths.tolist()
    return paged(query, key_cache, value_cache, block_table, block_size, ends, lengths, softmax_scale, attn_output)
