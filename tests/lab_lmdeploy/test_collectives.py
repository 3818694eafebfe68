# SPDX-License-Identifier: Apache-2.0
"""Sums over the ranks that are wrong in every way there is, by the real server with tp=2, 4 and 8 (16: test_guide.py)."""

from __future__ import annotations

import pytest
from lab.plan import Plan
from twin_runs import GENERATION, attach, broken, causes, kept, report

PLANS = [Plan(nodes=2, devices=devices, lmdeploy="0.18.0") for devices in (1, 2, 4)]


def ways(tp):
    """Each way once, for the first rank and for the last; "" last: mended, the server says its sentence again."""
    return ("nothing", "lost 0", f"lost {tp - 1}", f"world {tp // 2}", f"swap 0 {tp - 1}", "")


@pytest.fixture(scope="module")
def server(lab, tmp_path_factory):
    """One that was brought up by Hakuna, and was right."""
    folder = tmp_path_factory.mktemp("server")
    with kept(folder, server={"pipeline": False}) as (told, seconds):
        report(f"tp={lab.plan.nodes * lab.plan.devices}: {told.verdict} after {seconds:.0f} s")
        assert told.verdict == "READY", told.output
        yield folder


@pytest.mark.parametrize("lab", PLANS, indirect=True, ids=lambda plan: f"tp{2 * plan.devices}", scope="module")
@pytest.mark.parametrize(
    "way", range(6), ids=["nothing", "first-lost", "last-lost", "small-world", "swapped", "mended"]
)
def test_a_wrong_sum_is_seen_in_the_text(lab, server, way):
    tp = lab.plan.nodes * lab.plan.devices
    how = ways(tp)[way]
    if not how:
        assert attach(server)[0].verdict == "READY"
        return
    with broken(lab, how):
        told, seconds = attach(server)
    report(f"tp={tp}, all-reduce: {how}: {told.verdict} {causes(told)} after {seconds:.0f} s")
    assert told.verdict == "NOT READY", told.output
    assert told.root_causes, told.output
    assert {f.rule for f in told.root_causes} <= GENERATION, told.output
