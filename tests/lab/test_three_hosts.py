# SPDX-License-Identifier: Apache-2.0
"""More than two hosts: what is said of "the other node" must hold of all others."""

from __future__ import annotations

from lab.plan import Plan
from lab_runs import mesh_of, newest, run

PLAN = Plan(nodes=3, devices=4)


def test_the_guide_works_on_three_hosts(lab, tmp_path):
    told = run(tmp_path)
    assert told.verdict == "READY", told.output
    shown = mesh_of(newest(tmp_path))
    assert len(shown) == 12 * 8
    assert set(shown.values()) == {"0"}
