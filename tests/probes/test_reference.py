# SPDX-License-Identifier: Apache-2.0
"""The answer of one process: the program, with a stand-in for transformers, and how it is compared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hakuna.evidence import Command
from hakuna.inventory.model import Inventory, Node, Server
from hakuna.probes import reference
from hakuna.probes.model_dir import ModelFiles

NODE = Node(name="a", address="a", node_ip="10.0.0.1")


def run(command: Command, folder: Path) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, *command.argv[1:]]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(argv, capture_output=True, check=False, timeout=60, env=env)


TRANSFORMERS = """
__version__ = "5.0.0"
class _Score(list):
    def float(self): return self
    def topk(self, n):
        class Top: values = self
        Top.values = type("T", (), {"tolist": lambda _s, v=sorted(self, reverse=True)[:n]: list(v)})()
        return Top
class _Ids(list):
    shape = (1, 1)
    def __getitem__(self, at): return type("T", (), {"tolist": lambda _s: [11, 12]})()
class _Words:
    chat_template = "{{ it }}"
    def __call__(self, text, **options): return type("E", (), {"input_ids": _Ids()})()
    def apply_chat_template(self, turns, **options): return turns[0]["content"]
    def decode(self, tokens, **options): return "".join({11: "no", 12: " worries"}[t] for t in tokens)
class _Model:
    def eval(self): return self
    def generate(self, inputs, **options):
        assert options["do_sample"] is False
        return type("M", (), {"sequences": _Ids(), "scores": [[_Score([9.0, 1.0])], [_Score([5.0, 4.9])]]})()
class AutoTokenizer:
    @staticmethod
    def from_pretrained(path):
        if path == "/none": raise OSError("no tokenizer there")
        return _Words()
class AutoModelForCausalLM:
    @staticmethod
    def from_pretrained(path, dtype): return _Model()
"""


def test_the_reference_is_certain_up_to_the_first_close_call(tmp_path):
    (tmp_path / "transformers.py").write_text(TRANSFORMERS)
    inventory = Inventory(nodes=(NODE,), server=Server(model_path="/models/x"))
    done = run(reference.reference(inventory, {}, 48), tmp_path)
    assert done.returncode == 0, done.stderr
    said = reference.Said("no worries", 2)
    assert reference.parse_reference(done.stdout.decode()) == reference.Reference(said, said)


def test_the_reference_says_why_there_is_none(tmp_path):
    (tmp_path / "transformers.py").write_text(TRANSFORMERS)
    inventory = Inventory(nodes=(NODE,), server=Server(model_path="/none"))
    done = run(reference.reference(inventory, {}, 48), tmp_path)
    assert done.returncode == 1
    assert reference.parse_reference(done.stdout.decode()).error == "OSError: no tokenizer there"


@pytest.mark.parametrize(
    ("certain", "other", "agrees"),
    [
        (10, "no worries", True),
        (10, " no worries ", True),
        (10, "no worries at all", False),
        (10, "nothing", False),
        (2, "no problem", True),
        (2, "yes", False),
    ],
)
def test_what_is_certain_has_to_be_the_same(certain, other, agrees):
    assert reference.Said("no worries", certain).agrees(other) is agrees


@pytest.mark.parametrize(
    ("files", "most", "why"),
    [
        ({"config.json": 1, "model.safetensors": 2**30}, 2.0, ""),
        ({"config.json": 1, "a.safetensors": 2**31, "b.safetensors": 2**31}, 2.0, "4.0 GiB of weights are more than"),
        ({"config.json": 1}, 2.0, "no weights"),
        ({}, 2.0, "not known"),
        ({"config.json": 1, "model.safetensors": 2**30}, 0.0, "is 0"),
    ],
)
def test_for_which_models_there_is_a_reference(files, most, why):
    said = reference.why_not(ModelFiles(files), most)
    assert why in said
    assert bool(said) is bool(why)
