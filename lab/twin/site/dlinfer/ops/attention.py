# SPDX-License-Identifier: Apache-2.0
"""Attention of sequences that lie one behind the other, with and without a paged cache."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def one(query: Tensor, key: Tensor, value: Tensor, scale: float | None, *, causal: bool = True) -> Tensor:
    """One sequence: query (new, heads, size), key and value (all, kv heads, size); the new tokens are the last ones."""
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, 1).float() for x in (key, value))
    scale = scale or 1 / math.sqrt(query.shape[-1])
    scores = torch.einsum("qhd,khd->hqk", query.float(), key) * scale
    if causal:
        new, every = scores.shape[-2:]
        hidden = torch.ones(new, every, dtype=torch.bool).triu(every - new + 1)
        scores.masked_fill_(hidden, -math.inf)
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), value)


def _spans(ends: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of each sequence that has a token."""
    begin = 0
    for number, end in enumerate(ends):
        if end > begin:
            yield number, begin, end
        begin = max(begin, end)


def _write(fresh: Tensor, into: Tensor | None) -> Tensor:
    """The result where LMDeploy wants it: that may be the query's own memory, so it is written at the very end."""
    return fresh if into is None else into.copy_(fresh)


def packed(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ends: Sequence[int],
    scale: float | None,
    into: Tensor | None,
    *,
    causal: bool,
) -> Tensor:
    """Whole prompts, none with a history."""
    fresh = torch.zeros_like(query if into is None else into)
    for _, begin, end in _spans(ends):
        span = slice(begin, end)
        fresh[span] = one(query[span], key[span], value[span], scale, causal=causal).to(fresh.dtype)
    return _write(fresh, into)


def paged(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    block_size: int,
    ends: Sequence[int],
    lengths: Sequence[int],
    scale: float | None,
    into: Tensor | None,
) -> Tensor:
    """New tokens whose keys and values, and all those before them, are in the cache already."""
    fresh = torch.zeros_like(query if into is None else into)
    for number, begin, end in _spans(ends):
        length = lengths[number]
        blocks = block_table[number, : (length + block_size - 1) // block_size].long()
        key, value = (c[blocks].reshape(-1, *c.shape[2:])[:length] for c in (key_cache, value_cache))
        fresh[begin:end] = one(query[begin:end], key, value, scale).to(fresh.dtype)
    return _write(fresh, into)
