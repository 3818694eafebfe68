# SPDX-License-Identifier: Apache-2.0
"""Batches as Ray tasks: the program really runs, with a Ray whose nodes are this machine, and so do the scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from hakuna.evidence import Batch, Command, Ending, NodeAnswer, Outcome
from hakuna.inventory.model import Container, Engine, Inventory, Node
from hakuna.probes import containers, fan_out
from hakuna.probes.reading import UnparsedError
from hakuna.stages.fan_out import MANY, FanOutTransport
from hakuna.transports.ways import FanOut

#: A Ray that runs every task at once, here; 10.0.0.3 is a dead node, 10.0.0.4 is one whose worker dies.
RAY = """
import os
def init(**_): pass
def nodes():
    return [{"NodeManagerAddress": "10.0.0.%d" % i, "NodeID": str(i), "Alive": i != 3} for i in range(1, 9)]
def remote(**_):
    def decorate(task):
        class Options:
            def options(self, scheduling_strategy): self.node = scheduling_strategy; return self
            def remote(self, *words): return (self.node, task, words)
        class Make:
            def options(self, **words): return Options().options(**words)
        return Make()
    return decorate
def wait(refs, num_returns, timeout): return refs[:1], refs[1:]
class WorkerCrashedError(Exception): pass
def get(ref):
    if ref[0] == "4": raise WorkerCrashedError("The worker died\\nand more")
    return ref[1](*ref[2])
"""
STRATEGIES = "def NodeAffinitySchedulingStrategy(node, soft): return node\n"


@pytest.fixture
def ray(tmp_path):
    (tmp_path / "ray" / "util").mkdir(parents=True)
    (tmp_path / "ray" / "__init__.py").write_text(RAY)
    (tmp_path / "ray" / "util" / "__init__.py").write_text("")
    (tmp_path / "ray" / "util" / "scheduling_strategies.py").write_text(STRATEGIES)
    return tmp_path


class Here:
    """A transport whose every node is this machine; it keeps what it was asked for."""

    kind = "ssh"

    def __init__(self, path):
        self.path = path
        self.asked = []

    def run(self, name, batches):
        self.asked.append((name, tuple(batches)))
        return {node: NodeAnswer({c.id: self._outcome(c) for c in batch}) for node, batch in batches.items()}

    def _outcome(self, command: Command) -> Outcome:
        argv = [sys.executable, *command.argv[1:]] if command.argv[0] == "python3" else list(command.argv)
        env = {**os.environ, **command.env, "PYTHONPATH": str(self.path)}
        done = subprocess.run(argv, input=command.stdin, capture_output=True, check=False, timeout=60, env=env)
        return Outcome(command.id, Ending.EXITED, done.returncode, done.stdout, done.stderr)


def inventory(nodes=3):
    members = tuple(Node(name=f"n{i}", address=f"10.0.0.{i}", node_ip=f"10.0.0.{i}") for i in range(1, nodes + 1))
    return Inventory(nodes=members, container=Container(engine=Engine.NONE))


def batches(cluster, *commands):
    return {n.name: Batch(tuple(containers.inside(cluster, c) for c in commands)) for n in cluster.nodes}


SAY = Command("say", ("printf", "%s", "it's $HOME\n\0"[:-1]))
FAIL = Command("fail", ("sh", "-c", "echo bad >&2; exit 3"))


def test_answers_come_back_as_ssh_brings_them_and_the_rest_goes_over_ssh(ray):
    cluster, inner, told = inventory(5), Here(ray), []
    carrier = FanOutTransport(inner, cluster, FanOut.RAY, told.append)
    answers = carrier.run("procs", batches(cluster, SAY, FAIL))
    assert list(answers) == ["n1", "n2", "n3", "n4", "n5"]
    for answer in answers.values():
        assert answer.trouble is None
        assert answer.outcomes["say"].stdout == b"it's $HOME\n"
        assert (answer.outcomes["fail"].exit_code, answer.outcomes["fail"].stderr) == (3, b"bad\n")
    assert inner.asked == [("procs.fan-out", ("n1",)), ("procs", ("n3", "n4"))]
    assert told == ["procs: 3 nodes asked as Ray tasks, 2 over ssh after all"]


def test_without_ray_everything_goes_over_ssh(ray):
    (ray / "ray" / "__init__.py").write_text("def init(**_): raise ConnectionError('Could not find any running Ray')")
    cluster, inner, told = inventory(), Here(ray), []
    answers = FanOutTransport(inner, cluster, FanOut.RAY, told.append).run("procs", batches(cluster, SAY))
    assert all(a.outcomes["say"].ok for a in answers.values())
    assert inner.asked[-1] == ("procs", ("n1", "n2", "n3"))
    assert "over ssh, not as Ray tasks" in told[0]
    assert "ConnectionError: Could not find any running Ray" in told[0]


def test_what_the_container_lacks_is_asked_on_the_host(ray):
    cluster, inner = inventory(2), Here(ray)
    missing = replace(containers.inside(cluster, SAY), bare=Command("say", ("no-such-program-here",)))
    answers = FanOutTransport(inner, cluster, FanOut.RAY).run("x", {n.name: Batch((missing,)) for n in cluster.nodes})
    assert all(a.outcomes["say"].ok for a in answers.values())


def test_sudo_is_used_only_where_the_inventory_says_so(ray):
    cluster, inner = inventory(2), Here(ray)
    assert not any(n.ssh.sudo for n in cluster.nodes)
    answers = FanOutTransport(inner, cluster, FanOut.RAY).run("x", batches(cluster, replace(SAY, sudo=True)))
    assert all(a.outcomes["say"].ok for a in answers.values())
    assert [name for name, _ in inner.asked] == ["x.fan-out"], "nobody had to be asked again"


@pytest.mark.parametrize(
    ("how", "command"),
    [
        (FanOut.SSH, SAY),
        (FanOut.AUTO, SAY),
        (FanOut.RAY, replace(SAY, mutates=True)),
    ],
    ids=["told-so", "few-nodes", "changes-the-node"],
)
def test_these_never_travel_as_ray_tasks(ray, how, command):
    cluster, inner = inventory(), Here(ray)
    FanOutTransport(inner, cluster, how).run("x", batches(cluster, command))
    assert [name for name, _ in inner.asked] == ["x"]


def test_a_batch_with_a_command_for_the_host_alone_stays_on_ssh(ray):
    cluster, inner = inventory(), Here(ray)
    mixed = batches(cluster, SAY) | {"n1": Batch((containers.inside(cluster, FAIL), SAY))}
    answers = FanOutTransport(inner, cluster, FanOut.RAY).run("x", mixed)
    assert inner.asked == [("x.fan-out", ("n1",)), ("x", ("n1", "n3"))], "n3 is dead for Ray"
    assert list(answers) == ["n1", "n2", "n3"]
    host_only = {n.name: Batch((SAY,)) for n in cluster.nodes}
    FanOutTransport(inner, cluster, FanOut.RAY).run("y", host_only)
    assert inner.asked[-1] == ("y", ("n1", "n2", "n3"))
    assert MANY >= 64, "one controller's ssh is measured up to there"


def test_damaged_answers_are_not_taken_for_less():
    whole = "node_ip 10.0.0.1 ! it died\nfan-out-end 1\n"
    assert fan_out.parse_fan_out(whole)["10.0.0.1"].problem == "it died"
    for text in ("", "fan-out-failed ConnectionError: no Ray", "node_ip 10.0.0.1 bm90IHppcA==\n"):
        with pytest.raises(UnparsedError):
            fan_out.parse_fan_out(text)
