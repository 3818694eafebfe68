# SPDX-License-Identifier: Apache-2.0
"""Probes as Ray tasks on a real Ray over two hosts: the same verdicts and facts as over ssh."""

from __future__ import annotations

import json
import subprocess
from collections import Counter

import pytest
from lab.plan import INVENTORY, REPOSITORY, Plan
from lab_runs import Finding, environment, mesh_of, newest, run

from lab import machine

PLAN = Plan(devices=2)


@pytest.fixture
def kept(lab, tmp_path):
    """A cluster that stays up."""
    told = run(tmp_path / "kept", "--keep", "--until=ray")
    assert told.verdict == "READY", told.output
    yield lab
    words = [str(REPOSITORY / ".venv/bin/hakuna"), "down", "--inventory", str(INVENTORY)]
    done = subprocess.run([*words, "--reports", str(tmp_path / "kept")], env=environment(), check=False, timeout=300)
    assert done.returncode == 0


def notes(reports):
    rows = [json.loads(row) for row in (newest(reports) / "journal.jsonl").read_text().splitlines()]
    return [row["text"] for row in rows if row["event"] == "note"]


def verdicts(reports):
    data = json.loads((newest(reports) / "findings.json").read_text())
    return Counter((c["rule"], c["verdict"]) for c in data["checks"])


def test_probes_travel_as_ray_tasks_and_say_the_same(kept, tmp_path):
    by_ssh, by_ray = tmp_path / "ssh", tmp_path / "ray"
    for reports, how in ((by_ssh, "ssh"), (by_ray, "ray")):
        told = run(reports, "--attach", "--until=ray", f"--fan-out={how}")
        assert told.verdict == "READY", told.output
    assert not [n for n in notes(by_ssh) if "Ray tasks" in n]
    said = [n for n in notes(by_ray) if "Ray tasks" in n]
    assert "network.mesh: 2 nodes asked as Ray tasks" in said, said
    assert "ray: 2 nodes asked as Ray tasks" in said, said
    assert verdicts(by_ray) == verdicts(by_ssh)
    assert mesh_of(newest(by_ray)).keys() == mesh_of(newest(by_ssh)).keys()


def test_a_node_without_ray_is_asked_over_ssh(kept, tmp_path):
    raylets = 'case $(tr "\\0" "\\n" <$p/cmdline | head -n 1) in */raylet/raylet) kill -9 ${p#/proc/};; esac'
    machine.run(kept.host("lab-b").inside("sh", "-c", f"for p in /proc/[0-9]*; do {raylets}; done"))
    told = run(tmp_path, "--attach", "--until=ray", "--fan-out=ray")
    assert told.verdict == "NOT READY", told.output
    assert told.root_causes in {(Finding("RAY507", "lab-b"),), (Finding("RAY503", "lab-b"),)}, told.output
    assert not told.unjudged
