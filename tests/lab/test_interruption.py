# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every step of a real run: the next normal run removes every trace, and nothing of anybody else's.

The steps are the batches of a run, in order. A controller is killed before one is sent (what it will leave is in the
journal), while it is on its way, or when it was answered and nobody has written that down. The dead run of one case is
cleaned up by the run of the next one, which is an ordinary run until its own step: so each costs one run only. The
last one goes on to the end, and has to be READY.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time

import bystanders
import pytest
from lab.plan import REPOSITORY, Plan
from lab_runs import command, environment, newest, run

from lab import build

PLAN = Plan(devices=2)
#: Batches of a whole run, and the moments at which its controller is killed.
STEPS = {
    "host": ("after",),
    "network": ("after",),
    "network.mesh": ("during",),
    "container.lease": ("before", "during", "after"),
    "container.run": ("before", "during", "after"),
    "container": ("during",),
    "rank_table.write": ("before", "during"),
    "rank_table": ("after",),
    "ray.before": ("after",),
    "ray.head": ("before", "during", "after"),
    "ray.workers": ("during", "after"),
    "ray.poll.001": ("during",),
    "ray": ("after",),
    "ray.boot": ("during",),
    "collective": ("during", "after"),
    "server.pipeline": ("during",),
    "server.start": ("before", "during"),
    "server.poll.0001": ("after",),
    "server": ("after",),
    "server.boot": ("during",),
    "logs": ("during",),
    "teardown.find": ("after",),
    "teardown.containers": ("during",),
    "teardown.procs.1": ("after",),
    "teardown.files": ("during", "after"),
    "teardown": ("during",),
}
CASES = [f"{name}:{when}" for name, moments in STEPS.items() for when in moments]
#: One of each kind, for a CI that has little time; all of them by ``make lab-test``.
CHAOS = ("container.run:during", "ray.workers:during", "server.start:during")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """One folder for all runs of this module: the dead ones are known by their journals in it."""
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def neighbours(lab):
    return bystanders.settle(lab)


def killed_at(reports, name, when):
    """A run whose controller is killed at that moment; its folder."""
    before = set(reports.glob("*/run.json"))
    done = subprocess.run(
        command(reports, "-p", "moments"),
        cwd=REPOSITORY,
        env={
            **environment(),
            "PYTHONPATH": f"{REPOSITORY / 'tests/lab'}:{REPOSITORY / 'plugins'}:{REPOSITORY}",
            "HAKUNA_LAB_MOMENT": f"{name} {when} kill",
        },
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, f"it was not killed at {name}: {done.stdout}{done.stderr}"
    (made,) = set(reports.glob("*/run.json")) - before
    return made.parent


def dead_before(reports, folder):
    """The dead run before this one that had begun to leave anything."""
    others = sorted(p.parent for p in reports.glob("*/journal.jsonl") if p.parent.name < folder.name)
    return others[-1] if others else None


def assert_cleaned_up(lab, reports, folder):
    """Nothing is left of any earlier run."""
    dead = dead_before(reports, folder)
    if dead is None:
        return
    journal = (folder / "journal.jsonl").read_text()
    if '"intend"' in (dead / "journal.jsonl").read_text():
        assert f"cleaned up after run {dead.name}" in journal
    for earlier in reports.glob("*/run.json"):
        if earlier.parent != folder:
            assert bystanders.traces(lab, earlier.parent.name) == []


@pytest.mark.parametrize("case", [pytest.param(c, marks=() if c in CHAOS else pytest.mark.long, id=c) for c in CASES])
def test_kill_9(lab, neighbours, reports, case):
    name, _, when = case.partition(":")
    folder = killed_at(reports, name, when)
    assert_cleaned_up(lab, reports, folder)
    neighbours.untouched(lab)


def test_after_all_that_a_normal_run_is_ready(lab, neighbours, reports):
    told = run(reports)
    assert told.verdict == "READY", told.output
    folder = newest(reports)
    assert_cleaned_up(lab, reports, folder)
    assert bystanders.traces(lab, folder.name) == []
    assert bystanders.files(lab) == []
    neighbours.untouched(lab)
    # Every batch of a whole run is a step at which a controller was killed; polls are all alike.
    sent = {p.name for p in (folder / "evidence").iterdir()} - {"http"}
    steps = {re.sub(r"\.poll\.\d+$", ".poll", n) for n in sent if not n.startswith("reaped.")}
    assert steps == {re.sub(r"\.poll\.\d+$", ".poll", n) for n in STEPS}


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_a_signal_takes_the_run_down_in_the_middle_of_a_start(lab, neighbours, tmp_path, number):
    """While Ray is being started, and a second time while the run is being taken down."""
    process = subprocess.Popen(
        command(tmp_path),
        cwd=REPOSITORY,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 200
    while not list(tmp_path.glob("*/evidence/ray.before")):
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < end
        time.sleep(0.02)  # the step is a folder of another process: there is no event for it
    begun = time.monotonic()
    process.send_signal(number)
    while '"kind": "gone"' not in (text := next(tmp_path.glob("*/journal.jsonl")).read_text()) and (
        "taking down" not in text
    ):
        assert time.monotonic() < end
        time.sleep(0.02)  # likewise
    os.kill(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 2, output
    assert time.monotonic() - begun < 120, "thresholds.teardown"
    (folder,) = [p.parent for p in tmp_path.glob("*/findings.json")]
    assert json.loads((folder / "findings.json").read_text())["verdict"] != "READY"
    assert bystanders.traces(lab, folder.name) == []
    assert bystanders.files(lab) == []
    neighbours.untouched(lab)
    assert build.find() is not None
