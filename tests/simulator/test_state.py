# SPDX-License-Identifier: Apache-2.0
"""The state that several processes share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hakuna.simulator.state import ClusterState

PLUGINS = Path(__file__).parents[2] / "plugins"
ADD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hakuna.simulator.state import ClusterState, section
state = ClusterState(Path(sys.argv[2]))
for number in range(100):
    with state.transaction() as data:
        section(data, "files", "node-a")[f"{sys.argv[3]}{number}"] = "x"
        data["next_pid"] += 1
"""


def test_what_one_wrote_the_other_reads(tmp_path):
    one, two = ClusterState(tmp_path / "s.json"), ClusterState(tmp_path / "s.json")
    assert two.read()["next_pid"] == 4001
    with one.transaction() as data:
        data["next_pid"] = 5000
    assert two.read()["next_pid"] == 5000
    with two.transaction() as data:
        data["next_pid"] += 1
    assert one.read()["next_pid"] == 5001


def test_two_processes_lose_nothing(tmp_path):
    path = tmp_path / "s.json"
    adders = [subprocess.Popen([sys.executable, "-c", ADD, str(PLUGINS), str(path), name]) for name in "ab"]
    assert [a.wait(60) for a in adders] == [0, 0]
    data = ClusterState(path).read()
    assert data["next_pid"] == 4001 + 200
    assert sorted(data["files"]["node-a"]) == sorted(f"{n}{i}" for n in "ab" for i in range(100))


def test_a_transaction_that_fails_changes_nothing(tmp_path):
    for state in (ClusterState(tmp_path / "s.json"), ClusterState(None)):
        with state.transaction() as data:
            data["next_pid"] = 7
        with pytest.raises(KeyError):
            _change_and_fail(state)
        assert state.read()["next_pid"] == 7


def _change_and_fail(state):
    with state.transaction() as data:
        data["next_pid"] = 8
        raise KeyError


def test_nested_transactions_are_saved_once_at_the_end(tmp_path):
    path = tmp_path / "s.json"
    state = ClusterState(path)
    with state.transaction() as data:
        with state.transaction() as inner:
            inner["next_pid"] = 9
        assert not path.exists()
        assert data is inner
        assert state.read()["next_pid"] == 9
    assert json.loads(path.read_text())["next_pid"] == 9


def test_reading_does_not_load_again_without_a_change(tmp_path):
    state = ClusterState(tmp_path / "s.json")
    with state.transaction() as data:
        data["next_pid"] = 9
    assert state.read() is state.read()
    before = (tmp_path / "s.json").stat().st_mtime_ns
    with state.transaction():
        pass
    assert (tmp_path / "s.json").stat().st_mtime_ns == before


def test_a_state_that_was_removed_is_empty_again(tmp_path):
    state = ClusterState(tmp_path / "s.json")
    with state.transaction() as data:
        data["next_pid"] = 9
    (tmp_path / "s.json").unlink()
    assert state.read()["next_pid"] == 4001
