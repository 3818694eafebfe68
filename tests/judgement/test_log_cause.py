# SPDX-License-Identifier: Apache-2.0
"""The cause, not the symptom: which rank failed first, by the logs of all nodes."""

from __future__ import annotations

import pytest

from hakuna.judgement.log_cause import Log, LogCause, World, first_cause
from hakuna.probes.log_places import Writer
from hakuna.probes.log_trouble import troubles
from hakuna.where import Where

WORLD = World(
    ranks={i: Where("ab"[i // 2], i % 2) for i in range(4)},
    hosts={"10.0.0.1": "a", "10.0.0.2": "b"},
    addresses={f"10.1.{i // 2}.{i % 2}": Where("ab"[i // 2], i % 2) for i in range(4)},
)


def log(node: str, pid: int | None, *lines: str, driver: bool = False) -> Log:
    text = "\n".join(lines)
    return Log(node, f"/{pid}", troubles(text, Writer(pid=pid)), driver=driver)


def plog(pid: int, second: int, words: str) -> str:
    return f"[ERROR] HCCL({pid},python3):2026-03-18-10:33:{second:02}.000.001 [x.cc:1] [{pid}]{words}"


def waits(rank: int, other: int, second: int = 50) -> Log:
    row = f"  |  10.1.{other // 2}.{other % 2}({other})  |  16666  |  10.1.{rank // 2}.{rank % 2}({rank})  |  1  | client | time out |"
    return log(
        WORLD.ranks[rank].node,
        100 + rank,
        plog(100 + rank, second, f"wait socket establish timeout, role[1] rank[{rank}]"),
        plog(100 + rank, second, row),
    )


def said(found: LogCause | None) -> tuple[str, str, int | None, bool, int]:
    assert found is not None
    return str(found.where), found.code, found.rank, found.silent, found.waited


def test_no_trouble_no_cause():
    assert first_cause([log("a", 1, "all is well"), log("b", None)], WORLD) is None


def test_one_that_says_something_of_its_own_is_the_cause_however_late_it_says_it():
    taken = log(
        "b", 103, plog(103, 55, "socket type[0], rank[3] listen on ip[10.1.1.1] and specific port[16666] fail.")
    )
    assert said(first_cause([waits(0, 3), waits(1, 3), waits(2, 3), taken], WORLD)) == ("b/1", "EI0019", 3, False, 3)


def test_of_two_causes_the_first_counts():
    late = log("a", 101, plog(101, 40, "rank[1] environment variable HCCL_RDMA_SL is invalid"))
    early = log("b", 102, plog(102, 39, "rank[2] TsdOpen failed, deviceId[0]."))
    assert said(first_cause([late, early], WORLD))[:2] == ("b/0", "EJ0001")


def test_who_was_waited_for_and_says_nothing_is_blamed():
    assert said(first_cause([waits(0, 2), waits(1, 2), waits(3, 2)], WORLD)) == ("b/0", "EI0006", 2, True, 3)


def test_who_waits_for_one_that_waits_is_not_blamed():
    # 0 waits for 1, 1 for 2, 2 for 3, and 3 says nothing.
    assert said(first_cause([waits(0, 1), waits(1, 2), waits(2, 3)], WORLD))[0] == "b/1"


def test_a_whole_node_that_never_came_is_the_node():
    words = 'TopoDetect ERROR occur !!! fault_type[1], fault_info["Failed to connect agent[2,3,]"]'
    found = first_cause([log("a", 101, plog(101, 20, f"rank[1] {words}"))], WORLD)
    assert said(found)[:2] == ("b", "EI0015")


def test_two_ends_that_wait_for_each_other_are_a_way_that_is_not_there():
    found = first_cause([waits(0, 3, 10), waits(3, 0, 11), waits(1, 0, 12), waits(2, 0, 13)], WORLD)
    assert said(found)[0] == "a/0 -> b/1"
    assert "both ends waited" in found.sentence


def test_a_way_that_breaks_under_load_is_told_with_both_ends():
    words = "rank[1] cqe error status[12], remoteIP{server[10.0.0.2],deviceId[x],deviceIp[10.1.1.0]}"
    assert said(first_cause([log("a", 101, plog(101, 5, words)), waits(3, 1)], WORLD))[0] == "a/1 -> b/0"


def test_who_has_another_tls_switch_is_told_not_who_found_it():
    words = 'rank[0] Value Disable for config "tls" is invalid. rankList for enabled tls:[3]; rankList for disabled tls:[0,1,2]'
    assert said(first_cause([log("a", 100, plog(100, 5, words)), waits(1, 0)], WORLD))[0] == "b/1"


def test_all_ranks_of_a_node_are_the_node_and_all_of_all_the_cluster():
    words = "environment variable HCCL_SOCKET_IFNAME is invalid"
    each = [log(WORLD.ranks[i].node, 100 + i, plog(100 + i, i, f"rank[{i}] {words}")) for i in range(4)]
    assert said(first_cause([*each[2:], waits(0, 2)], WORLD))[0] == "b"
    assert said(first_cause(each, WORLD))[0] == "cluster"


def test_a_worker_that_ray_ended_is_the_one_that_others_waited_for():
    killed = log(
        "b",
        None,
        "(raylet) node_manager.cc:3049: 1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: e5, IP: 10.0.0.2) over",
    )
    assert said(first_cause([killed, waits(0, 3), waits(1, 3), waits(2, 3)], WORLD)) == ("b/1", "Ray", 3, False, 3)
    assert said(first_cause([killed], WORLD))[0] == "b"


def test_what_any_log_says_of_a_process_holds_in_all():
    # The traceback in Ray's log names no device; plog of the same process does.
    trace = log("b", 77, "RuntimeError: shape mismatch")
    known = log("b", 77, "[ERROR] RUNTIME(77,x):2026-03-18-10:33:52.113.403 [x.cc:1] 77 failed, device_id[1]")
    assert said(first_cause([trace, known], WORLD))[0] == "b/1"


def test_the_servers_own_trouble_is_told_as_its_own():
    own = log("a", None, "ValueError: Cannot provide a placement group of [] within 1800 seconds.", driver=True)
    found = first_cause([own], WORLD)
    assert found is not None
    assert (str(found.where), found.driver) == ("a", True)


def test_what_the_server_repeats_of_a_worker_is_the_workers():
    text = "(RayWorkerWrapper pid=77, ip=10.0.0.2) RuntimeError: NPU out of memory. Tried to allocate 1 GiB (NPU 1; 60 GiB)"
    found = first_cause([log("a", None, text, driver=True)], WORLD)
    assert found is not None
    assert (str(found.where), found.driver, found.rank) == ("b/1", False, 3)


@pytest.mark.parametrize("name", ["EI0019", "EJ0001", "EI0014", "EI0001"])
def test_the_advice_names_node_and_device(name):
    advice = LogCause(Where("b", 1), name, "x", 3).advice
    assert "{" not in advice
    assert advice


#: Scenes for the proof: what a judge of logs that was changed carelessly would take for something else.
_SIGNAL = "*** SIGSEGV received at time=1 on cpu 1 ***"
_DEATH = "(raylet) A worker died or was killed while executing a task by an unexpected system error. Worker IP address: 10.0.0.2 Worker port: 1 Worker PID: 103 Worker exit type: SYSTEM_ERROR Worker exit detail: End of file."
_LOST = (
    "[INFO] HCCL(101,x):2026-03-18-10:33:10.000.001 [h.cc:1]rank [10.0.0.1/1]: rank [10.0.0.2/0] status[LOST] by rank"
)
SCENES: dict[str, list[Log]] = {
    "nothing": [log("a", 1, "all is well")],
    "own words": [waits(0, 3), waits(1, 3), log("b", 103, plog(103, 55, "rank[3] TsdOpen failed, deviceId[1]."))],
    "first of two": [
        log("a", 101, plog(101, 40, "rank[1] environment variable HCCL_RDMA_SL is invalid")),
        log("b", 102, plog(102, 39, "rank[2] TsdOpen failed, deviceId[0].")),
    ],
    "no time": [log("b", 103, "RuntimeError: a"), log("a", 101, plog(101, 1, "rank[1] TsdOpen failed, deviceId[1]."))],
    "silent": [waits(0, 2), waits(1, 2), waits(3, 2)],
    "chain": [waits(0, 1), waits(1, 2), waits(2, 3)],
    "both ends": [waits(0, 3, 10), waits(3, 0, 11), waits(1, 0, 12), waits(2, 0, 13)],
    "whole node": [log("a", 101, plog(101, 20, 'rank[1] fault_info["Failed to connect agent[2,3,]"]'))],
    "one of a node": [log("a", 101, plog(101, 20, 'rank[1] fault_info["Failed to connect agent[3,]"]'))],
    "way under load": [log("a", 101, plog(101, 5, "rank[1] cqe error status[12], remoteIP:[10.1.1.0]")), waits(3, 1)],
    "load without an end": [log("a", 101, plog(101, 5, "rank[1] cqe error status[12]")), waits(3, 1)],
    "switch": [
        log(
            "a",
            100,
            plog(
                100,
                5,
                'rank[0] config "tls" is invalid. rankList for enabled tls:[3]; rankList for disabled tls:[0,1,2]',
            ),
        ),
        waits(1, 0),
    ],
    "switch of a node": [
        log(
            "a",
            100,
            plog(
                100,
                5,
                'rank[0] config "tls" is invalid. rankList for enabled tls:[2,3]; rankList for disabled tls:[0,1,4]',
            ),
        ),
    ],
    "all of a node": [
        log("b", 102, plog(102, 2, "rank[2] environment variable HCCL_IF_IP is invalid")),
        log("b", 103, plog(103, 3, "rank[3] environment variable HCCL_IF_IP is invalid")),
        waits(0, 2),
    ],
    "all": [
        log(WORLD.ranks[i].node, 100 + i, plog(100 + i, i, f"rank[{i}] environment variable HCCL_IF_IP is invalid"))
        for i in range(4)
    ],
    "killed": [
        log(
            "b",
            None,
            "(raylet) 1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 at node (ID: e5, IP: 10.0.0.2) over",
        ),
        waits(0, 3),
        waits(1, 3),
    ],
    "killed, two silent": [
        log(
            "b",
            None,
            "(raylet) 1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 at node (ID: e5, IP: 10.0.0.2) over",
        ),
        waits(0, 3),
        waits(1, 2),
    ],
    "died": [log("a", None, _DEATH, driver=True), waits(0, 3), waits(1, 3)],
    "crashed": [log("b", 103, _SIGNAL), waits(0, 3)],
    "process": [
        log("b", 77, "RuntimeError: shape"),
        log("b", 77, "[ERROR] RUNTIME(77,x):1 [x.cc:1] 77 failed, device_id[1]"),
    ],
    "driver": [log("a", None, "ValueError: Cannot provide a placement group of [] within 1800 seconds.", driver=True)],
    "driver and worker": [
        log("a", None, "RuntimeError: NPU out of memory. (NPU 1; 60 GiB)", driver=True),
        log("b", 103, "RuntimeError: NPU out of memory. Tried to allocate 1 GiB (NPU 1; 60 GiB)"),
    ],
    "driver of a worker": [
        log(
            "a",
            None,
            "(RayWorkerWrapper pid=77, ip=10.0.0.2) RuntimeError: NPU out of memory. (NPU 1; 60 GiB)",
            driver=True,
        )
    ],
    "rank of another node": [log("a", 5, plog(5, 1, "rank[3] TsdOpen failed"))],
    "rank in the driver": [log("a", None, "rank[3] TsdOpen failed", driver=True)],
    "host": [log("a", 101, plog(101, 1, "rank[1] connect server[10.0.0.2 : 60000] failed"))],
    "host and device": [log("a", 101, plog(101, 1, "rank[1] Getting socket times out. destRank[10.0.0.2/1] fail"))],
    "no such device": [log("a", 101, plog(101, 1, "rank[1] Getting socket times out. destRank[10.0.0.2/9] fail"))],
    "heartbeat": [log("a", 101, _LOST)],
    "wrapper": [log("b", 103, "[ERROR] HCCL(103,x):1 [a.cc:1] rank[3] something new")],
    "wrapper of a device": [log("b", 103, "[ERROR] (PID:103, Device:1, RankID:-1) ERR00100 PTA call acl api failed.")],
    "node or device": [
        Log("b", "/0", troubles("OSError: [Errno 28] No space left on device")),
        log("a", 101, "RuntimeError: NPU out of memory. (NPU 1; 60 GiB)"),
    ],
    "node, then its device": [
        log("b", 77, "EI0011: [PID: 77] 2026-03-18-10:33:01.000.001 Failed to allocate [1] bytes of NPU memory."),
        log("b", 102, plog(102, 8, "rank[2] TsdOpen failed")),
        log("b", 103, plog(103, 9, "rank[3] Failed to allocate [1] bytes of NPU memory.")),
    ],
    "killed and died": [
        log(
            "b",
            None,
            "(raylet) 1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 at node (ID: e5, IP: 10.0.0.2) over",
        ),
        log("a", None, _DEATH, driver=True),
        log("b", 103, plog(103, 1, "rank[3] something new")),
    ],
    "vague": [
        log("a", 101, "EE1001: [PID: 101] 2026-03-18-10:33:01.000.001 The argument is invalid"),
        log("b", 103, plog(103, 9, "rank[3] TsdOpen failed, deviceId[1].")),
    ],
}


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_the_same_in_any_order_of_its_logs(name):
    told = SCENES[name]
    assert first_cause(told, WORLD) == first_cause(told[::-1], WORLD)
