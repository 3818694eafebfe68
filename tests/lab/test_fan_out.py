# SPDX-License-Identifier: Apache-2.0
"""Probes as Ray tasks on a real Ray over two hosts: the same verdicts and facts as over ssh."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from lab.plan import Plan
from lab_runs import Finding, down, journal, kill_raylet, mesh_of, newest, run

PLAN = Plan(devices=2)


@pytest.fixture
def kept(lab, tmp_path):
    """A cluster that stays up."""
    told = run(tmp_path / "kept", "--keep", "--until=ray")
    assert told.verdict == "READY", told.output
    yield lab
    done = down(tmp_path / "kept")
    assert done.returncode == 0, done.stdout + done.stderr


def notes(reports):
    return [row["text"] for row in journal(reports) if row["event"] == "note"]


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
    kill_raylet(kept, "lab-b")
    told = run(tmp_path, "--attach", "--until=ray", "--fan-out=ray")
    assert told.verdict == "NOT READY", told.output
    assert told.root_causes in {(Finding("RAY507", "lab-b"),), (Finding("RAY503", "lab-b"),)}, told.output
    assert not told.unjudged
