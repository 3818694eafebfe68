# SPDX-License-Identifier: Apache-2.0
"""A fault in the table is a fault at a node or device."""

from __future__ import annotations

import json
from dataclasses import replace

from hakuna.inventory.model import Node
from hakuna.judgement.rank_table_rules import Profile, TableContext, judge, place_of
from hakuna.where import Where
from support.rank_tables import deployment


def test_a_fault_is_placed_at_the_node_and_device_that_it_speaks_of():
    nodes = [
        Node(name="node-a", address="a", node_ip="10.0.0.1", device_ids=(4, 5)),
        Node(name="node-b", address="b", node_ip="10.0.0.2", device_ids=(4, 5)),
    ]
    table, _ = deployment(2, 2)
    table["server_list"][0]["server_id"], table["server_list"][1]["server_id"] = "node_0", "node_1"
    table["server_list"][1]["device"][1]["rank_id"] = "9"
    (base,) = judge(json.dumps(table), Profile.HCCL, TableContext())
    assert base.where == (1, 1)
    assert place_of(base, nodes) == Where("node-b", 5)  # device 1 is not the node's: by its place
    assert place_of(replace(base, device_id=4), nodes) == Where("node-b", 4)
    assert place_of(replace(base, server_id="10.0.0.1", device_id=4), nodes) == Where("node-a", 4)
    assert place_of(replace(base, where=(1, None)), nodes) == Where("node-b")
    assert place_of(replace(base, where=(7, None)), nodes) == Where.cluster()
    assert place_of(replace(base, where=None), nodes) == Where.cluster()
