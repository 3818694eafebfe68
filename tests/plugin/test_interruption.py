# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, SIGTERM and kill -9 in every stage: nothing is left, at the latest after the next run."""

from __future__ import annotations

import json
import signal
import time

import pytest

from support.sessions import MOCK, ROOT, pytest_session, start

STAGES = ["host", "network", "container", "rank_table", "ray", "collective", "server", "generation", "teardown"]


def interrupt(reports, stage, number, *arguments):
    """Start a run and send it a signal as soon as its journal says that the stage has begun."""
    process = start(f"--reports={reports}", f"--inventory={MOCK}", *arguments)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if any(f'"stage": "{stage}", "state": "begin"' in p.read_text() for p in reports.glob("*/journal.jsonl")):
            process.send_signal(number)
            break
        time.sleep(0.005)  # the condition is in a file of another process
    return process.wait(60), process.text


@pytest.mark.parametrize("stage", STAGES)
def test_after_kill_9_the_next_run_cleans_up(tmp_path, stage):
    code, _ = interrupt(tmp_path, stage, signal.SIGKILL)
    assert code == -signal.SIGKILL
    (dead,) = [p.parent.name for p in tmp_path.glob("*/run.json")]
    # What was left is cleaned up before anything else; one of them goes on to the end.
    until = () if stage == "server" else ("--until=container",)
    session = pytest_session(tmp_path, f"--inventory={MOCK}", *until)
    assert session.code == 0, session.text
    assert session.verdict == "READY"
    intended = "intend" in (tmp_path / dead / "journal.jsonl").read_text()
    assert (f"cleaned up after run {dead}" in session.text) == intended, session.text


def test_after_a_run_in_several_processes_the_journal_has_nothing_that_is_left(tmp_path):
    """The controller reads the stages of its workers again from the evidence: that starts nothing, and says so."""
    session = pytest_session(tmp_path, f"--inventory={MOCK}", "-n", "2")
    assert session.verdict == "READY", session.text
    events = [json.loads(line) for line in (session.folder / "journal.jsonl").read_text().splitlines()]
    kinds = [e["event"] for e in events if e["event"] in ("intend", "gone")]
    assert "intend" not in kinds[kinds.index("gone") :]
    assert kinds.count("intend") == kinds.count("gone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_takes_itself_down_and_reports(tmp_path, number):
    code, text = interrupt(tmp_path, "server", number)
    assert code == 2, text
    assert "Traceback" not in text
    (folder,) = [p.parent for p in tmp_path.glob("*/run.json")]
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    intended = [e for e in events if e["event"] == "intend"]
    gone = [e for e in events if e["event"] == "gone"]
    assert {(e["kind"], e["node"], e["name"]) for e in intended} == {(e["kind"], e["node"], e["name"]) for e in gone}
    assert json.loads((folder / "findings.json").read_text())["verdict"] != "READY"
    again = pytest_session(tmp_path, f"--inventory={MOCK}")
    assert again.code == 0
    assert "cleaned up after" not in again.text


SLOW = """
import time
from pathlib import Path
from hakuna.stages.connecting import connect

class Slow:
    kind = "simulated"
    def __init__(self, inner):
        self.run_, self.http, self.close = inner.run, inner.http, inner.close
    def run(self, name, batches):
        if name == "teardown.files":
            Path({mark!r}).touch()
            time.sleep(1.0)
        return self.run_(name, batches)

def pytest_hakuna_transport(config, inventory):
    return Slow(connect(inventory, Path(config.getoption("hakuna_reports"))))
"""


def test_further_signals_are_answered_and_not_obeyed(tmp_path):
    mark = tmp_path / "taking-down"
    (tmp_path / "slow.py").write_text(SLOW.format(mark=str(mark)))
    reports = tmp_path / "reports"
    process = start(
        *(f"--reports={reports}", f"--inventory={MOCK}", "-p", "slow", "--until=container"),
        env={"PYTHONPATH": f"{tmp_path}:{ROOT / 'plugins'}"},
    )
    end = time.monotonic() + 60
    while not mark.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)  # the condition is a file of another process
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, process.text
    text = process.text
    assert "it ends by itself, within 120 s" in text
    (folder,) = [p.parent for p in reports.glob("*/run.json")]
    assert json.loads((folder / "findings.json").read_text())["verdict"] == "READY"
