# SPDX-License-Identifier: Apache-2.0
"""LMDeploy 0.14.0, the last release that reads the rank table: ours is consumed, and wrong ones are named early."""

from __future__ import annotations

import json

import pytest
from lab.plan import Plan
from twin_runs import evidence, hakuna, on, ray_up, report, serve_by_hand

PLAN = Plan(nodes=2, devices=2, lmdeploy="0.14.0")
PATH = "/models/rank_table.json"  # mounted into the containers
TABLE = "ASCEND_RANK_TABLE_FILE_PATH"


def guides_example():
    """The table of the guide's section 3, whose server_id is no address."""
    servers = [
        {
            "server_id": f"node_{n}",
            "device": [
                {
                    "device_id": str(d),
                    "device_ip": f"192.168.{n + 1}.{8 + d}",
                    "device_port": "16667",
                    "rank_id": str(2 * n + d),
                }
                for d in (0, 1)
            ],
        }
        for n in (0, 1)
    ]
    return json.dumps({"status": "completed", "version": "1.0", "server_count": "2", "server_list": servers})


WRONG = {
    "the-guides-example": (guides_example(), "Master address does not match rank table"),
    "broken": ("{", "json.decoder.JSONDecodeError"),
    "absent": (None, "FileNotFoundError"),
}


def put(lab, table):
    for host in lab.plan.hosts:
        on(lab, host, f"printf '%s' '{table}' >{PATH}" if table else f"rm -f {PATH}")


def test_our_table_is_read_and_the_guide_is_ready(lab, tmp_path):
    told, seconds = hakuna(tmp_path)
    report(f"0.14.0 with our table: {told.verdict} after {seconds:.0f} s")
    assert told.verdict == "READY", told.output
    started = "".join(p.read_text() for p in evidence(tmp_path).rglob("*server.start*") if p.is_file())
    assert TABLE in started


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_named_before_the_launch(lab, tmp_path, name):
    table, words = WRONG[name]
    put(lab, table)
    told, seconds = hakuna(tmp_path, server={"pipeline": False}, rank_table={"generate": False, "path": PATH})
    report(f"{name}: Hakuna after {seconds:.0f} s: {told.root_causes}")
    assert told.verdict == "NOT READY", told.output
    assert {f.rule for f in told.root_causes} == {"NET230"}, told.output
    assert "SRV701" in told.blocked
    with ray_up(tmp_path, server={"pipeline": False}):
        alone = serve_by_hand(lab, 4, {TABLE: PATH})
    report(f"{name}: LMDeploy alone after {alone.seconds:.0f} s: {words}")
    assert words in alone.log, alone.log[-3000:]
