# SPDX-License-Identifier: Apache-2.0
"""What a site's script makes of the rank table."""

from __future__ import annotations

import json

TABLE = {
    "status": "completed",
    "version": "1.0",
    "server_count": "2",
    "server_list": [
        {
            "server_id": f"10.0.0.{s + 1}",
            "device": [
                {"device_id": str(d), "device_ip": f"10.20.{s}.{10 + d}", "rank_id": str(2 * s + d)} for d in range(2)
            ],
        }
        for s in range(2)
    ],
}
PATH = "/tmp/hakuna/rank_table.json"


def written(nodes, path=PATH):
    texts = []
    for node in nodes.values():
        node.execute(("sh", "-c", "TEXT", "hakuna-write", path), stdin=json.dumps(TABLE).encode())
        texts.append(json.loads(node.execute(("cat", path)).stdout))
    return texts


def ranks(table):
    return [d["rank_id"] for s in table["server_list"] for d in s["device"]]


def test_without_a_fault_it_is_what_was_written(cluster):
    assert written(cluster()) == [TABLE, TABLE]


def test_other_files_are_left_alone(cluster):
    assert written(cluster("rank-gap"), "/tmp/other.json") == [TABLE, TABLE]


def test_a_rank_that_is_there_twice(cluster):
    one, two = written(cluster("duplicate-rank-id"))
    assert one == two
    assert ranks(one) == ["0", "1", "2", "1"]


def test_a_gap(cluster):
    one, two = written(cluster("rank-gap"))
    assert one == two
    assert ranks(one) == ["0", "1", "2", "4"]


def test_the_guides_own_server_ids(cluster):
    one, two = written(cluster("wrong-server-id"))
    assert one == two
    assert [s["server_id"] for s in one["server_list"]] == ["node_0", "node_1"]


def test_one_node_has_another_table(cluster):
    one, two = written(cluster("table-differs@node-b"))
    assert one == TABLE
    assert ranks(two) == ranks(TABLE)
    assert two["server_list"][1]["device"][1]["device_ip"] == "10.20.1.111"


def test_what_is_no_table_stays(cluster):
    node = cluster("rank-gap")["node-a"]
    node.execute(("sh", "-c", "TEXT", "hakuna-write", PATH), stdin=b"not json")
    assert node.execute(("cat", PATH)).stdout == b"not json"
