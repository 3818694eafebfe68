# SPDX-License-Identifier: Apache-2.0
"""The table's text, made from entries and from an inventory."""

from __future__ import annotations

import json

import pytest

from hakuna.inventory.model import Chip, Inventory, Node, RankTable
from hakuna.judgement.rank_table import DeviceEntry, RankTableError, ServerEntry, from_inventory, generate
from hakuna.where import Where
from support.rank_tables import GUIDE


def server(name, *devices, pod=None):
    return ServerEntry(name, [DeviceEntry(*d) for d in devices], pod)


def two_nodes(chip=Chip.ATLAS_800T_A2, **more):
    nodes = (
        Node(name="node-a", address="a", node_ip="10.0.0.1", device_ids=(0, 1)),
        Node(name="node-b", address="b", node_ip="10.0.0.2", device_ids=(1, 0)),
    )
    return Inventory(nodes=nodes, chip=chip, **more)


def addresses(inventory):
    return {d: f"192.168.{n}.{d.device + 8}" for n, node in enumerate(inventory.nodes) for d in node.devices}


def test_the_guides_own_example_comes_out_letter_by_letter():
    nodes = [
        server("node_0", (0, "192.168.1.8"), (1, "192.168.1.9")),
        server("node_1", (0, "192.168.2.8"), (1, "192.168.2.9")),
    ]
    assert generate(nodes, "1.0", 16667) == GUIDE


def test_without_a_port_the_field_is_left_out():
    assert "device_port" not in generate([server("10.0.0.1", (0, "192.168.1.8"))], "1.0", None)


def test_version_1_2_has_super_pods_and_host_addresses():
    nodes = [
        server("10.0.0.1", (0, "fd00::1", 100), pod="0"),
        server("10.0.0.2", (0, "fd00::2", 101), pod="0"),
        server("10.0.0.3", (0, "fd00::3", 100), pod="1"),
    ]
    table = json.loads(generate(nodes, "1.2", None))
    assert table["version"] == "1.2"
    assert [s["host_ip"] for s in table["server_list"]] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert table["server_list"][1]["device"] == [
        {"device_id": "0", "super_device_id": "101", "device_ip": "fd00::2", "rank_id": "1"}
    ]
    assert table["super_pod_list"] == [
        {"super_pod_id": "0", "server_list": [{"server_id": "10.0.0.1"}, {"server_id": "10.0.0.2"}]},
        {"super_pod_id": "1", "server_list": [{"server_id": "10.0.0.3"}]},
    ]


@pytest.mark.parametrize(
    ("nodes", "version", "words"),
    [
        ([], "1.0", "needs servers"),
        ([server("a")], "1.0", "devices"),
        ([server("", (0, "1.1.1.1"))], "1.0", "no server_id"),
        ([server("a", (0, "1.1.1.1")), server("a", (0, "1.1.1.2"))], "1.0", "server_id is used more than once"),
        ([server("a", (0, "1.1.1.1"), (0, "1.1.1.2"))], "1.0", "device_id of server a"),
        ([server("a", (0, "1.1.1.1"), (1, "1.1.1.1"))], "1.0", "device_ip is used more than once"),
        ([server("a", (0, "fd00::1"), (1, "FD00:0::1"))], "1.0", "device_ip is used more than once"),
        ([server("a", (0, "-.-.-.-"))], "1.0", "not an IP address"),
        ([server("a", (0, "1.1.1.1"), (1, "fd00::1"))], "1.0", "both families"),
        ([server("a", (0, "1.1.1.1"))], "1.2", "super_pod_id"),
        ([server("a", (0, "1.1.1.1"), pod="0")], "1.2", "super_device_id"),
        ([server("a", (0, "1.1.1.1", 5), (1, "1.1.1.2", 5), pod="0")], "1.2", "super_device_id of super pod 0"),
        ([server(n, (0, f"1.1.1.{i}", i), pod=p) for i, (n, p) in enumerate(["a0", "b1", "c0"], 1)], "1.2", "place"),
        ([server("a", (0, "1.1.1.1"))], "2.0", "2.0"),
    ],
)
def test_what_hccl_would_refuse_is_not_written(nodes, version, words):
    with pytest.raises(RankTableError, match=words):
        generate(nodes, version, 16667)


def test_an_inventory_gives_head_first_and_devices_in_order():
    inventory = two_nodes(head="node-b")
    table = json.loads(from_inventory(inventory, addresses(inventory)))
    assert table["version"] == "1.0"
    assert [s["server_id"] for s in table["server_list"]] == ["10.0.0.2", "10.0.0.1"]
    assert [(d["device_id"], d["rank_id"]) for s in table["server_list"] for d in s["device"]] == [
        ("0", "0"),
        ("1", "1"),
        ("0", "2"),
        ("1", "3"),
    ]
    assert table["server_list"][0]["device"][1]["device_ip"] == "192.168.1.9"


def test_the_inventory_decides_on_port_and_version():
    inventory = two_nodes(chip=Chip.ATLAS_800T_A3, rank_table=RankTable(version="1.0", device_port=None))
    text = from_inventory(inventory, addresses(inventory))
    assert json.loads(text)["version"] == "1.0"
    assert "device_port" not in text


def test_a3_needs_super_device_ids():
    inventory = two_nodes(chip=Chip.ATLAS_800T_A3)
    with pytest.raises(RankTableError, match=r"no super_device_id is known of node-a/0, .*node-b/0"):
        from_inventory(inventory, addresses(inventory))
    sdids = {d: n + 30 for n, d in enumerate(inventory.devices)}
    table = json.loads(from_inventory(inventory, addresses(inventory), sdids, {"node-b": "7"}))
    assert [p["super_pod_id"] for p in table["super_pod_list"]] == ["0", "7"]
    assert table["server_list"][1]["device"][0]["super_device_id"] == "33"  # node-b lists device 1 first


def test_a_device_without_address_is_named():
    inventory = two_nodes()
    known = addresses(inventory)
    del known[Where("node-b", 1)]
    with pytest.raises(RankTableError, match="no device IP is known of node-b/1"):
        from_inventory(inventory, known)
