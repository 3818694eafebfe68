# SPDX-License-Identifier: Apache-2.0
"""hakuna-reference MODEL PROMPT MAX_TOKENS: what the model says in one process, on the CPU, decoding greedily.

The answers come as JSON on the last line, for the bare prompt and for the prompt as a chat, each with the number of
characters up to the first token that was close to being another one: 16 bits on a device may choose that other one.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback

#: How much likelier the first choice has to be than the second (difference of logits).
CLEAR = 0.5
#: Since when transformers calls the type of the weights dtype.
RENAMED = (4, 56)


def answer(model: object, tokenizer: object, inputs: object, most: int) -> dict[str, object]:
    """One greedy answer: its text, and how many of its characters are beyond doubt."""
    made = model.generate(  # type: ignore[attr-defined]
        inputs, max_new_tokens=most, do_sample=False, num_beams=1, output_scores=True, return_dict_in_generate=True
    )
    tokens = made.sequences[0, inputs.shape[1] :].tolist()  # type: ignore[attr-defined]
    tops = [score[0].float().topk(2).values.tolist() for score in made.scores]
    sure = next((i for i, (first, second) in enumerate(tops) if first - second < CLEAR), len(tokens))
    text, certain = (
        tokenizer.decode(t, skip_special_tokens=True)  # type: ignore[attr-defined]
        for t in (tokens, tokens[:sure])
    )
    return {"text": text, "certain": len(certain) if text.startswith(certain) else 0}


def main(path: str, prompt: str, most: str) -> None:
    transformers = importlib.import_module("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    version = tuple(int(word) for word in transformers.__version__.split(".")[:2])
    kind = {"dtype" if version >= RENAMED else "torch_dtype": "auto"}
    model = transformers.AutoModelForCausalLM.from_pretrained(path, **kind).eval()
    found = {"completion": answer(model, tokenizer, tokenizer(prompt, return_tensors="pt").input_ids, int(most))}
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": prompt}]
        words = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        inputs = tokenizer(words, return_tensors="pt", add_special_tokens=False).input_ids
        found["chat"] = answer(model, tokenizer, inputs, int(most))
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(*sys.argv[2:])
    except Exception as error:  # noqa: BLE001  # whatever it is, the controller reports it
        traceback.print_exc()
        sys.stdout.write("\n" + json.dumps({"error": "%s: %s" % (type(error).__name__, error)}) + "\n")  # noqa: UP031
        sys.exit(1)
