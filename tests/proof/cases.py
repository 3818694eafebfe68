# SPDX-License-Identifier: Apache-2.0
"""Further cells of the matrix, for judges that are functions of a text: rank tables and logs, each spoilt in its own way."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import test_log_cause as logs
import test_rank_table_rules as spoilt

from hakuna.inventory.model import Chip, Node
from hakuna.judgement import rank_table_rules
from hakuna.judgement.log_cause import LogCause, World, first_cause
from hakuna.judgement.rank_table_fault import place_of
from hakuna.judgement.rank_table_hccl import PATH_LIMIT
from hakuna.judgement.rank_table_rules import Profile, TableContext, judge
from hakuna.where import Where
from support.rank_tables import GUIDE, deployment

#: What reads a table's text, and the same with a memory: reading takes longer than all judges.
READ = rank_table_rules.read_json  # type: ignore[attr-defined]  # imported there
REMEMBERED = functools.cache(READ)
rank_table_rules.read_json = REMEMBERED  # type: ignore[attr-defined]  # likewise


@contextlib.contextmanager
def reading_anew() -> Iterator[None]:
    """Every text is read again inside the block: what reads is what is mutated."""
    rank_table_rules.read_json = READ  # type: ignore[attr-defined]  # likewise
    try:
        yield
    finally:
        rank_table_rules.read_json = REMEMBERED  # type: ignore[attr-defined]  # likewise


#: Where the entries of a table are in a cluster: its nodes, of other devices than the table's on one of them.
NODES = tuple(
    Node(name=f"node-{n}", address=f"n{n}", node_ip=f"10.0.0.{n + 1}", device_ids=(0, 1, 2, 3) if n else (4, 5, 6, 7))
    for n in range(3)
)


@dataclass(frozen=True)
class Case:
    """One call of a judge, and what it comes to, words and lines included: they are what people are told."""

    name: str
    call: Callable[[], object]

    def outcome(self) -> object:
        return self.call()


def all_cases() -> list[Case]:
    return [*_tables(), *_logs()]


def _table(name: str, text: str, context: TableContext) -> Iterator[Case]:
    for profile in Profile:

        def call(profile: Profile = profile) -> object:
            found = judge(text, profile, context)
            return found, [place_of(fault, NODES) for fault in found]

        yield Case(f"table {name} {profile.name}", call)


def _tables() -> Iterator[Case]:
    for name, text, context in (*_written(), *_changed()):
        yield from _table(name, text, context)


def _written() -> Iterator[tuple[str, str, TableContext]]:
    shapes: list[dict[str, Any]] = [
        {"devices": 4},
        {"nodes": 1},
        {"nodes": 3, "devices": 4},
        {"devices": 2, "v6": True},
        {"devices": 2, "version": "1.2"},
        {"nodes": 4, "devices": 2, "version": "1.2"},
        {"devices": 2, "lmdeploy": "0.11.1"},
        {"devices": 2, "lmdeploy": "0.15.0"},
        {"devices": 2, "lmdeploy": None},
    ]
    for shape in shapes:
        table, context = deployment(**shape)
        text = json.dumps(table, indent=2)
        yield f"good {shape}", text, context
        for size in (context.world_size - 1, context.world_size + 1):
            yield f"{shape} of {size}", text, replace(context, world_size=size)
        yield f"{shape} without live addresses", text, replace(context, live=None)
        yield f"{shape} on another chip", text, replace(context, chip=Chip.ATLAS_300I_DUO)
    table, context = deployment()
    text = json.dumps(table, indent=2)
    yield "the guide's", GUIDE, context
    yield "the guide's where nobody is known", GUIDE, replace(context, node_ips=(), live=None)
    yield "good where nobody is known", text, replace(context, node_ips=(), live=None)
    for path in (
        "/tmp/table.txt",
        "/tmp/table",
        "/a.json/b",
        f"/{'x' * PATH_LIMIT}.json",
        f"/{'x' * (PATH_LIMIT - 6)}.json",
    ):
        yield f"path {path}", text, replace(context, path=path)
    yield "of no known chip", text, replace(context, chip=None)
    table["server_list"][1]["device"].pop()
    duo = replace(context, chip=Chip.ATLAS_300I_DUO, live=None)
    yield "uneven on 300I Duo", json.dumps(table, indent=2), duo
    yield "uneven on no known chip", json.dumps(table, indent=2), replace(duo, chip=None)
    initial = {"status": "initializing", "version": "1.0"}
    yield "not ready, without a list", json.dumps(initial, indent=2), context
    yield "not ready, with a list", json.dumps({**initial, "server_list": []}, indent=2), context
    yield "ready, without a list", json.dumps({**initial, "status": "completed"}, indent=2), context
    six, of_six = deployment(devices=2, v6=True)
    six["server_list"][1]["server_id"] = "fd00:0::2"
    yield "spelled otherwise", json.dumps(six, indent=2), of_six
    for name, broken in (
        ("cut", text[:-9]),
        ("commented", text.replace("{", "{ // the head", 1)),
        ("trailing comma", text.replace('"8"\n', '"8",\n', 1)),
        ("elided", text.replace('"server_list": [', '"server_list": [ ...,', 1)),
        ("a list", "[]"),
        ("empty", ""),
        ("twice", text.replace('"status"', '"status": "completed", "status"', 1)),
    ):
        yield name, broken, context


def _changed() -> Iterator[tuple[str, str, TableContext]]:
    for number, (mutate, _code, _line) in enumerate([*spoilt.HCCL_ONLY, *spoilt.BOTH]):
        table, context = deployment(devices=4)
        mutate(table)
        yield f"spoilt {number}", json.dumps(table, indent=2), context
    for change in _CHANGES:
        for version in ("0.14.0", "0.11.1"):
            table, context = deployment(devices=4, lmdeploy=version)
            change(table)
            yield f"{change.__name__} {version}", json.dumps(table, indent=2), context
            yield f"{change.__name__} {version} live", json.dumps(table, indent=2), replace(context, live=None)
    for change in _POD_CHANGES:
        for nodes in (2, 4):  # one super pod, and two
            table, context = deployment(nodes=nodes, devices=2, version="1.2")
            try:
                change(table)
            except IndexError:
                continue  # it needs two
            yield f"{change.__name__} of A3 on {nodes}", json.dumps(table, indent=2), context


Servers = list[dict[str, Any]]


def _two_names_alike(table: Any) -> None:
    table["server_list"][1]["server_id"] = table["server_list"][0]["server_id"]


def _head_last(table: Any) -> None:
    table["server_list"].reverse()
    ranked = (d for s in table["server_list"] for d in s["device"])
    for rank, device in enumerate(ranked):
        device["rank_id"] = str(rank)


def _names_changed(table: Any) -> None:
    one, two = table["server_list"]
    one["server_id"], two["server_id"] = two["server_id"], one["server_id"]


def _interleaved(table: Any) -> None:
    one, two = (s["device"] for s in table["server_list"])
    one[3]["rank_id"], two[0]["rank_id"] = "4", "3"


def _second_first(table: Any) -> None:
    for start, server in zip((4, 0), table["server_list"], strict=True):
        for index, device in enumerate(server["device"]):
            device["rank_id"] = str(start + index)


def _order_of_devices(table: Any) -> None:
    entries = table["server_list"][1]["device"]
    entries[2], entries[3] = entries[3], entries[2]


def _address_twice(table: Any) -> None:
    table["server_list"][1]["device"][3]["device_ip"] = table["server_list"][0]["device"][0]["device_ip"]


def _another_family(table: Any) -> None:
    table["server_list"][1]["device"][3]["device_ip"] = "fd00::99"


def _two_addresses(table: Any) -> None:
    table["server_list"][1]["device"][3]["device_ip"] += ",192.168.9.9"


def _no_devices(table: Any) -> None:
    table["server_list"][1]["device"] = []


def _one_device_less(table: Any) -> None:
    table["server_list"][1]["device"].pop()


def _no_servers(table: Any) -> None:
    table["server_list"] = []


def _long_name(table: Any) -> None:
    table["server_list"][1]["server_id"] = "x" * 65


def _longest_name(table: Any) -> None:
    table["server_list"][1]["server_id"] = "x" * 64


def _free_names(table: Any) -> None:
    for number, server in enumerate(table["server_list"]):
        server["server_id"] = f"node_{number}"


def _spelled_otherwise(table: Any) -> None:
    table["server_list"][1]["server_id"] = "010.0.0.2"


def _legacy(table: Any) -> None:
    table["group_list"] = table.pop("server_list")


def _a_server_that_is_none(table: Any) -> None:
    table["server_list"].append("and so on")


def _a_device_that_is_none(table: Any) -> None:
    table["server_list"][0]["device"].insert(0, 7)


def _free_names_and_a_stale_address(table: Any) -> None:
    _free_names(table)
    table["server_list"][1]["device"][3]["device_ip"] = "192.168.2.99"


def _one_server_more(table: Any) -> None:
    table["server_list"].append(
        {"server_id": "node_2", "device": [{"device_id": "0", "device_ip": "192.168.3.9", "rank_id": "8"}]}
    )


def _ports_alike(table: Any) -> None:
    table["server_list"][1]["device"][3]["backup_device_port"] = "16667"


def _host_port_twice(table: Any) -> None:
    for device in table["server_list"][1]["device"][:2]:
        device["host_port"] = "60001"


def _a_port_of_the_host(table: Any) -> None:
    table["server_list"][1]["host_port"] = "70000"


def _lowest_and_highest_ports(table: Any) -> None:
    table["server_list"][1]["device"][3]["device_port"] = "1"
    table["server_list"][1]["device"][2]["device_port"] = "65535"


_CHANGES: tuple[Callable[[Any], None], ...] = (
    *(_two_names_alike, _head_last, _names_changed, _interleaved, _second_first, _order_of_devices, _address_twice),
    *(_another_family, _two_addresses, _no_devices, _one_device_less, _no_servers, _long_name, _longest_name),
    *(
        _free_names,
        _free_names_and_a_stale_address,
        _one_server_more,
        _spelled_otherwise,
        _legacy,
        _a_server_that_is_none,
        _a_device_that_is_none,
        _ports_alike,
    ),
    *(_a_port_of_the_host, _host_port_twice, _lowest_and_highest_ports),
)


def _no_sdid(table: Any) -> None:
    table["server_list"][1]["device"][1].pop("super_device_id")


def _empty_sdid(table: Any) -> None:
    table["server_list"][1]["device"][1]["super_device_id"] = ""


def _no_address(table: Any) -> None:
    table["server_list"][1]["device"][1].pop("device_ip")


def _sdid_twice(table: Any) -> None:
    one, two = table["server_list"][0]["device"][:2]
    two["super_device_id"] = one["super_device_id"]


def _sdid_of_another_pod(table: Any) -> None:
    table["server_list"][3]["device"][0]["super_device_id"] = table["server_list"][0]["device"][0]["super_device_id"]


def _no_pods(table: Any) -> None:
    table.pop("super_pod_list")


def _pod_without_servers(table: Any) -> None:
    table["super_pod_list"][0]["server_list"] = []


def _pod_twice(table: Any) -> None:
    table["super_pod_list"][1]["super_pod_id"] = table["super_pod_list"][0]["super_pod_id"]


def _pod_without_id(table: Any) -> None:
    table["super_pod_list"][1].pop("super_pod_id")


def _server_of_no_pod(table: Any) -> None:
    table["super_pod_list"][1]["server_list"].pop()


def _server_of_two_pods(table: Any) -> None:
    table["super_pod_list"][1]["server_list"].append(copy.deepcopy(table["super_pod_list"][0]["server_list"][0]))


def _stranger_in_pod(table: Any) -> None:
    table["super_pod_list"][1]["server_list"].append({"server_id": "10.9.9.9"})


def _pods_apart(table: Any) -> None:
    servers = table["server_list"]
    servers[1], servers[2] = servers[2], servers[1]
    for rank, device in enumerate(d for s in servers for d in s["device"]):
        device["rank_id"] = str(rank)


_POD_CHANGES: tuple[Callable[[Any], None], ...] = (
    *(
        _no_address,
        _no_sdid,
        _empty_sdid,
        _sdid_twice,
        _sdid_of_another_pod,
        _no_pods,
        _pod_without_servers,
        _pod_twice,
    ),
    *(_pod_without_id, _server_of_no_pod, _server_of_two_pods, _stranger_in_pod, _pods_apart),
)


def _logs() -> Iterator[Case]:
    for name, told in logs.SCENES.items():

        def call(told: Any = told) -> object:
            found = first_cause(told, logs.WORLD)
            return found and (found, found.sentence, found.advice)

        yield Case(f"log {name}", call)
    ranks = {i: Where("node-a" if i < 4 else "node-b", i % 4) for i in range(8)}  # four devices each
    world = World(ranks, {}, {})
    told = [logs.log("node-a", 101, logs.plog(101, 20, 'rank[1] fault_info["Failed to connect agent[4,5,6,]"]'))]
    own = [logs.log("node-a", 100, logs.plog(100, 10, "rank[0] TsdOpen failed, deviceId[0]."))]
    late = [
        logs.log(p.node, 100 + r, logs.plog(100 + r, 20 + r, f"wait socket establish timeout, role[1] rank[{r}]"))
        for r, p in ranks.items()
        if r
    ]
    yield Case("log all others wait", lambda: _sentence(first_cause([*own, *late], world)))
    yield Case("log all but one device of a node", lambda: first_cause(told, world))


def _sentence(found: LogCause | None) -> object:
    return found and (found, found.sentence)
