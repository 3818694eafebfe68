# SPDX-License-Identifier: Apache-2.0
"""The whole guide on real hosts: containers, Ray, collective, server; and what a killed run leaves to the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from lab.plan import REPOSITORY, Plan
from lab_runs import command, environment, newest, run

from hakuna.inventory.model import GUIDE_IMAGE
from hakuna.reports.facts.bring_up import bring_up
from lab import machine

PLAN = Plan()
#: The batch after which the controller is killed. Other moments: test_interruption.py, on fewer devices.
STEP = "server.start"


def on(lab, host, *words):
    return machine.run(lab.host(host).inside(*words))


def test_the_guide_brings_up_a_service_and_leaves_nothing(lab, tmp_path):
    told = run(tmp_path)
    assert told.verdict == "READY", told.output
    way = bring_up(newest(tmp_path) / "evidence")
    assert way.steps[-1].name == "server.boot"
    assert way.own_percent <= 5, f"Hakuna's own share of {way.seconds:.1f} s: {way.own:.1f} s"
    for host in lab.hosts:
        assert on(lab, host, "docker", "ps", "-aq") == ""
        assert on(lab, host, "sh", "-c", "ls -d /tmp/hakuna* /tmp/ray* 2>/dev/null || true") == ""


@pytest.mark.long
def test_what_a_killed_controller_left_is_gone_after_the_next_run(lab, tmp_path):
    """A neighbour of the same kind of names is not touched."""
    beside = ["docker", "run", "-d", "--name", "hakuna-neighbour", "--net=host", "--entrypoint", "/bin/sleep"]
    neighbour = on(lab, "lab-b", *beside, GUIDE_IMAGE, "3600").strip()
    controller = subprocess.Popen(
        command(tmp_path), cwd=REPOSITORY, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 200
        while not list(tmp_path.glob(f"*/evidence/{STEP}")):
            assert controller.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < end
            time.sleep(0.02)  # the step is a folder of another process: there is no event for it
    finally:
        os.kill(controller.pid, signal.SIGKILL)
        controller.wait()
    assert len(on(lab, "lab-b", "docker", "ps", "-q").split()) == 2, "the dead run's container and the neighbour's"
    try:
        told = run(tmp_path)
        assert told.verdict == "READY", told.output
        assert "cleaned up after run" in "".join(p.read_text() for p in tmp_path.glob("*/journal.jsonl"))
        assert on(lab, "lab-b", "docker", "ps", "-aq", "--no-trunc").split() == [neighbour]
        assert on(lab, "lab-a", "docker", "ps", "-aq") == ""
    finally:
        on(lab, "lab-b", "docker", "rm", "-f", neighbour)
