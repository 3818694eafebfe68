# SPDX-License-Identifier: Apache-2.0
"""Each rule for rank tables: what trips it, with the line, and that nothing else does."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import replace

import pytest

from hakuna.inventory.model import Chip
from hakuna.judgement.rank_table_rules import FaultCode, Profile, TableContext, judge
from support.rank_tables import GUIDE, codes, deployment, faults

C = FaultCode


def line_of(table, fault):
    """The line that a fault names, as text."""
    return json.dumps(table, indent=2).splitlines()[fault.line - 1].strip()


# --- the guide's own example ------------------------------------------------------------------------------------------


def test_the_guides_example_is_good_for_hccl():
    assert judge(GUIDE, Profile.HCCL, TableContext(chip=Chip.ATLAS_800T_A2, world_size=16)) == ()


@pytest.mark.parametrize("version", ["0.11.1", "0.12.3", "0.14.0", None])
def test_the_guides_example_fails_with_the_guides_lmdeploy(version):
    context = TableContext(
        Chip.ATLAS_800T_A2, ("10.0.0.1", "10.0.0.2"), 16, None, version, "/tmp/hakuna/rank_table.json"
    )
    size, first, second = judge(GUIDE, Profile.LMDEPLOY, context)
    assert (size.code, size.line, size.observed) == (C.WORLD_SIZE, 5, "4 devices")
    assert "16" in size.expected
    for fault, line, expected, observed, place in (
        (first, 7, "10.0.0.1", "node_0", (0, None)),
        (second, 24, "10.0.0.2", "node_1", (1, None)),
    ):
        assert fault.code is C.SERVER_ID_NOT_NODE_IP
        assert (fault.line, fault.expected, fault.observed, fault.where) == (line, expected, observed, place)
        assert "10.0.0.1" in fault.message  # the head's
        assert expected in fault.fix


def test_an_lmdeploy_that_reads_no_table_takes_everything():
    assert judge("not even JSON", Profile.LMDEPLOY, TableContext(lmdeploy_version="0.15.0")) == ()


def test_an_unknown_release_is_judged_by_the_strictest_and_says_so():
    table, context = deployment(lmdeploy=None)
    table["server_list"][1]["device"].append({"device_id": "8", "device_ip": "192.168.2.99", "rank_id": "16"})
    (fault,) = judge(json.dumps(table), Profile.LMDEPLOY, context)
    assert fault.code is C.WORLD_SIZE
    assert "not known" in fault.message


# --- one change at a time ---------------------------------------------------------------------------------------------


def dev(table, server, device):
    return table["server_list"][server]["device"][device]


def put(*path):
    """A mutation: the last word is the value, the others lead to where it goes; None deletes."""

    def mutate(table):
        *way, key, value = path
        for step in way:
            table = table[step]
        if value is None:
            del table[key]
        else:
            table[key] = value

    return mutate


def device(server, index, key, value):
    return put("server_list", server, "device", index, key, value)


HCCL_ONLY = [
    (put("status", "initializing"), C.STATUS, '"status": "initializing",'),
    (put("status", None), C.STATUS, "{"),
    (put("version", "1.2"), C.VERSION, '"version": "1.2",'),
    (put("version", "3.0"), C.VERSION, '"version": "3.0",'),
    (put("version", None), C.VERSION, "{"),
    (put("server_count", "3"), C.SERVER_COUNT, '"server_count": "3",'),
    (put("server_count", "two"), C.SERVER_COUNT, '"server_count": "two",'),
    (put("server_count", None), C.SERVER_COUNT, "{"),
    (put("server_count", 2), C.NOT_STRING, '"server_count": 2,'),
    (device(1, 3, "rank_id", 11), C.NOT_STRING, '"rank_id": 11'),
    (device(1, 3, "device_port", None), None, ""),
    (device(1, 3, "device_port", "0"), C.DEVICE_PORT, '"device_port": "0",'),
    (device(1, 3, "device_port", "65536"), C.DEVICE_PORT, '"device_port": "65536",'),
    (device(1, 3, "backup_device_port", "x"), C.DEVICE_PORT, '"backup_device_port": "x"'),
    (device(1, 3, "device_id", "8"), C.DEVICE_ID_RANGE, '"device_id": "8",'),
    (device(1, 3, "device_ip", None), C.DEVICE_IP_MISSING, "{"),
    (device(1, 3, "device_ip", ""), C.DEVICE_IP_MISSING, '"device_ip": "",'),
    (device(1, 3, "device_ip", "-.-.-.-"), C.DEVICE_IP_INVALID, '"device_ip": "-.-.-.-",'),
    (device(1, 3, "device_ip", "0.0.0.0"), C.DEVICE_IP_INVALID, '"device_ip": "0.0.0.0",'),
    (device(1, 3, "device_ip", "192.168.2.77"), C.DEVICE_IP_STALE, '"device_ip": "192.168.2.77",'),
    (put("server_list", 1, "host_ip", "reserve"), C.DEVICE_IP_INVALID, '"host_ip": "reserve"'),
    (put("server_list", 1, "host_nic_ip", "reserve"), None, ""),
]
BOTH = [
    (put("server_list", 1, "server_id", None), C.SERVER_ID_EMPTY, "{"),
    (put("server_list", 1, "server_id", ""), C.SERVER_ID_EMPTY, '"server_id": "",'),
    (device(1, 3, "device_id", "2"), C.DEVICE_ID_DUPLICATE, '"device_id": "2",'),
    (device(1, 3, "device_id", "x"), C.DEVICE_ID_RANGE, '"device_id": "x",'),
    (device(1, 3, "device_id", None), C.DEVICE_ID_RANGE, "{"),
    (device(1, 3, "rank_id", "0"), C.RANK_DUPLICATE, '"rank_id": "0"'),
    (device(1, 3, "rank_id", "16"), C.RANK_GAP, '"rank_id": "16"'),
    (device(1, 3, "rank_id", "-1"), C.RANK_NOT_INT, '"rank_id": "-1"'),
    (device(1, 3, "rank_id", "x"), C.RANK_NOT_INT, '"rank_id": "x"'),
    (device(1, 3, "rank_id", None), C.RANK_NOT_INT, "{"),
]


@pytest.mark.parametrize(("mutate", "code", "line"), HCCL_ONLY)
def test_what_only_hccl_objects_to(mutate, code, line):
    table, context = deployment()
    mutate(table)
    found = faults(table, context)
    assert [f.code for f in found[Profile.HCCL]] == ([code] if code else [])
    assert found[Profile.LMDEPLOY] == ()
    for fault in found[Profile.HCCL]:
        assert line_of(table, fault) == line
        assert fault.message
        assert fault.expected
        assert fault.fix


@pytest.mark.parametrize(("mutate", "code", "line"), BOTH)
def test_what_both_object_to(mutate, code, line):
    table, context = deployment()
    mutate(table)
    for found in faults(table, context).values():
        assert [f.code for f in found] == [code]
        assert line_of(table, found[0]) == line
        if code is not C.SERVER_ID_EMPTY:
            assert found[0].where == (1, 3)


def test_a_table_that_is_not_ready_needs_no_list_yet():
    assert codes({"status": "initializing", "version": "1.0"}, TableContext())["HCCL"] == [C.STATUS]


def test_the_file_must_end_in_json():
    table, context = deployment()
    (fault,) = judge(json.dumps(table), Profile.HCCL, replace(context, path="/tmp/rank_table.txt"))
    assert (fault.code, fault.line) == (C.SUFFIX, None)


@pytest.mark.parametrize("value", [None, "x", [], {}, ["x"]])
def test_a_device_list_must_be_there(value):
    table, context = deployment()
    put("server_list", 1, "device", value)(table)
    found = codes(table, context)
    assert found == {"HCCL": [C.DEVICE_LIST], "LMDEPLOY": [C.WORLD_SIZE, C.DEVICE_LIST]}


@pytest.mark.parametrize("value", [None, "x", []])
def test_a_server_list_must_be_there(value):
    table, context = deployment()
    put("server_list", value)(table)
    assert codes(table, context)["HCCL"] == [C.SERVER_COUNT]


def test_two_servers_of_one_name():
    table, context = deployment()
    table["server_list"][1]["server_id"] = "10.0.0.1"
    table["server_list"][1]["device"] = copy.deepcopy(table["server_list"][1]["device"])
    found = codes(table, replace(context, live=None))
    assert found == {"HCCL": [C.SERVER_ID_DUPLICATE], "LMDEPLOY": [C.SERVER_ID_DUPLICATE]}


def test_the_head_must_come_first():
    table, context = deployment()
    one, two = table["server_list"]
    one["server_id"], two["server_id"] = two["server_id"], one["server_id"]
    found = faults(table, replace(context, live=None))
    (fault,) = found[Profile.LMDEPLOY]
    assert (fault.code, fault.where, fault.expected) == (C.HEAD_NOT_FIRST, (0, None), "10.0.0.1")
    assert found[Profile.HCCL] == ()


def test_addresses_of_exchanged_servers_are_stale():
    table, context = deployment()
    one, two = table["server_list"]
    one["device"], two["device"] = two["device"], one["device"]
    for rank, entry in enumerate(one["device"] + two["device"]):
        entry["rank_id"] = str(rank)
    found = codes(table, context)
    assert found == {"HCCL": [C.DEVICE_IP_STALE] * 16, "LMDEPLOY": []}


def test_free_server_names_are_matched_by_place_for_stale_addresses():
    table, context = deployment()
    for number, server in enumerate(table["server_list"]):
        server["server_id"] = f"node_{number}"
    assert judge(json.dumps(table), Profile.HCCL, context) == ()
    dev(table, 1, 3)["device_ip"] = "192.168.2.99"
    (fault,) = judge(json.dumps(table), Profile.HCCL, context)
    assert (fault.code, fault.expected, fault.where) == (C.DEVICE_IP_STALE, "192.168.2.11", (1, 3))


def test_another_spelling_of_an_address_is_fine_for_hccl_but_not_as_server_id():
    table, context = deployment(v6=True)
    dev(table, 0, 0)["device_ip"] = "FD01:0::1:1"
    table["server_list"][1]["server_id"] = "fd00:0::2"
    found = faults(table, context)
    assert found[Profile.HCCL] == ()
    (fault,) = found[Profile.LMDEPLOY]
    assert (fault.code, fault.expected) == (C.SERVER_ID_NOT_NODE_IP, "fd00::2")
    assert "spelling" in fault.message


def test_a_duplicate_address_blames_the_second():
    table, context = deployment()
    dev(table, 1, 3)["device_ip"] = dev(table, 0, 0)["device_ip"]
    found = judge(json.dumps(table, indent=2), Profile.HCCL, replace(context, live=None))
    assert [(f.code, f.where) for f in found] == [(C.DEVICE_IP_DUPLICATE, (1, 3))]


def test_families_must_not_be_mixed():
    table, context = deployment()
    dev(table, 1, 3)["device_ip"] = "fd00::99"
    found = judge(json.dumps(table, indent=2), Profile.HCCL, replace(context, live=None))
    assert [(f.code, f.where) for f in found] == [(C.DEVICE_IP_FAMILY, (1, 3))]


def test_one_server_needs_no_device_addresses():
    table, context = deployment(nodes=1)
    for entry in table["server_list"][0]["device"]:
        del entry["device_ip"]
    assert codes(table, context) == {"HCCL": [], "LMDEPLOY": []}


def test_ranks_of_servers_must_not_be_mixed():
    table, context = deployment()
    dev(table, 0, 7)["rank_id"], dev(table, 1, 0)["rank_id"] = "8", "7"
    found = faults(table, context)
    assert [f.code for f in found[Profile.HCCL]] == [C.RANK_INTERLEAVED] * 2
    assert [f.where for f in found[Profile.HCCL]] == [(0, None), (1, None)]
    assert [f.code for f in found[Profile.LMDEPLOY]] == [C.RANK_INTERLEAVED] * 2


def test_lmdeploy_wants_the_servers_in_order_of_rank():
    table, context = deployment()
    for entries, start in zip((s["device"] for s in table["server_list"]), (8, 0), strict=True):
        for index, entry in enumerate(entries):
            entry["rank_id"] = str(start + index)
    found = faults(table, context)
    assert found[Profile.HCCL] == ()
    assert [(f.code, f.where) for f in found[Profile.LMDEPLOY]] == [(C.RANK_INTERLEAVED, (1, None))]


def test_the_order_of_devices_matters_up_to_0_11():
    table, context = deployment()
    entries = table["server_list"][1]["device"]
    entries[2], entries[3] = entries[3], entries[2]
    entries[2]["rank_id"], entries[3]["rank_id"] = "10", "11"
    assert codes(table, context) == {"HCCL": [], "LMDEPLOY": []}
    old = faults(table, replace(context, lmdeploy_version="0.11.1"))[Profile.LMDEPLOY]
    assert [(f.code, f.where, f.device_id) for f in old] == [
        (C.DEVICE_ORDER, (1, 2), 3),
        (C.DEVICE_ORDER, (1, 3), 2),
    ]


@pytest.mark.parametrize(("version", "expected"), [("0.11.1", [C.WORLD_SIZE]), ("0.12.0", [])])
def test_more_devices_than_tp_are_refused_up_to_0_11_only(version, expected):
    table, context = deployment(lmdeploy=version)
    assert codes(table, replace(context, world_size=8))["LMDEPLOY"] == expected


def test_a_table_of_the_wrong_generation():
    table, context = deployment(version="1.2")
    assert codes(table, context)["HCCL"] == []
    assert codes(table, replace(context, chip=Chip.ATLAS_800T_A2))["HCCL"] == [C.VERSION]


@pytest.mark.parametrize(
    ("mutate", "code"),
    [
        (device(1, 3, "super_device_id", None), C.SUPER_DEVICE_ID),
        (device(1, 3, "super_device_id", ""), C.SUPER_DEVICE_ID),
        (device(1, 3, "super_device_id", "0"), C.SUPER_DEVICE_ID),
        (device(3, 3, "super_device_id", "0"), None),  # another pod
        (put("super_pod_list", None), C.SUPER_POD),
        (put("super_pod_list", 1, "super_pod_id", "0"), C.SUPER_POD),
        (put("super_pod_list", 1, "super_pod_id", ""), C.SUPER_POD),
        (put("super_pod_list", 1, "server_list", 0, "server_id", "10.9.9.9"), C.SUPER_POD),
        (put("super_pod_list", 1, "server_list", 0, "server_id", "10.0.0.1"), C.SUPER_POD),
    ],
)
def test_super_pods(mutate, code):
    table, context = deployment(nodes=4, version="1.2")
    mutate(table)
    found = codes(table, context)
    assert set(found["HCCL"]) == ({code} if code else set())
    assert found["LMDEPLOY"] == []


def test_servers_of_one_pod_must_be_neighbours():
    table, context = deployment(nodes=4, version="1.2")
    pods = table["super_pod_list"]
    pods[0]["server_list"][1], pods[1]["server_list"][0] = pods[1]["server_list"][0], pods[0]["server_list"][1]
    found = judge(json.dumps(table, indent=2), Profile.HCCL, context)
    assert {f.code for f in found} == {C.SUPER_POD}
    assert all("together" in f.message for f in found)


# --- the text itself --------------------------------------------------------------------------------------------------


def test_comments_do_not_hide_other_faults():
    text = GUIDE.replace('"version": "1.0",', '"version": "1.0",  // A2').replace('"rank_id": "3"', '"rank_id": "2"')
    found = judge(text, Profile.HCCL, TableContext())
    assert [(f.code, f.line) for f in found] == [(C.NOT_JSON, 3), (C.RANK_DUPLICATE, 36)]


def test_many_comments_are_one_fault():
    text = GUIDE.replace(",\n", ", // x\n")
    (fault,) = judge(text, Profile.HCCL, TableContext())
    assert fault.code is C.NOT_JSON
    assert "more" in fault.message


def test_a_double_key_is_nothing_to_pythons_json():
    text = GUIDE.replace('"version": "1.0",', '"version": "1.0", "version": "1.0",')
    context = TableContext(lmdeploy_version="0.14.0")
    assert [f.code for f in judge(text, Profile.HCCL, context)] == [C.NOT_JSON]
    assert C.NOT_JSON not in [f.code for f in judge(text, Profile.LMDEPLOY, context)]


@pytest.mark.parametrize("text", ["[]", '"x"', "1", "null"])
def test_json_that_is_no_object(text):
    assert [f.code for f in judge(text, Profile.HCCL, TableContext())] == [C.NOT_JSON]


@pytest.mark.parametrize("key", ["group_list", "rank_list", "server_group_list", "prefill_device_list"])
def test_other_layouts_are_named_and_judged_no_further(key):
    found = judge(json.dumps({"status": "completed", key: []}), Profile.HCCL, TableContext())
    assert [f.code for f in found] == [C.LEGACY_LAYOUT]
    assert key in found[0].message


def test_a_huge_table_of_numbers_is_judged_in_time():
    table, context = deployment(nodes=250)
    for server in table["server_list"]:
        for entry in server["device"]:
            entry["rank_id"] = int(entry["rank_id"])
    found = judge(json.dumps(table), Profile.HCCL, context)
    assert Counter(f.code for f in found) == {C.NOT_STRING: 2000}
    assert found[-1].where == (249, 7)
