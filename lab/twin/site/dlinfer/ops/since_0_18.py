# SPDX-License-Identifier: Apache-2.0
"""Prefill as LMDeploy 0.18.0 calls it: sequences are told by where they end."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dlinfer.ops.attention import packed, paged


def prefill_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_cache: Tensor | None,
    value_cache: Tensor | None,
    q_lengths: Tensor,
    kv_lengths: Tensor,
    max_q_length: int,
    q_heads: int,
    kv_heads: int,
    attn_mask: Sequence[Tensor | None],
    softmax_scale: float | None = None,
    alibi_slopes: Sequence[float] | None = None,
    attn_output: Tensor | None = None,
    actual_seq_lengths_cpu: Tensor | None = None,
) -> Tensor:
    """Prompts without a history; an empty mask means that every token sees every other one."""
    del key_cache, value_cache, kv_lengths, max_q_length, q_heads, kv_heads, alibi_slopes
    ends = q_lengths.cumsum(0) if actual_seq_lengths_cpu is None else actual_seq_lengths_cpu
    return packed(query, key, value, ends.tolist(), softmax_scale, attn_output, causal=len(attn_mask) > 0)


def paged_prefill_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    block_size: int,
    q_ends: Tensor,
    kv_lengths: Tensor,
    max_q_length: int,
    max_kv_length: int,
    q_heads: int,
    kv_heads: int,
    attn_mask: Sequence[Tensor | None],
    head_size_v: int = 0,
    softmax_scale: float | None = None,
    alibi_slopes: Sequence[float] | None = None,
    attn_output: Tensor | None = None,
    kv_scales: Tensor | None = None,
    kv_zeros: Tensor | None = None,
    quant_bits: int | None = 0,
) -> Tensor:
    """Prompts with a history, as chunks of a long prompt are."""
    del key, value, max_q_length, max_kv_length, q_heads, kv_heads, attn_mask, head_size_v
    del alibi_slopes, kv_scales, kv_zeros, quant_bits
    ends, lengths = q_ends.tolist(), kv_lengths.tolist()
    return paged(query, key_cache, value_cache, block_table, block_size, ends, lengths, softmax_scale, attn_output)
