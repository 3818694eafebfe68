# SPDX-License-Identifier: Apache-2.0
"""The whole guide on real hosts: containers, Ray, collective, server; and what a killed run leaves to the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from lab.plan import INVENTORY, REPOSITORY, Plan
from lab_runs import Finding, command, environment, run

from hakuna.inventory.model import GUIDE_IMAGE
from lab import machine

PLAN = Plan()
#: A batch after which a controller is killed: each leaves something else behind.
STEPS = ("container.run", "ray.workers", "server.start")


def on(lab, host, *words):
    return machine.run(lab.host(host).inside(*words))


def test_the_guide_brings_up_a_service_and_leaves_nothing(lab, tmp_path):
    told = run(tmp_path)
    assert told.verdict == "READY", told.output
    for host in lab.hosts:
        assert on(lab, host, "docker", "ps", "-aq") == ""
        assert on(lab, host, "sh", "-c", "ls -d /tmp/hakuna* /tmp/ray* 2>/dev/null || true") == ""


@pytest.mark.parametrize("step", STEPS)
def test_what_a_killed_controller_left_is_gone_after_the_next_run(lab, tmp_path, step):
    """A neighbour of the same kind of names is not touched."""
    beside = ["docker", "run", "-d", "--name", "hakuna-neighbour", "--net=host", "--entrypoint", "/bin/sleep"]
    neighbour = on(lab, "lab-b", *beside, GUIDE_IMAGE, "3600").strip()
    controller = subprocess.Popen(
        command(tmp_path), cwd=REPOSITORY, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 200
        while not list(tmp_path.glob(f"*/evidence/{step}")):
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


def test_a_raylet_that_dies_later_is_found_by_attach(lab, tmp_path):
    kept = run(tmp_path, "--keep")
    assert kept.verdict == "READY", kept.output
    try:
        raylets = 'case $(tr "\\0" "\\n" <$p/cmdline | head -n 1) in */raylet/raylet) kill -9 ${p#/proc/};; esac'
        kill = f"for p in /proc/[0-9]*; do {raylets}; done"
        on(lab, "lab-b", "sh", "-c", kill)
        told = run(tmp_path, "--attach")
        assert told.verdict == "NOT READY", told.output
        # Ray itself takes a while to notice; the missing process is seen at once.
        rules = {f.rule for f in told.root_causes}
        assert {f.where for f in told.root_causes} <= {"lab-b", "cluster"}, told.output
        assert rules & {"RAY503", "RAY507"}, told.output
        assert Finding("SRV704", "lab-b") not in told.root_causes, "a consequence, not a cause"
    finally:
        down = [str(REPOSITORY / ".venv/bin/hakuna"), "down", "--inventory", str(INVENTORY)]
        subprocess.run([*down, "--reports", str(tmp_path)], env=environment(), check=False)
    for host in lab.hosts:
        assert on(lab, host, "docker", "ps", "-aq") == ""
