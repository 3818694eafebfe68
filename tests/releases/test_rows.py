# SPDX-License-Identifier: Apache-2.0
"""Each row of the table of releases in what it decides: the simulated LMDeploy, Hakuna's judges and its commands.

What the real releases do is held against the same simulator by the contract's tests.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hakuna.inventory.model import Chip
from hakuna.judgement.rank_table_fault import FaultCode
from hakuna.judgement.rank_table_rules import Profile, judge
from hakuna.judgement.versions import eager_required, needs_rank_table, rank_table_format
from hakuna.releases import DUO, ROWS, Behaviour, DeviceChoice, EagerDemand, Row, TableUse, Topology, number
from hakuna.simulator import lmdeploy_server_bodies as bodies
from hakuna.simulator import lmdeploy_server_wire as wire
from hakuna.simulator.lmdeploy_server_release import Release
from hakuna.simulator.lmdeploy_story import TABLE, Plan, tell
from hakuna.simulator.ray import NOSET
from hakuna.simulator.ray_cluster import Member, RayCluster
from support.rank_tables import deployment

RELEASES = (
    *("0.7.2", "0.7.3", "0.8.0", "0.9.0", "0.9.2", "0.10.0", "0.10.2", "0.11.0", "0.11.1", "0.12.0", "0.12.1"),
    *("0.12.2", "0.12.3", "0.13.0", "0.14.0", "0.15.0", "0.16.0", "0.17.0", "0.18.0"),
)
PATH = "/tmp/hakuna/rank_table.json"


def start(release: str, nodes: int, *, table: str | None = None, raylet: dict[str, str] | None = None, **changes):
    """One start of the simulated LMDeploy on nodes of four devices, with a good table unless told otherwise."""
    good, _ = deployment(nodes=nodes, devices=4)
    env = {NOSET: "1", "HCCL_IF_IP": "raylet"} if raylet is None else raylet
    members = tuple(
        Member(f"{n}", f"node-{n}", None, n, f"10.0.0.{n + 1}", f"node-{n}", n == 0, env, {"NPU": 4.0})
        for n in range(nodes)
    )
    plan = Plan(
        version=number(release),
        model="/model",
        tp=4 * nodes,
        port=23333,
        log_level="INFO",
        env={TABLE: PATH, "HCCL_IF_IP": "driver", "HCCL_BUFFSIZE": "1024", "GLOO_SOCKET_IFNAME": "eth0"},
        cluster=RayCluster("10.0.0.1:6379", members),
        driver="node-0",
        load_seconds=0.0,
        devices={m.node: range(4) for m in members},
        table=json.dumps(good) if table is None else table,
    )
    return replace(plan, **changes)


def serves(plan: Plan) -> bool:
    return tell(plan).ending not in ("exit", "hang")


def nodes_of(row: Row) -> int:
    return 1 if row.topology is Topology.ONE else 2


def chips_of(row: Row) -> list[Chip]:
    return [Chip(c) for c in row.chips]


def spans(row, release):
    return serves(start(release, nodes_of(row)))


def table(row, release):
    nodes = nodes_of(row)
    assert needs_rank_table(release, spans_nodes=nodes > 1).value is (row.value is TableUse.NEEDED)
    if number(release) < number("0.8.0"):  # there is no more than one node then
        return TableUse.READ if not serves(start(release, 1, table="{}")) else TableUse.UNREAD
    without = start(release, nodes)
    if not serves(replace(without, env={})):
        return TableUse.NEEDED
    return TableUse.UNREAD if serves(start(release, nodes, table="{}")) else TableUse.READ


def table_format(row, _release):
    (found,) = {rank_table_format(chip) for chip in chips_of(row)}
    for chip in chips_of(row):
        text, context = deployment(devices=2, version=found)
        codes = {f.code for f in judge(json.dumps(text), Profile.HCCL, replace(context, chip=chip))}
        assert FaultCode.VERSION not in codes
    return found


def device(_row, release):
    content, context = deployment(devices=4, lmdeploy=release)
    if judge("{}", Profile.LMDEPLOY, context) == ():
        plan = replace(start(release, 2), env={})
        return DeviceChoice.WORKER_INDEX if serves(plan) else DeviceChoice.RANK
    content["server_list"][1]["device"].reverse()
    codes = {f.code for f in judge(json.dumps(content), Profile.LMDEPLOY, context)}
    return DeviceChoice.LIST_POSITION if FaultCode.DEVICE_ORDER in codes else DeviceChoice.DEVICE_ID


def ranks(_row, release):
    content, _ = deployment(devices=4)
    content["server_list"][1]["device"][3]["rank_id"] = "11"
    return not serves(start(release, 2, table=json.dumps(content))) and number(release) >= number("0.8.0")


def eager(row, release):
    (found,) = {eager_required(release, chip, nodes=nodes_of(row)).value for chip in chips_of(row)}
    if row.chips == (DUO,):
        assert eager_required(release, Chip.ATLAS_300I_DUO, nodes=1).value is found
        assert eager_required(None, Chip.ATLAS_300I_DUO, nodes=2).certain
    return found


def forwarded(_row, release):
    plan = start(release, 2, raylet={"HCCL_BUFFSIZE": "raylet", "GLOO_SOCKET_IFNAME": "raylet"})
    plan = replace(plan, env=dict.fromkeys((*_ALL, "GLOO_SOCKET_IFNAME", "HCCL_SOCKET_IFNAME"), "driver"))
    got = plan.worker_env(plan.cluster.members[1])
    assert got["GLOO_SOCKET_IFNAME"] == "raylet"
    return tuple(name for name in _ALL if got.get(name) == "driver")


_ALL = ("HCCL_BUFFSIZE", "HCCL_CONNECT_TIMEOUT", "HCCL_OP_EXPANSION_MODE", "HCCL_IF_IP")


def if_ip(row, release):
    plan = start(release, nodes_of(row))
    others = plan.cluster.members[1:]
    return any(plan.worker_env(member)["HCCL_IF_IP"] == "driver" for member in others)


def noset(_row, release):
    several = start(release, 2 if number(release) >= number("0.8.0") else 1)
    hidden = [replace(m, env={}) for m in several.cluster.members]
    return serves(several) and not serves(replace(several, cluster=replace(several.cluster, members=tuple(hidden))))


def health(_row, release):
    answer = wire.health(Release(release), "unhealthy")
    assert answer.status == (200 if not answer.body else 503)
    return bool(answer.body) and set(json.loads(answer.body)) == {"status", "message"}


def death(_row, release):
    return tell(start(release, 1, dies=True)).ending == "exit"


def refusal(_row, release):
    with pytest.raises(wire.RefusedError) as refused:
        bodies.read_body(Release(release), "/v1/completions", "application/json", b"{")
    answer = refused.value.answer
    assert ("detail" in json.loads(answer.body)) is (answer.status == 422)
    assert (json.loads(answer.body).get("object") == "error") is (answer.status == 400)
    return answer.status


def stopped(_row, release):
    answer = wire.stopped_answer(Release(release), "/v1/chat/completions")
    return 200 if answer is None else answer.status


def key(_row, release):
    answers = [wire.key_answer(Release(release), p, "", ("k",)) for p in ("/v1/models", "/metrics", "/health")]
    assert answers[2] is None
    listed = json.loads(answers[0].body)
    assert ("detail" in listed) is (answers[1] is None)
    return answers[1] is not None


SHOWN = {
    Behaviour.SPANS: spans,
    Behaviour.TABLE: table,
    Behaviour.FORMAT: table_format,
    Behaviour.DEVICE: device,
    Behaviour.RANKS: ranks,
    Behaviour.EAGER: eager,
    Behaviour.FORWARDED: forwarded,
    Behaviour.IF_IP: if_ip,
    Behaviour.NOSET: noset,
    Behaviour.HEALTH: health,
    Behaviour.DEATH: death,
    Behaviour.REFUSAL: refusal,
    Behaviour.STOPPED: stopped,
    Behaviour.KEY: key,
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_row_decides_what_it_says_at_both_of_its_ends(row):
    held = [r for r in RELEASES if row.holds(number(r), number)]
    assert held[0] == (row.since or RELEASES[0])
    for release in {held[0], held[-1]}:
        assert SHOWN[row.behaviour](row, release) == row.value, release


@pytest.mark.parametrize("demand", EagerDemand)
def test_every_demand_occurs(demand):
    assert any(row.value is demand for row in ROWS)
