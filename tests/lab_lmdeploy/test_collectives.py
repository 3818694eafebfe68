# SPDX-License-Identifier: Apache-2.0
"""Sums over the ranks that are wrong in every way there is, by the real server with tp=2, 4, 8 and 16."""

from __future__ import annotations

import pytest
from lab.plan import Plan
from twin_runs import GENERATION, broken, hakuna, report

PLANS = [Plan(nodes=2, devices=devices, lmdeploy="0.18.0") for devices in (1, 2, 4, 8)]


def ways(tp):
    return ("nothing", "lost 0", f"lost {tp - 1}", f"world {tp // 2}", f"swap 0 {tp - 1}")


@pytest.mark.parametrize("lab", PLANS, indirect=True, ids=lambda plan: f"tp{2 * plan.devices}", scope="module")
@pytest.mark.parametrize("way", range(5), ids=["nothing", "first-lost", "last-lost", "small-world", "swapped"])
def test_a_wrong_sum_is_seen_in_the_text(lab, tmp_path, way):
    how = ways(lab.plan.nodes * lab.plan.devices)[way]
    with broken(lab, how):
        told, seconds = hakuna(tmp_path, server={"pipeline": False})
    report(f"{how}: NOT READY after {seconds:.0f} s: {told.root_causes}")
    assert told.verdict == "NOT READY", told.output
    assert told.root_causes, told.output
    assert {f.rule for f in told.root_causes} <= set(GENERATION), told.output
