# SPDX-License-Identifier: Apache-2.0
"""Each of the nine operators against what transformers or plain PyTorch make of the same numbers."""

from __future__ import annotations

import dlinfer.ops
import pytest
import torch
from dlinfer.ops import attention, dense, era, since_0_18, until_0_14
from torch.nn import functional
from transformers.models.qwen2 import modeling_qwen2 as qwen2

HEADS, KV_HEADS, SIZE, BLOCK = 4, 2, 8, 4
LENGTHS = (5, 1, 7)
NEW = (2, 1, 3)


def numbers(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def close(found, wanted, tolerance=1e-5):
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=tolerance)


def attend(query, key, value, *, causal=True, scale=None):
    """PyTorch's own attention of one sequence, whose new tokens are its last ones."""
    groups = query.shape[1] // key.shape[1]
    q, k, v = query.transpose(0, 1), *(x.repeat_interleave(groups, 1).transpose(0, 1) for x in (key, value))
    new, every = q.shape[1], k.shape[1]
    mask = torch.ones(new, every, dtype=torch.bool).tril(every - new) if causal else None
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(0, 1)


@pytest.fixture
def prompts():
    total = sum(LENGTHS)
    return numbers(total, HEADS, SIZE), numbers(total, KV_HEADS, SIZE, seed=1), numbers(total, KV_HEADS, SIZE, seed=2)


@pytest.fixture
def caches(prompts):
    """Keys and values of all prompts in blocks that lie in no order, and the table that finds them."""
    _, key, value = prompts
    table = torch.tensor([[5, 2], [0, 0], [3, 6]], dtype=torch.int32)
    cache = [torch.zeros(8, BLOCK, KV_HEADS, SIZE) for _ in range(2)]
    slots = [table[i, n // BLOCK] * BLOCK + n % BLOCK for i, length in enumerate(LENGTHS) for n in range(length)]
    dense.fill_kv_cache(key, value, *cache, torch.stack(slots).to(torch.int32))
    return cache, table


def spans(lengths):
    ends = torch.tensor(lengths).cumsum(0).tolist()
    return [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def latest(whole):
    """The last NEW tokens of each prompt."""
    return torch.cat([whole[s][-new:] for s, new in zip(spans(LENGTHS), NEW, strict=True)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear(dtype):
    x, weight, bias = numbers(3, 8, dtype=dtype), numbers(5, 8, seed=1, dtype=dtype), numbers(5, seed=2, dtype=dtype)
    close(dense.linear(x, weight, bias), x @ weight.T + bias, 0.1 if dtype is torch.bfloat16 else 1e-5)


def test_silu_and_mul_is_qwens_gate():
    gate, up = numbers(3, 6), numbers(3, 6, seed=1)
    close(dense.silu_and_mul(torch.cat((gate, up), -1)), functional.silu(gate) * up)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rms_norm_is_qwens(dtype):
    norm = qwen2.Qwen2RMSNorm(16, eps=1e-6).to(dtype)
    norm.weight.data = numbers(16, seed=1, dtype=dtype)
    x = numbers(3, 16, dtype=dtype)
    close(dense.rms_norm(x, norm.weight, 1e-6), norm(x), 1e-2 if dtype is torch.bfloat16 else 1e-5)


def test_add_rms_norm_gives_norm_and_sum():
    x, residual, weight = numbers(3, 16), numbers(3, 16, seed=1), numbers(16, seed=2)
    normed, added = dense.add_rms_norm(x, residual, weight, 1e-6)
    close(added, x + residual)
    close(normed, functional.rms_norm(x + residual, (16,), weight, 1e-6))


def test_rotary_embedding_is_qwens_and_leaves_its_input_alone():
    angles = numbers(7, SIZE // 2).repeat(1, 2)
    cos, sin = angles.cos(), angles.sin()
    query, key = numbers(7, HEADS, SIZE, seed=1), numbers(7, KV_HEADS, SIZE, seed=2)
    before = query.clone()
    found = dense.apply_rotary_pos_emb(query, key, cos, sin)
    batched = (x.transpose(0, 1).unsqueeze(0) for x in (query, key))
    wanted = qwen2.apply_rotary_pos_emb(*batched, cos.unsqueeze(0), sin.unsqueeze(0))
    for mine, theirs in zip(found, wanted, strict=True):
        close(mine, theirs[0].transpose(0, 1))
    assert torch.equal(query, before)


def test_rotary_embedding_of_a_part_leaves_the_rest():
    query, key = numbers(1, 3, HEADS, SIZE), numbers(1, 3, KV_HEADS, SIZE, seed=1)
    turned, _ = dense.apply_rotary_pos_emb(query, key, numbers(3, 4, seed=2), numbers(3, 4, seed=3))
    assert turned.shape == query.shape
    assert torch.equal(turned[..., 4:], query[..., 4:])
    assert not torch.equal(turned[..., :4], query[..., :4])


def test_cache_is_filled_slot_by_slot_and_nowhere_else():
    cache = [torch.zeros(3, BLOCK, KV_HEADS, SIZE) for _ in range(2)]
    key, value = numbers(2, KV_HEADS, SIZE), numbers(2, KV_HEADS, SIZE, seed=1)
    dense.fill_kv_cache(key, value, *cache, torch.tensor([9, 2], dtype=torch.int32))
    for stored, new in zip(cache, (key, value), strict=True):
        close(stored[2, 1], new[0])
        close(stored[0, 2], new[1])
        assert stored.count_nonzero() == new.count_nonzero()


def test_a_quantised_cache_is_refused():
    with pytest.raises(NotImplementedError, match="quantised"):
        dense.fill_kv_cache(*[torch.zeros(1, 1, 1, 1)] * 4, torch.tensor([0]), quant_bits=8)


@pytest.mark.parametrize("mask", [[torch.ones(1)], []], ids=["causal", "all see all"])
def test_prefill_in_both_eras(prompts, mask):
    wanted = torch.cat([attend(*(x[s] for x in prompts), causal=bool(mask)) for s in spans(LENGTHS)])
    lengths = torch.tensor(LENGTHS)
    shape = (max(LENGTHS), HEADS, KV_HEADS, mask)
    for call, positions in (
        (since_0_18.prefill_attention, (lengths, lengths)),
        (until_0_14.prefill_attention, (None, lengths, lengths)),
    ):
        query = prompts[0].clone()  # LMDeploy lets the answer be written over the question
        more = {"actual_seq_lengths_cpu": lengths.cumsum(0)} if call is since_0_18.prefill_attention else {}
        given = call(query, *prompts[1:], None, None, *positions, *shape, attn_output=query, **more)
        close(given, wanted)
        assert given.data_ptr() == query.data_ptr()


def test_paged_prefill_in_both_eras(prompts, caches):
    cache, table = caches
    parts = [tuple(x[s] for x in prompts) for s in spans(LENGTHS)]
    wanted = torch.cat([attend(q[-n:], k, v) for (q, k, v), n in zip(parts, NEW, strict=True)])
    lengths, ends = torch.tensor(LENGTHS), torch.tensor(NEW).cumsum(0)
    shape = (max(NEW), max(LENGTHS), HEADS, KV_HEADS, [torch.ones(1)])
    for call, positions in (
        (since_0_18.paged_prefill_attention, (ends, lengths)),
        (until_0_14.paged_prefill_attention, (None, ends, lengths, None)),
    ):
        query = latest(prompts[0])
        rest = (latest(prompts[1]), latest(prompts[2]), *cache, table, BLOCK)
        close(call(query, *rest, *positions, *shape, attn_output=query), wanted)


def test_paged_decode(prompts, caches):
    cache, table = caches
    parts = [tuple(x[s] for x in prompts) for s in spans(LENGTHS)]
    wanted = torch.cat([attend(q[-1:], k, v, scale=0.3) for q, k, v in parts])
    query = torch.cat([q[-1:] for q, _, _ in parts])
    places = (table, BLOCK, torch.tensor([1, 2, 3]), torch.tensor(LENGTHS), None, HEADS, KV_HEADS)
    close(dense.paged_decode_attention(query, *cache, *places, softmax_scale=0.3, attn_output=query), wanted)


def test_one_new_token_sees_all_before_it():
    query, key, value = numbers(1, HEADS, SIZE), numbers(6, KV_HEADS, SIZE), numbers(6, KV_HEADS, SIZE, seed=1)
    close(attention.one(query, key, value, None), attend(query, key, value))


def test_the_installed_releases_shape_is_taken():
    assert era.speaks_of_lengths("0.14.0")
    assert not era.speaks_of_lengths("0.18.0")
    assert dlinfer.ops.prefill_attention in {since_0_18.prefill_attention, until_0_14.prefill_attention}


def test_an_operator_that_is_not_there_says_so():
    with pytest.raises(AttributeError, match="no operator fused_moe"):
        _ = dlinfer.ops.fused_moe
