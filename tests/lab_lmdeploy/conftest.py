# SPDX-License-Identifier: Apache-2.0
"""Labs in which the real LMDeploy serves. Built only where that was asked for (HAKUNA_LAB_TESTS=lmdeploy), by root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab"), str(HERE.parents[1])]


def pytest_configure(config):
    config.addinivalue_line("markers", "ci: in the share that CI runs (make lab-lmdeploy)")


def pytest_terminal_summary(terminalreporter):
    """What each failure came to: verdict, place and times."""
    from twin_runs import ROWS

    if ROWS:
        terminalreporter.section("Hakuna and LMDeploy")
        terminalreporter.write_line("\n".join(ROWS))


@pytest.fixture(scope="session")
def asked_for():
    """Nothing is installed or built for a run that did not ask for it."""
    if os.environ.get("HAKUNA_LAB_TESTS") != "lmdeploy":
        pytest.skip("builds real hosts and installs LMDeploy: make lab-lmdeploy")


@pytest.fixture(scope="module")
def lab(request, asked_for):
    """A lab after the module's ``PLAN``, or after the parameter; it is taken down at the end."""
    if os.geteuid() != 0:
        pytest.fail("only root can build real hosts")
    from lab import build

    if build.find() is not None:
        pytest.fail("a lab is up already; it is somebody's: python -m lab down")
    plan = getattr(request, "param", None) or request.module.PLAN
    _lab("up", f"--nodes={plan.nodes}", f"--devices={plan.devices}", f"--lmdeploy={plan.lmdeploy}")
    try:
        yield build.find()
    finally:
        _lab("down")


def _lab(*words):
    """In a process of its own, as its daemons outlive it. Installing takes minutes the first time."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", *words],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=2400,
        check=False,
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
