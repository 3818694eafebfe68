# SPDX-License-Identifier: Apache-2.0
"""LMDeploy 0.14.0, the last release that reads the rank table: ours is consumed, and wrong ones are named early."""

from __future__ import annotations

import json

import pytest
from by_hand import alone, serving
from lab.plan import Plan
from twin_runs import attach, causes, evidence, hakuna, on, ray_up, report

PLAN = Plan(nodes=2, devices=2, lmdeploy="0.14.0")
TP = 4
OURS = "/tmp/hakuna/rank_table.json"  # where Hakuna puts it, on the lab's hosts
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


#: The table, the rule that names it, and what LMDeploy dies of.
WRONG = {
    "the-guides-example": (guides_example(), "NET230", "Master address does not match rank table"),
    "broken": ("{", "NET230", "json.decoder.JSONDecodeError"),
    "absent": (None, "RNK401", "FileNotFoundError"),
}


def put(lab, table):
    for host in lab.plan.hosts:
        on(lab, host, f"printf '%s' '{table}' >{PATH}" if table else f"rm -f {PATH}")


def test_our_table_is_read_and_the_guide_is_ready(lab, tmp_path):
    told, seconds = hakuna(tmp_path)
    report(f"0.14.0, tp={TP}, with our table: {told.verdict} after {seconds:.0f} s")
    assert told.verdict == "READY", told.output
    started = "".join(p.read_text(encoding="utf-8") for p in (evidence(tmp_path) / "server.start").iterdir())
    assert f"{TABLE}={OURS}" in started


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_named_before_the_launch(lab, tmp_path, name):
    table, rule, _ = WRONG[name]
    put(lab, table)
    told, seconds = hakuna(tmp_path, server={"pipeline": False}, rank_table={"generate": False, "path": PATH})
    report(f"rank table {name}: Hakuna after {seconds:.0f} s: {causes(told)}")
    assert told.verdict == "NOT READY", told.output
    assert {f.rule for f in told.root_causes} == {rule}, told.output
    assert "SRV701" in told.blocked


@pytest.fixture(scope="module")
def cluster(lab, tmp_path_factory):
    """Containers and Ray, with our table in the raylets."""
    folder = tmp_path_factory.mktemp("cluster")
    with ray_up(folder, server={"pipeline": False}) as (told, _):
        assert told.verdict == "READY", told.output
        yield folder


@pytest.mark.parametrize("name", WRONG)
def test_lmdeploy_alone_dies_of_a_wrong_table(lab, cluster, name):
    table, _, words = WRONG[name]
    put(lab, table)
    said = alone(lab, TP, {TABLE: PATH})
    report(f"rank table {name}: {said}")
    assert words in said.log, said.log[-3000:]
    assert said.ended is not None


def test_lmdeploy_alone_dies_without_our_table(lab, cluster):
    """So it is the table that tells each of its workers which device of its node is its own."""
    said = alone(lab, TP)
    report(f"rank table not set: {said}")
    assert "Invalid device ID" in said.log, said.log[-3000:]
    assert said.ended is not None


def test_graph_mode_is_seen_in_the_running_server(lab, cluster):
    with serving(lab, TP, {TABLE: OURS}):
        told, seconds = attach(cluster)
    report(f"no --eager-mode: Hakuna after {seconds:.0f} s: {causes(told)}; LMDeploy serves, and says nothing")
    assert told.verdict == "NOT READY", told.output
    assert causes(told) == [("SRV703", "lab-a")], told.output
