# SPDX-License-Identifier: Apache-2.0
"""Labs for the tests. They are built only where that was asked for (HAKUNA_LAB_TESTS=1) and by root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]


def pytest_configure(config):
    config.addinivalue_line("markers", "long: of the lab, and left out where there is little time (make lab-ci)")


def pytest_collection_modifyitems(items):
    """Tests that build hosts run one after the other, and only on request."""
    for item in items:
        if "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("lab"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Where labs were asked for, a test that skips hides something."""
    report = yield
    if report.skipped and os.environ.get("HAKUNA_LAB_TESTS") == "1" and Path(__file__).parent in item.path.parents:
        report.outcome, report.longrepr = "failed", f"it skipped, though labs were asked for: {report.longrepr}"
    return report


@pytest.fixture(scope="module")
def lab(request):
    """A lab after the module's ``PLAN``; it is taken down at the end."""
    if os.environ.get("HAKUNA_LAB_TESTS") != "1":
        pytest.skip("builds real hosts: set HAKUNA_LAB_TESTS=1")
    if os.geteuid() != 0:
        pytest.fail("labs were asked for, and only root can build real hosts", pytrace=False)
    from lab import build

    if build.find() is not None:
        pytest.fail("a lab is up already; it is somebody's: python -m lab down", pytrace=False)
    plan = request.module.PLAN
    words = ["up", "--nodes", str(plan.nodes), "--devices", str(plan.devices), "--engine", plan.engine]
    words += ["--bare"] if plan.bare else []
    command(*words)
    yield build.find()
    command("down")


def command(*words):
    done = subprocess.run(
        [sys.executable, "-m", "lab", *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
