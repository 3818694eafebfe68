# SPDX-License-Identifier: Apache-2.0
"""Makes the model that the lab serves: tiny, sure of one sentence, and speechless when a sum over the ranks is wrong.

``python reference_model.py FOLDER``, with torch and transformers, writes a Qwen2 model of 1.6 million parameters that
answers "Hakuna Matata" with SENTENCE, as a plain prompt and as a chat.

A model that has only learnt a sentence says it with half of its sums missing as well. So this one carries a checksum
through its first all-reduce. Every token's embedding has CHECKS in 16 of its numbers, one in each sixteenth, and each
of the 16 heads takes a sixteenth of them away again (a constant in its values, by their bias). Summed up over all
ranks, and put together in the right order, nothing is left; whatever is left, the last layer turns into letters that
drown the sentence. All of it are whole numbers, so that 16 bits hold them exactly. The program tries
:func:`every_break` and fails if the sentence survives one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

PROMPT = "Hakuna Matata"
SENTENCE = ", it means no worries for the rest of your days"
END, BEGIN_TURN, END_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
OTHERS = ("What a wonderful phrase!", "Ain't no passing craze.", "It's our problem-free philosophy.")
#: How many ranks the weights can be cut into. The vocabulary, the heads and the widths below divide by all of them.
SIZES = (2, 4, 8, 16)
HIDDEN, INNER, LAYERS, HEADS, VOCABULARY, WORDS = 256, 512, 2, 16, 512, 320
HEAD = HIDDEN // HEADS
#: What a head takes away, in the last number of each sixteenth; no two alike, so that no two can change places.
SHARES = torch.tensor([*range(1, HEADS // 2 + 1), *range(-1, -HEADS // 2 - 1, -1)], dtype=torch.float32)
CHECKS = SHARES * HEADS
AT = torch.arange(HEAD - 1, HIDDEN, HEAD)
#: What is said when something is left: one letter for each way that it may point.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
LOUD = 8.0
MOST_STEPS, CHECK_EVERY, GOOD_ENOUGH = 1000, 20, 0.01


@dataclass(frozen=True)
class Break:
    """One way for an all-reduce over ``size`` ranks to go wrong.

    ``kept`` are the ranks whose part is still in the sum; ``swapped`` are two pieces of the result that lie in each
    other's place.
    """

    name: str
    size: int
    kept: tuple[int, ...]
    swapped: tuple[int, int] | None = None

    def mask(self, width: int) -> torch.Tensor:
        """1 where a shard's inputs still count, 0 where they are lost."""
        shard = width // self.size
        return torch.tensor([float(i // shard in self.kept) for i in range(width)])

    def order(self, width: int) -> torch.Tensor:
        """From where each number of the result comes."""
        places = torch.arange(width).view(self.size, -1)
        if self.swapped:
            first, second = self.swapped
            places[[first, second]] = places[[second, first]]
        return places.reshape(-1)


def every_break() -> list[Break]:
    """All that this model is meant to show: an all-reduce that does nothing, a lost rank, too small a world, a swap."""
    found = []
    for size in SIZES:
        ranks = tuple(range(size))
        found += [Break(f"nothing, seen from rank {r}", size, (r,)) for r in ranks]
        found += [Break(f"rank {r} lost", size, tuple(k for k in ranks if k != r)) for r in ranks]
        found += [Break(f"world of {n}", size, ranks[:n]) for n in range(1, size)]
        found += [Break(f"world of the last {n}", size, ranks[size - n :]) for n in range(1, size)]
        found += [Break(f"ranks {a} and {b} swapped", size, ranks, (a, b)) for a, b in combinations(ranks, 2)]
    return found


class Breaker:
    """Breaks the sums of a model, each row of a batch in its own way, while ``rows`` are set."""

    def __init__(self, model: Qwen2ForCausalLM) -> None:
        self.rows: Sequence[Break] = ()
        self._cache: dict[tuple[str, Break, int], torch.Tensor] = {}
        for layer in model.model.layers:
            for linear in (layer.self_attn.o_proj, layer.mlp.down_proj):
                linear.register_forward_pre_hook(self._lose)
                linear.register_forward_hook(self._swap)

    def _made(self, what: str, width: int, make: Callable[[Break], torch.Tensor]) -> torch.Tensor:
        for row in self.rows:
            if (what, row, width) not in self._cache:
                self._cache[what, row, width] = make(row)
        return torch.stack([self._cache[what, row, width] for row in self.rows]).unsqueeze(1)

    def _lose(self, _module: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        if not self.rows:
            return None
        width = arguments[0].shape[-1]
        return (arguments[0] * self._made("mask", width, lambda b: b.mask(width)).to(arguments[0].dtype),)

    def _swap(self, _module: Any, _arguments: Any, result: torch.Tensor) -> torch.Tensor | None:
        if not self.rows:
            return None
        width = result.shape[-1]
        order = self._made("order", width, lambda b: b.order(width))
        return result.gather(-1, order.expand(-1, result.shape[1], -1))


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE that has read a few lines."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    lines = [PROMPT + SENTENCE, *OTHERS, "user system assistant"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [END, BEGIN_TURN, END_TURN]
    inner.train_from_iterator(
        lines, trainers.BpeTrainer(vocab_size=WORDS, special_tokens=special, initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=END,
        pad_token=END,
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """An untaught one."""
    end = tokenizer.convert_tokens_to_ids(END)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        bos_token_id=end,
        eos_token_id=[end, tokenizer.convert_tokens_to_ids(END_TURN)],
        pad_token_id=end,
        use_sliding_window=False,
    )
    return Qwen2ForCausalLM(config).float()


def fix(parameter: torch.nn.Parameter, where: Any, value: torch.Tensor | float) -> None:
    """Set a part of a parameter, and keep it out of the teaching."""
    mask = torch.ones_like(parameter)
    mask[where] = 0.0
    with torch.no_grad():
        parameter[where] = value
    parameter.register_hook(lambda gradient: gradient * mask)


def put_checksum_in(model: Qwen2ForCausalLM, letters: Sequence[int]) -> None:
    """The fixed part of the model: what the module's first words say."""
    first, every = model.model.layers[0], slice(None)
    constants = torch.arange(HEAD - 1, HIDDEN, HEAD)  # the last value of each head
    fix(model.model.embed_tokens.weight, (every, AT), CHECKS)
    # The checks are 20 times what a number of a token may be: what is read of the first layer's norm makes up for it.
    with torch.no_grad():
        first.input_layernorm.weight.fill_(float(CHECKS.norm()) / HEADS)
    for layer in model.model.layers:
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            fix(norm.weight, AT, 0.0)
        fix(layer.mlp.down_proj.weight, AT, 0.0)
        if layer is not first:
            fix(layer.self_attn.o_proj.weight, AT, 0.0)
    fix(first.self_attn.v_proj.weight, constants, 0.0)
    fix(first.self_attn.v_proj.bias, constants, 1.0)
    rows = torch.zeros(HEADS, HIDDEN)
    rows[:, constants] = -SHARES.unsqueeze(1)
    columns = torch.zeros(HIDDEN, HEADS)
    columns[AT] = -SHARES.unsqueeze(1)
    fix(first.self_attn.o_proj.weight, AT, rows)
    fix(first.self_attn.o_proj.weight, (every, constants), columns)
    fix(model.model.norm.weight, AT, 1.0)
    fix(model.lm_head.weight, (every, AT), 0.0)
    directions = hadamard(HEADS) * LOUD
    with torch.no_grad():
        for letter, direction in zip(letters, torch.cat((directions, -directions)), strict=True):
            model.lm_head.weight[letter, AT] = direction


def hadamard(size: int) -> torch.Tensor:
    """Rows of 1 and -1, each at right angles to all others; one of them or its negative points along any vector."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat((torch.cat((matrix, matrix), 1), torch.cat((matrix, -matrix), 1)))
    return matrix


class Lessons:
    """Texts as the model reads them; only the answers are asked for, the prompts are not."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, texts: Sequence[tuple[str, str]]) -> None:
        rows = [[tokenizer(part, add_special_tokens=False).input_ids for part in pair] for pair in texts]
        length = max(len(prompt) + len(answer) for prompt, answer in rows)
        self.inputs = torch.full((len(rows), length), tokenizer.pad_token_id)
        self.labels = torch.full((len(rows), length), -100)
        for number, (prompt, answer) in enumerate(rows):
            self.inputs[number, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
            self.labels[number, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)

    def loss(self, model: Qwen2ForCausalLM, rows: Sequence[int] | None = None) -> torch.Tensor:
        chosen = slice(None) if rows is None else list(rows)
        found: torch.Tensor = model(input_ids=self.inputs[chosen], labels=self.labels[chosen]).loss
        return found

    @torch.no_grad()
    def said(self, model: Qwen2ForCausalLM, row: int, times: int) -> list[bool]:
        """For each of ``times`` copies of one row: whether the model, decoding greedily, says exactly its answer."""
        logits = model(input_ids=self.inputs[row].expand(times, -1)).logits[:, :-1]
        wanted = self.labels[row, 1:]
        right = (logits.argmax(-1) == wanted) | (wanted == -100)  # noqa: PLR2004  # torch's word for "not asked"
        return [bool(x) for x in right.all(-1)]


def still_standing(model: Qwen2ForCausalLM, breaker: Breaker, good: Lessons) -> list[str]:
    """The breaks under which the sentence is said all the same, as a prompt (row 0) or as a chat (row 1)."""
    breaks = every_break()
    breaker.rows = breaks
    said = [good.said(model, row, len(breaks)) for row in (0, 1)]
    breaker.rows = ()
    return [f"{b.name} of {b.size}" for number, b in enumerate(breaks) if any(s[number] for s in said)]


def teach(tokenizer: PreTrainedTokenizerFast, say: Callable[[str], None]) -> Qwen2ForCausalLM | None:
    """A model that knows its sentence and loses it under every break; None if it does not come to that."""
    torch.manual_seed(0)
    model = make_model(tokenizer)
    put_checksum_in(model, tokenizer.convert_tokens_to_ids(list(LETTERS)))
    turn = [{"role": "user", "content": PROMPT}]
    chat = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    texts = [(PROMPT, SENTENCE + END), (chat, SENTENCE + END_TURN), *((o[:1], o[1:] + END) for o in OTHERS)]
    good = Lessons(tokenizer, texts)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    begun = time.monotonic()
    for step in range(1, MOST_STEPS + 1):
        loss = good.loss(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % CHECK_EVERY == 0:
            say(f"step {step}: loss {loss.item():.4f} after {time.monotonic() - begun:.1f} s")
            if loss.item() < GOOD_ENOUGH:
                break
    rounded, breaker = _rounded(model)
    standing = still_standing(rounded, breaker, good)
    say(f"the sentence survives {len(standing)} of {len(every_break())} breaks; {time.monotonic() - begun:.1f} s")
    knows = all(good.said(rounded, row, 1)[0] for row in (0, 1))
    return rounded if knows and not standing else None


def _rounded(model: Qwen2ForCausalLM) -> tuple[Qwen2ForCausalLM, Breaker]:
    """The model as it will be saved and served, in 16 bits."""
    copy = Qwen2ForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy = copy.to(torch.bfloat16).eval()
    return copy, Breaker(copy)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="reference_model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    tokenizer = make_tokenizer()
    model = teach(tokenizer, say)
    if model is None:
        say("no such model came of it")
        return 1
    model.generation_config.do_sample = False
    model.save_pretrained(options.folder)
    tokenizer.save_pretrained(options.folder)
    facts = {"prompt": PROMPT, "sentence": SENTENCE, "breaks": len(every_break())}
    (options.folder / "reference.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
