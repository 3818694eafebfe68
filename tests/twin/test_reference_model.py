# SPDX-License-Identifier: Apache-2.0
"""The reference model's checksum, without teaching it anything; the maker itself tries every break on the result."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

MAKER = Path(__file__).parents[2] / "lab" / "twin" / "reference_model.py"


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("reference_model", MAKER)
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference_model"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def untaught(maker):
    torch.manual_seed(1)
    tokenizer = maker.make_tokenizer()
    model = maker.make_model(tokenizer)
    maker.put_checksum_in(model, tokenizer.convert_tokens_to_ids(list(maker.LETTERS)))
    return tokenizer, model.to(torch.bfloat16)


def left(maker, model, breaker, breaks):
    """What is left of the checks, row by row, before the last norm."""
    seen = []
    handle = model.model.norm.register_forward_pre_hook(lambda _m, arguments: seen.append(arguments[0]))
    breaker.rows = breaks
    with torch.no_grad():
        model(input_ids=torch.tensor([[5, 6, 7]]).expand(max(1, len(breaks)), -1))
    handle.remove()
    breaker.rows = ()
    return seen[0][..., maker.AT]


def test_nothing_is_left_of_a_whole_sum_and_something_of_every_other(maker, untaught):
    _, model = untaught
    breaker = maker.Breaker(model)
    assert left(maker, model, breaker, []).abs().max() == 0
    breaks = maker.every_break()
    rows = left(maker, model, breaker, breaks)
    assert [b.name for b, row in zip(breaks, rows, strict=True) if row.float().norm(dim=-1).min() < 16] == []


def test_every_break_is_tried(maker):
    breaks = maker.every_break()
    assert len(breaks) == len({(b.name, b.size) for b in breaks})
    assert sum(b.swapped is not None for b in breaks) == 1 + 6 + 28 + 120
    assert {b.size for b in breaks} == {2, 4, 8, 16}
    assert sum(b.name.endswith(" lost") for b in breaks) == 30


def test_a_break_loses_shards_and_swaps_pieces(maker):
    assert maker.Break("", 4, (0, 2)).mask(8).tolist() == [1, 1, 0, 0, 1, 1, 0, 0]
    assert maker.Break("", 4, (0, 1, 2, 3), (0, 3)).order(8).tolist() == [6, 7, 2, 3, 4, 5, 0, 1]


def test_whatever_is_left_a_letter_drowns_the_rest(maker, untaught):
    tokenizer, model = untaught
    letters = set(tokenizer.convert_tokens_to_ids(list(maker.LETTERS)))
    breaks = maker.every_break()
    breaker = maker.Breaker(model)
    breaker.rows = breaks
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[5, 6, 7]]).expand(len(breaks), -1)).logits
    breaker.rows = ()
    assert {int(i) for i in logits.argmax(-1).flatten()} <= letters
