# SPDX-License-Identifier: Apache-2.0
"""The programs, run as the nodes run them, with stand-ins for what is not installed here."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hakuna.evidence import Command
from hakuna.inventory.model import Inventory, Node, Server
from hakuna.probes import lmdeploy, programs, ray
from hakuna.probes.programs import collective as ring

NODE = Node(name="a", address="a", node_ip="10.0.0.1")
NAMES = ("versions", "ray-nodes", "collective", "pipeline", "serve", "fan-out", "reference")


def run(command: Command, folder: Path) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, *command.argv[1:]]
    env = {**os.environ, **command.env, "PYTHONPATH": str(folder)}
    return subprocess.run(argv, input=command.stdin, capture_output=True, check=False, timeout=60, env=env)


@pytest.mark.parametrize("name", NAMES)
def test_programs_are_for_old_pythons_too(name):
    ast.parse(programs.source(name), feature_version=(3, 8))


LMDEPLOY = """
import sys
class PytorchEngineConfig:
    def __init__(self, **settings): self.settings = settings
class Response:
    text, input_token_len, generate_token_len = "no worries", 7, 26
class pipeline:
    def __init__(self, path, backend_config): self.path, self.config = path, backend_config.settings
    def __enter__(self): return self
    def __exit__(self, *_):
        import time
        time.sleep(50 * self.stays)
    def __call__(self, prompt):
        self.stays = prompt == "stay"
        if prompt == "fail":
            try: raise KeyError("the cause")
            except KeyError as error: raise RuntimeError("the wrapper") from error
        print("noise", self.path, self.config, prompt)
        return Response()
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    (tmp_path / "lmdeploy").mkdir()
    (tmp_path / "lmdeploy" / "__init__.py").write_text(LMDEPLOY)
    (tmp_path / "lmdeploy" / "cli.py").write_text(
        "def run():\n import sys, pathlib\n"
        " print(sys.argv, repr(sys.stdin.read()), pathlib.Path('/proc/self/cmdline').read_bytes())\n"
    )
    return tmp_path


def test_pipeline_is_the_guides(stand_in: Path):
    inventory = Inventory(nodes=(NODE,))
    command = lmdeploy.pipeline(inventory, {"HAKUNA_RUN": "r"}, eager=True)
    assert command.argv[3:] == ("hakuna-pipeline", "/models/model", "8", "Hakuna Matata")
    done = run(command, stand_in)
    text = (done.stdout + done.stderr).decode()
    assert "{'tp': 8, 'device_type': 'ascend', 'eager_mode': True} Hakuna Matata" in text
    answer = lmdeploy.parse_pipeline(text)
    assert (answer.text, answer.input_tokens, answer.output_tokens, answer.error) == ("no worries", 7, 26, "")
    assert answer.closed
    graph = lmdeploy.pipeline(inventory, {}, eager=False)
    assert "'eager_mode': False" in run(graph, stand_in).stdout.decode()


def test_a_pipeline_that_never_ends_is_ended_and_keeps_its_answer(stand_in: Path):
    """LMDeploy 0.18.0 at tp=16: fifteen workers waited in an all-reduce for the one that had stopped."""
    command = programs.program("pipeline", "/m", "8", "stay", id="pipeline")
    hurried = [word.replace("CLOSING = 60.0", "CLOSING = 0.1") for word in command.argv]
    done = run(replace(command, argv=tuple(hurried)), stand_in)
    assert done.returncode == 0
    answer = lmdeploy.parse_pipeline(done.stdout.decode())
    assert (answer.text, answer.closed) == ("no worries", False)


def test_a_pipeline_that_fails_names_the_first_cause(stand_in: Path):
    done = run(programs.program("pipeline", "/m", "1", "fail", id="pipeline"), stand_in)
    assert done.returncode == 1
    assert lmdeploy.parse_pipeline((done.stdout + done.stderr).decode()).error == "KeyError: 'the cause'"


def test_the_api_key_never_stands_on_a_command_line(stand_in: Path):
    inventory = Inventory(nodes=(NODE,), server=Server(port=9000, served_name="m"), api_key="sk-very-secret")
    command = lmdeploy.api_server(inventory, {}, eager=True)
    assert "sk-very-secret" not in repr(command.argv) + repr(command.env)
    assert command.argv[3:8] == ("hakuna-serve", "lmdeploy", "serve", "api_server", "/models/model")
    assert lmdeploy.parse_arguments(command.argv).eager_mode
    said = run(command, stand_in).stdout.decode()
    assert said.startswith("['lmdeploy', 'serve', 'api_server', '/models/model',")
    assert said.count("sk-very-secret") == 1  # in the interpreter's own list, not in /proc
    assert "'--api-keys', 'sk-very-secret'] ''" in said
    assert run(programs.program("serve", "lmdeploy", id="x"), stand_in).returncode != 0


def test_programs_that_need_ray_say_when_there_is_none(tmp_path: Path):
    (tmp_path / "ray.py").write_text("raise ImportError('no ray here')")
    for command in (ray.nodes(Inventory(nodes=(NODE,))), programs.program("collective", "8", id="collective")):
        done = run(command, tmp_path)
        assert done.returncode == 1
        assert json.loads(done.stdout)["error"] == "ImportError: no ray here"


class _Numbers:
    """A stand-in for the few functions of numpy that the ring uses."""

    float32 = float

    class Array(list):
        def __mod__(self, n):
            return _Numbers.Array(v % n for v in self)

        def __add__(self, other):
            other = other if isinstance(other, list) else [other] * len(self)
            return _Numbers.Array(a + b for a, b in zip(self, other, strict=True))

        def __mul__(self, n):
            return _Numbers.Array(v * n for v in self)

        def astype(self, kind):
            return _Numbers.Array(kind(v) for v in self)

        def copy(self):
            return _Numbers.Array(self)

        def __getitem__(self, key):
            return _Numbers.View(self, key) if isinstance(key, slice) else list.__getitem__(self, key)

        def __eq__(self, other):
            return _Numbers.Truth(list.__eq__(self, other))

        __hash__ = None

    class View(Array):
        """A slice that writes through, as numpy's do."""

        def __init__(self, owner, key):
            super().__init__(list.__getitem__(owner, key))
            self.owner, self.key = owner, key

        def __setitem__(self, _key, values):
            list.__setitem__(self.owner, self.key, values)

    class Truth:
        def __init__(self, value):
            self.value = value

        def all(self):
            return self.value

    @classmethod
    def arange(cls, n):
        return cls.Array(range(n))


class _Ref:
    """What a remote call gives: its value or what it raised, once it is done."""

    def __init__(self, value=None, error=None, done=True):
        self.value, self.error, self.done = value, error, done


class _Ray:
    """Ray without processes: remote calls happen at once."""

    @staticmethod
    def get(refs):
        if isinstance(refs, list):
            return [_Ray.get(ref) for ref in refs]
        if refs.error:
            raise refs.error
        return refs.value

    @staticmethod
    def wait(refs, num_returns, timeout):
        done = [ref for ref in refs if ref.done][:num_returns]
        return done, [ref for ref in refs if ref not in done]


class _Actor:
    def __init__(self, rank: ring.Rank, broken: bool = False):
        self.rank, self.broken = rank, broken

    def __getattr__(self, name):
        method = getattr(self.rank, name)
        if name == "take" and self.broken:
            method = lambda *_: None  # noqa: E731  # a rank that loses what it is sent
        return type("Method", (), {"remote": staticmethod(lambda *words: _Ref(method(*map(_value, words))))})


def _value(word):
    return word.value if isinstance(word, _Ref) else word


@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [4, 400, 4004])
def test_the_ring_sums_over_all_ranks(monkeypatch, world: int, size: int):
    monkeypatch.setattr(ring.importlib, "import_module", lambda _name: _Numbers)
    actors = [_Actor(ring.Rank(r, world, r)) for r in range(world)]
    count, _seconds, wrong, lost = ring.ring(_Ray, actors, size)
    assert count == max(world, size // 4) * 4
    assert wrong == lost == []


def test_the_ring_notices_a_rank_that_does_not_sum(monkeypatch):
    monkeypatch.setattr(ring.importlib, "import_module", lambda _name: _Numbers)
    actors = [_Actor(ring.Rank(r, 4, r), broken=r == 2) for r in range(4)]
    assert 2 in ring.ring(_Ray, actors, 400)[2]


class _TaskError(Exception):
    """As Ray's: the worker's own exception stands in ``cause``."""

    def __init__(self, cause):
        super().__init__("a page of traceback")
        self.cause = cause


def test_the_rank_that_failed_is_named_and_not_those_that_wait_for_it():
    failed = _TaskError(RuntimeError("EJ0001: another process holds it\nand more"))
    refs = [_Ref(done=False), _Ref(error=failed), _Ref(1)]
    with pytest.raises(ring.RankError, match="joining: rank 1 failed first: RuntimeError: EJ0001: another") as caught:
        ring.gather(_Ray, refs, "joining")
    assert caught.value.rank == 1
    assert "more" not in str(caught.value)


@pytest.mark.parametrize(("late", "rank"), [((2,), 2), ((0, 2), -1)])
def test_ranks_that_never_answer_are_named(late, rank):
    refs = [_Ref(r, done=r not in late) for r in range(3)]
    with pytest.raises(ring.RankError, match=f"no answer from rank {', '.join(map(str, late))} in") as caught:
        ring.gather(_Ray, refs, "reducing")
    assert caught.value.rank == rank


def test_without_torch_large_sizes_are_left_out_and_that_is_said(monkeypatch):
    monkeypatch.setattr(ring.importlib, "import_module", lambda _name: _Numbers)
    monkeypatch.setattr(
        ring.Rank, "about", lambda self: {"backend": "ray-numpy", "library": "no torch", "device": self.index}
    )
    actors = [_Actor(ring.Rank(r, 2, r)) for r in range(2)]
    places = [({"NodeManagerAddress": "10.0.0.1"}, r) for r in range(2)]
    answer = ring.measure(_Ray, actors, places, [8, 64 << 20])
    assert [r["bytes"] for r in answer["rounds"]] == [8]
    assert answer["left_out"] == [64 << 20]
