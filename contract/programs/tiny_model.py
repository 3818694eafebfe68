# SPDX-License-Identifier: Apache-2.0
"""contract-model FOLDER: a model directory without weights: tokenizer, chat template and configuration (Qwen2's form).

It runs in the contract's base environment; the releases load it as they load any model.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
SENTENCES = (
    "Hakuna Matata! It means no worries for the rest of your days.",
    "user assistant system\nYou are a helpful assistant.",
    "What does Hakuna Matata mean? What a wonderful phrase.",
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 320


def main(folder: Path) -> None:
    """Write the files."""
    tokenizers = importlib.import_module("tokenizers")
    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(SENTENCES, trainer)
    made.save(str(folder / "tokenizer.json"))
    size = made.get_vocab_size()
    end, start, turn = (made.token_to_id(word) for word in SPECIALS)
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": SPECIALS[2],
            "pad_token": SPECIALS[0],
            "bos_token": None,
            "model_max_length": 2048,
            "chat_template": TEMPLATE,
            "clean_up_tokenization_spaces": False,
            "additional_special_tokens": [SPECIALS[1]],
        },
    )
    _write(
        folder / "config.json",
        {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "max_position_embeddings": 2048,
            "vocab_size": size,
            "eos_token_id": turn,
            "bos_token_id": start,
            "torch_dtype": "float16",
        },
    )
    _write(folder / "generation_config.json", {"eos_token_id": [end, turn]})


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
