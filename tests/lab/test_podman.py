# SPDX-License-Identifier: Apache-2.0
"""The guide's containers by podman instead of Docker: flag for flag, read back, and nothing left."""

from __future__ import annotations

import json

from lab.plan import Plan
from lab_runs import newest, run

from lab import machine

PLAN = Plan(devices=2, engine="podman")


def on(lab, host, *words):
    return machine.run(lab.host(host).inside(*words))


def test_podman_brings_up_the_guides_service_and_leaves_nothing(lab, tmp_path):
    told = run(tmp_path)
    assert told.verdict == "READY", told.output
    sent = newest(tmp_path) / "evidence" / "container" / "lab-b.jsonl"
    rows = [json.loads(row) for row in sent.read_text().splitlines()[1:]]
    inspect = next(r for r in rows if r["id"] == "container.inspect")
    assert inspect["argv"][0] == "podman"
    (document,) = json.loads(inspect["stdout"])
    assert document["HostConfig"]["Devices"] == [], "podman lists none of a privileged container: see container_facts"
    for host in lab.hosts:
        assert on(lab, host, "podman", "ps", "-aq") == ""
        assert on(lab, host, "sh", "-c", "ls -d /tmp/hakuna* /tmp/ray* 2>/dev/null || true") == ""
