# SPDX-License-Identifier: Apache-2.0
"""What is generated is accepted; what is changed is found; nothing makes the rules stumble."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from hakuna.judgement.rank_table_rules import FaultCode, Profile, TableContext, judge
from support.rank_tables import codes, deployment, faults

C = FaultCode

shapes = st.tuples(st.integers(2, 5), st.integers(2, 8), st.booleans(), st.sampled_from(["1.0", "1.2"]))
releases = st.sampled_from(["0.11.1", "0.12.0", "0.14.0", "0.15.0", None])


@settings(max_examples=40)
@given(shapes, releases)
def test_what_is_generated_is_accepted(shape, release):
    nodes, devices, v6, version = shape
    table, context = deployment(nodes, devices, v6=v6, version=version, lmdeploy=release)
    assert codes(table, context) == {"HCCL": [], "LMDEPLOY": []}


@settings(max_examples=60)
@given(shapes, st.data())
def test_a_mutation_is_found_by_its_code(shape, data):
    nodes, devices, v6, version = shape
    table, context = deployment(nodes, devices, v6=v6, version=version)
    everything = [e for s in table["server_list"] for e in s["device"]]
    server = data.draw(st.integers(0, nodes - 1), "server")
    other = (server + data.draw(st.integers(1, nodes - 1), "to other")) % nodes
    one = table["server_list"][server]["device"][data.draw(st.integers(0, devices - 1), "device")]
    foreign = table["server_list"][other]["device"][data.draw(st.integers(0, devices - 1), "foreign")]
    kind = data.draw(st.sampled_from(["swap ranks", "swap addresses", "drop", "double", "swap servers"]), "kind")
    if kind == "swap ranks":
        one["rank_id"], foreign["rank_id"] = foreign["rank_id"], one["rank_id"]
        expected = {C.RANK_INTERLEAVED}
    elif kind == "swap addresses":
        one["device_ip"], foreign["device_ip"] = foreign["device_ip"], one["device_ip"]
        expected = {C.DEVICE_IP_STALE}
    elif kind == "drop":
        table["server_list"][server]["device"].remove(one)
        expected = {C.WORLD_SIZE} | ({C.RANK_GAP} if one is not everything[-1] else set())
    elif kind == "double":
        key = data.draw(st.sampled_from(["rank_id", "device_ip"]), "key")
        one[key] = foreign[key]
        expected = {"rank_id": {C.RANK_DUPLICATE}, "device_ip": {C.DEVICE_IP_DUPLICATE, C.DEVICE_IP_STALE}}[key]
    else:
        a, b = table["server_list"][server], table["server_list"][other]
        a["server_id"], b["server_id"] = b["server_id"], a["server_id"]
        expected = {C.DEVICE_IP_STALE} | ({C.HEAD_NOT_FIRST} if 0 in (server, other) else set())
    found = {f.code for found in faults(table, context).values() for f in found}
    assert expected <= found
    assert found - expected <= {C.SUPER_POD, C.SUPER_DEVICE_ID}


@settings(max_examples=60)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(
    st.sampled_from(["server_list", "device", "rank_id", "server_id", "device_id", "device_ip", "version", "status"]), v
), max_leaves=20))  # fmt: skip
def test_any_json_is_judged_without_an_accident(value):
    for profile in Profile:
        for fault in judge(json.dumps(value), profile, TableContext(node_ips=("10.0.0.1",), world_size=1)):
            assert fault.message
