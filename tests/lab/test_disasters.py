# SPDX-License-Identifier: Apache-2.0
"""What befalls a host in the middle of a run: a clear verdict of its own each time, never a false green, never a hang.

And when the host is whole again, the next normal run is READY and has removed whatever could not be removed.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass

import bystanders
import pytest
from lab.plan import REPOSITORY, Plan
from lab_runs import Finding, command, environment, newest, run

from lab import build, disasters

PLAN = Plan(devices=1)
#: Seconds that any of these may take on a small machine that does other things, too.
AT_MOST = 480.0


@dataclass(frozen=True)
class Struck:
    """A run that something befell: what its findings.json holds, and what it printed."""

    name: str
    verdict: str
    causes: tuple[Finding, ...]
    unjudged: tuple[dict[str, str], ...]
    output: str
    seconds: float

    def at(self, rule):
        return [f.where for f in self.causes if f.rule == rule]


def struck(reports, moment, until):
    begun = time.monotonic()
    done = subprocess.run(
        [*command(reports, "-p", "moments", f"--until={until}")],
        cwd=REPOSITORY,
        env={
            **environment(),
            "PYTHONPATH": f"{REPOSITORY / 'tests/lab'}:{REPOSITORY / 'plugins'}:{REPOSITORY}",
            "HAKUNA_LAB_MOMENT": moment,
        },
        capture_output=True,
        text=True,
        timeout=AT_MOST,
        check=False,
    )
    output = done.stdout + done.stderr
    folder = newest(reports)
    data = json.loads((folder / "findings.json").read_text())
    found = [f for c in data["checks"] for f in c["findings"]]
    assert done.returncode != 0, "a green exit code"
    return Struck(
        folder.name,
        data["verdict"],
        tuple(Finding(f["rule"], f["where"]) for f in found if f["verdict"] == "FAIL"),
        tuple(f for f in found if f["verdict"] in ("ERROR", "UNPARSED")),
        output,
        time.monotonic() - begun,
    )


@pytest.fixture
def after(lab, tmp_path):
    """Let something happen at a moment of a run; the host is made whole at the end, and a normal run must be READY."""
    done = []

    def act(name, place, moment, until):
        done.append((name, place))
        return struck(tmp_path, f"{moment} {name}@{place}", until)

    yield act
    for name, place in done:
        disasters.mend(name, place)
    told = run(tmp_path, "--until=container")
    assert told.verdict == "READY", told.output
    for folder in tmp_path.glob("*/run.json"):
        assert bystanders.traces(build.find(), folder.parent.name) == []
    assert bystanders.files(build.find()) == []


@pytest.mark.long
def test_a_host_that_reboots(after):
    found = after("reboot", "lab-b", "ray.before after", "ray")
    assert found.verdict == "NOT READY", found.output
    assert found.causes == (Finding("RAY510", "lab-b"),), found.output


def test_a_dockerd_that_dies(after):
    found = after("engine-dies", "lab-b", "container after", "rank_table")
    assert found.verdict == "NOT READY", found.output
    assert found.causes == (Finding("TDN900", "lab-b"),), found.output
    assert "Cannot connect to the Docker daemon" in found.output
    # What a person can type, whole and on a line of its own.
    assert f"docker rm -f $(docker ps -aq --filter label=hakuna.run={found.name})" in found.output


@pytest.mark.long
def test_a_disk_that_fills(after):
    found = after("disk-full", "lab-b", "container after", "rank_table")
    assert found.verdict != "READY"
    told = [*(f.where for f in found.causes), *(f["where"] for f in found.unjudged)]
    assert told
    assert {where.partition("/")[0] for where in told} == {"lab-b"}, found.output
    assert "no space left on device" in " ".join(found.output.split()).lower()


def test_ssh_that_is_cut_in_mid_batch(after):
    found = after("ssh-cut", "lab-b", "container during", "container")
    assert found.verdict == "INCONCLUSIVE", found.output
    assert found.causes == ()
    assert {f["where"] for f in found.unjudged} == {"lab-b"}
    assert all("connection was lost in the middle of the batch" in f["observed"] for f in found.unjudged)


@pytest.mark.long
def test_a_host_that_hangs(after):
    found = after("hang", "lab-b", "container during", "container")
    assert found.verdict == "NOT READY", found.output
    assert found.causes == (Finding("TDN900", "lab-b"),), found.output
    assert "fell silent" in found.output
    assert f"docker rm -f $(docker ps -aq --filter label=hakuna.run={found.name})" in found.output
    assert f"grep -qF /{found.name} /tmp/hakuna-lease/lease && rm -r /tmp/hakuna-lease" in found.output


@pytest.mark.long
def test_a_network_that_is_gone(after):
    found = after("network-gone", "lab-b", "container during", "container")
    assert found.verdict == "NOT READY", found.output
    assert found.causes == (Finding("TDN900", "lab-b"),), found.output
    assert found.seconds < AT_MOST
    assert f"docker rm -f $(docker ps -aq --filter label=hakuna.run={found.name})" in found.output


@pytest.mark.long
def test_a_server_that_dies_while_it_loads(after):
    """Told when it happens, with the last lines of its log, not when the time to load is over."""
    found = after("server-dies", "lab-a", "server.start after", "server")
    assert found.verdict == "NOT READY", found.output
    assert found.causes == (Finding("SRV701", "lab-a"),), found.output
    words = " ".join(found.output.split())
    seconds = re.search(r"it died after ([\d.]+) s", words)
    assert seconds, found.output
    assert float(seconds[1]) < 30, "the time to load is 120 s in the lab"
