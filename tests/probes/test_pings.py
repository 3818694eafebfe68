# SPDX-License-Identifier: Apache-2.0
"""All pings of one device in one command: the script under real shells, and what is read of its answer."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakuna.evidence import Ending, Outcome
from hakuna.probes.hccn_ping import Ping
from hakuna.probes.hccn_pings import HUNG_LIMIT, each_ping, fine_times, pings
from hakuna.probes.mesh import FEW, PingMesh
from hakuna.probes.mesh_columns import load, save
from hakuna.probes.reading import CONSULTED, Consulted, ReadingState
from hakuna.simulator import ping_lane
from hakuna.where import Where
from support.shells import PRESENT, SHELLS, decode

HERE = Where("a", 3)
TOOL = """#!/bin/sh
for ip; do :; done
case $* in
  "-i 3 -ping -g address $ip"|"-i 3 -ping -inet6 -g ipv6_address $ip") ;;
  *) echo "asked for $*"; exit 9;;
esac
case $ip in
  *.9) exec sleep 30;;
  *.8) printf 'device 3 PING %s\\nrecv time out seq=0\\nrecv time out seq=1\\nrecv time out seq=2\\n' $ip
       echo "3 packets transmitted, 0 received, 100.00% packet loss"; exit 0;;
  *.7) echo "words of a new release"; exit 0;;
  *:*) echo "device 3 PING6 $ip";;
  *) echo "device 3 PING $ip";;
esac
printf 'recv seq=0,time=0.300000ms\\nrecv seq=1,time=0.100000ms\\nrecv seq=2,time=0.200000ms\\n'
echo "3 packets transmitted, 3 received, 0.00% packet loss"
"""


@pytest.fixture
def tool(tmp_path) -> Path:
    (tmp_path / "hccn_tool").write_text(TOOL)
    (tmp_path / "hccn_tool").chmod(0o755)
    return tmp_path


def answer(folder: Path, shell: str, *ips: str) -> Outcome:
    command = replace(pings(3, ips), sudo=False, step_deadline=1.0)
    decoder = decode([command], SHELLS[shell], {"PATH": f"{folder}:{os.environ['PATH']}"})
    return decoder.outcomes()[command.id]


def mesh_of(outcome: Outcome, *ips: str) -> PingMesh:
    mesh = PingMesh()
    lane = mesh.open(HERE, [Where("b", i) for i in range(len(ips))])
    mesh.read(lane, HERE, ips, outcome, "network.mesh/a/hccn.pings/3")
    return mesh


def states(mesh: PingMesh) -> list[str]:
    return [r.state.value if r.fact is None else f"{r.fact.received}/{r.fact.sent}" for _, r in mesh.each()]


@pytest.mark.parametrize("shell", PRESENT)
def test_each_ping_is_told_by_itself(tool, shell):
    ips = ("10.0.0.1", "10.0.0.8", "10.0.0.7", "fd00::1")
    mesh = mesh_of(answer(tool, shell, *ips), *ips)
    assert states(mesh) == ["3/3", "0/3", "unparsed", "3/3"]
    assert round(mesh.slowest, 3) == 0.2


@given(st.lists(st.tuples(*[st.one_of(st.floats(0, 9.999999), st.floats(9, 2000))] * 3), min_size=1, max_size=5))
def test_the_short_ways_say_what_reading_one_by_one_says(lanes):
    ips = [f"10.0.0.{n}" for n in range(len(lanes))]
    text = "pings-end\n"
    for ip, times in zip(reversed(ips), reversed(lanes), strict=True):
        packets = "".join(f"recv seq={n},time={ms:f}ms\n" for n, ms in enumerate(times))
        end = "3 packets transmitted, 3 received, 0.00% packet loss\n\nhakuna-status 0\n"
        text = f"hakuna-ping {ip}\ndevice 3 PING {ip}\n{packets}{end}{text}"
    slowly = [sorted(p.times_ms)[1] for p in each_ping(text, ips, Ending.EXITED) if isinstance(p, Ping)]
    assert fine_times(text, ips) == slowly
    assert len(slowly) == len(ips)
    assert fine_times(text, ips[::-1]) is None or len(ips) == 1
    assert fine_times(text.replace("3 received", "2 received", 1), ips) is None


@pytest.mark.parametrize("shell", PRESENT)
def test_a_ping_that_hangs_costs_its_own_time_only(tool, shell):
    ips = ("10.0.0.9", "10.0.0.2")
    begun = time.monotonic()
    mesh = mesh_of(answer(tool, shell, *ips), *ips)
    assert states(mesh) == ["failed", "3/3"]
    assert time.monotonic() - begun < 20


def test_a_tool_that_hangs_every_time_is_given_up(tool):
    ips = ("10.0.0.9",) * (HUNG_LIMIT + 2)
    mesh = mesh_of(answer(tool, PRESENT[0], *ips), *ips)
    assert len(mesh) == 0  # one reading, at the device
    ((_, lane),) = mesh.all_lanes()
    assert lane.whole is not None
    assert lane.whole.detail == f"{len(ips)} of {len(ips)} pings: no end within 15 s"


def test_the_simulated_lane_gives_up_as_the_script_does():
    assert ping_lane.HUNG_LIMIT == HUNG_LIMIT


def test_a_missing_tool_is_one_problem_at_the_device(tmp_path):
    ips = tuple(f"10.0.1.{i}" for i in range(20))
    mesh = mesh_of(answer(tmp_path, PRESENT[0], *ips), *ips)
    ((_, lane),) = mesh.all_lanes()
    assert lane.whole is not None
    assert lane.whole.state is ReadingState.FAILED
    assert "not found" in lane.whole.detail


def fine(ip: str) -> str:
    rows = "".join(f"recv seq={n},time=0.{n + 1}00000ms\n" for n in range(3))
    said = f"device 3 PING {ip}\n{rows}3 packets transmitted, 3 received, 0.00% packet loss\n"
    return f"hakuna-ping {ip}\n{said}\nhakuna-status 0\n"


def test_a_cut_answer_is_not_taken_for_a_whole_one():
    ips = tuple(f"10.0.0.{i}" for i in range(1, 5))
    text = "".join(map(fine, ips)) + "pings-end\n"
    whole = mesh_of(Outcome("x", Ending.EXITED, 0, text.encode()), *ips)
    assert states(whole) == ["3/3"] * 4
    cut = mesh_of(Outcome("x", Ending.TIMED_OUT, -1, text[: text.index("10.0.0.3") + 4].encode()), *ips)
    assert states(cut) == ["3/3", "3/3", "lost", "lost"]
    other = mesh_of(Outcome("x", Ending.EXITED, 0, text.encode()), "10.0.0.1", "10.0.0.3", "10.0.0.2", "10.0.0.4")
    assert states(other) == ["3/3", "lost", "lost", "3/3"]  # an answer to another question is none


def test_a_check_hears_of_every_ping_and_of_what_could_not_be_read():
    ips = tuple(f"10.0.0.{i}" for i in range(1, 30))
    text = "".join(map(fine, ips[: -FEW - 1])) + "pings-end\n"
    mesh = mesh_of(Outcome("x", Ending.EXITED, 0, text.encode()), *ips)
    mesh.leave_out(Where("c", 0), "its link is down", "network/c/hccn.link/0")
    consulted = Consulted()
    token = CONSULTED.set(consulted)
    try:
        assert len(list(mesh)) == len(ips) - FEW - 1
    finally:
        CONSULTED.reset(token)
    assert consulted.read_count == len(ips) - FEW - 1
    assert [str(r.where) for r in consulted.unreadable] == ["a/3", "c/0"]


def test_columns_give_back_the_mesh(tool, tmp_path):
    ips = ("10.0.0.1", "10.0.0.8", "10.0.0.7", "10.0.0.2")
    mesh = mesh_of(answer(tool, PRESENT[0], *ips), *ips)
    save(mesh, tmp_path / "columns", [HERE, *(Where("b", i) for i in range(4))])
    again = load(tmp_path / "columns")
    assert [(w, r.state, r.fact) for w, r in again.each()] == [(w, r.state, r.fact) for w, r in mesh.each()]
    assert list(load(tmp_path / "nothing").each()) == []


def test_who_is_dead_and_what_is_near_a_loss():
    devices = [Where(n, 0) for n in "abcd"]
    mesh = PingMesh()
    ips = {d: f"10.0.0.{i + 1}" for i, d in enumerate(devices)}
    for source in devices:
        targets = [d for d in devices if d != source]
        text = ""
        for d in targets:
            lost = fine(ips[d]).replace("3 received, 0.00%", "0 received, 100.00%")
            text += lost if devices[1] in (source, d) else fine(ips[d])
        lane = mesh.open(source, targets)
        mesh.read(lane, source, [ips[t] for t in targets], Outcome("x", Ending.EXITED, 0, text.encode()), "s")
    assert mesh.dead() == [devices[1]]
    assert len(mesh.around_loss()) == len(mesh) == 12
    assert mesh.readings[Where.pair(devices[0], devices[1])].fact.received == 0
