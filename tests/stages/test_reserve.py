# SPDX-License-Identifier: Apache-2.0
"""The time in reserve for a teardown is kept, whatever hangs."""

from __future__ import annotations

from hakuna.evidence import Batch, Command, Ending, NodeAnswer, NodeTrouble, Outcome, Trouble
from hakuna.stages.answers import Answers
from hakuna.stages.reserve import LEAST, MARGIN, Reserve

SILENT = NodeTrouble(Trouble.DEADLINE, "b: the node fell silent")


class Nodes:
    """Two nodes; ``b`` hangs: every batch that it is asked costs the whole time of its slowest command."""

    def __init__(self):
        self.now = 0.0
        self.asked: list[tuple[str, str, float]] = []

    def send(self, name, batches, unsent=None, /):
        out = {}
        for node, batch in batches.items():
            if node in (unsent or {}):
                out[node] = NodeAnswer.unreached(batch, unsent[node])
                continue
            longest = max(c.deadline for c in batch)
            self.asked.append((name, node, longest))
            if node == "b":
                self.now += longest + MARGIN
                out[node] = NodeAnswer.unreached(batch, SILENT)
            else:
                out[node] = NodeAnswer({c.id: Outcome(c.id, Ending.EXITED, 0) for c in batch})
        return Answers(name, out)


def both(deadline=20.0):
    return {n: Batch((Command("x", ("true",), deadline=deadline),)) for n in "ab"}


def test_a_node_that_hangs_is_asked_once():
    nodes = Nodes()
    reserve = Reserve(nodes.send, 120.0, lambda: nodes.now)
    first, second = reserve("one", both()), reserve("two", both())
    assert [(name, node) for name, node, _ in nodes.asked] == [("one", "a"), ("one", "b"), ("two", "a")]
    assert first.by_node["b"].trouble == second.by_node["b"].trouble == SILENT
    assert second.outcome("a", "x").ok


def test_no_command_gets_more_time_than_is_left():
    nodes = Nodes()
    reserve = Reserve(nodes.send, 120.0, lambda: nodes.now)
    reserve("one", both(deadline=1800.0))
    assert {deadline for _, _, deadline in nodes.asked} == {120.0 - MARGIN}
    assert nodes.now <= 120.0


def test_commands_that_wait_for_each_other_share_what_is_left():
    nodes = Nodes()
    reserve = Reserve(nodes.send, 60.0, lambda: nodes.now)
    batch = Batch(tuple(Command(str(i), ("true",), deadline=50.0, lane="down") for i in range(4)))
    reserve("one", {"a": batch})
    assert nodes.asked == [("one", "a", (60.0 - MARGIN) / 4)]


def test_when_it_is_over_nobody_is_asked_and_that_is_said():
    nodes = Nodes()
    reserve = Reserve(nodes.send, 60.0, lambda: nodes.now)
    nodes.now = 59.0
    answers = reserve("late", both())
    assert nodes.asked == []
    assert "60 s in reserve" in answers.by_node["a"].trouble.detail
    assert answers.outcome("a", "x").ending is Ending.NOT_RUN


def test_a_command_that_is_sent_has_time_to_do_something():
    nodes = Nodes()
    reserve = Reserve(nodes.send, MARGIN + 0.5, lambda: nodes.now)
    reserve("one", both())
    assert {deadline for _, _, deadline in nodes.asked} == {LEAST}
