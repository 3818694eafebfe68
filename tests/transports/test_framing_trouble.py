# SPDX-License-Identifier: Apache-2.0
"""The batch script when commands hang, disks are full and nobody listens any more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hakuna.evidence import Batch, Command, Ending
from hakuna.transports.framing import Decoder, _fill, new_nonce, script
from hakuna.transports.node_script import BODY
from support.shells import PRESENT, SHELLS, decode, lives, program, run, sleeping, wait_for


@pytest.fixture(params=PRESENT)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return SHELLS[request.param]


@pytest.mark.parametrize("query", [False, True])
def test_a_command_is_ended_at_its_deadline_with_its_children_and_its_lane_goes_on(
    shell: list[str], tmp_path: Path, query: bool
) -> None:
    pids = tmp_path / "pids"
    outcomes = run(
        [
            Command(
                "slow",
                ("sh", "-c", 'echo before; sleep 60 & echo $! >"$1"; wait', "x", str(pids)),
                deadline=1.5,  # a busy machine needs a moment to say "before"
                lane="a",
                query=query,
            ),
            Command("after", ("echo", "after"), lane="a", query=query),
            Command("own 124", ("sh", "-c", "exit 124"), lane="b"),
        ],
        shell,
    )
    assert outcomes["slow"].ending is Ending.TIMED_OUT
    assert outcomes["slow"].stdout == b"before\n"
    assert 1.5 <= outcomes["slow"].seconds < 8
    assert outcomes["after"].ok
    assert (outcomes["own 124"].ending, outcomes["own 124"].exit_code) == (Ending.EXITED, 124)
    assert wait_for(lambda: not lives(int(pids.read_text())))


@pytest.mark.parametrize("sudo", [False, True])
def test_a_step_that_takes_too_long_is_killed_and_its_command_goes_on(
    shell: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sudo: bool
) -> None:
    program(tmp_path / "sudo", 'shift 2; "$@"; exit $?')  # it stays, as sudo does
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    steps = 'for s in 0.7 0.7 0.7 30 0.1; do sleep $s; echo "$s: $?"; done'
    outcome = run([Command("steps", ("sh", "-c", steps), step_deadline=1.2, query=True, sudo=sudo)], shell)["steps"]
    assert outcome.text == "0.7: 0\n0.7: 0\n0.7: 0\n30: 137\n0.1: 0\n"
    assert outcome.seconds < 10


@pytest.mark.parametrize("helper", ["drain $i o a", "pad $i o"])
def test_a_helper_that_comes_too_late_waits_for_nobody(shell: list[str], tmp_path: Path, helper: str) -> None:
    """Its stream may have lost its other end just then, and a signal right after a fork is lost in dash and busybox:
    a helper that waited for a partner would stay on the node for ever, and hold the channel.
    """
    functions = _fill(BODY, "nonce", 1).decode()
    text = f"""{functions}
        D={tmp_path}; Q=1000; exec 8>/dev/null
        trap 'trapped=1' HUP INT TERM PIPE
        for i in 1 2 3 4 5 6 7 8 9 10; do
          mkfifo "$D/$i.o"
          eval "a_$i=999999999 dd_$i= dr_$i="
          {helper}
          eval "kill \\$dr_$i" 2>/dev/null || :  # it may have ended already
        done
    """
    done = subprocess.run([*shell, "-c", text], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("query", [False, True])
def test_a_command_that_ignores_term_is_killed(shell: list[str], query: bool) -> None:
    program = "trap '' TERM; echo started; while :; do sleep 0.1; done"
    outcome = run([Command("deaf", ("sh", "-c", program), deadline=0.3, query=query)], shell)["deaf"]
    assert outcome.ending is Ending.TIMED_OUT
    assert outcome.stdout == b"started\n"
    assert outcome.seconds < 10


@pytest.mark.parametrize(("limit", "query"), [(1_000_000, False), (20, False), (20, True)])
def test_what_a_command_leaves_behind_does_not_hold_its_lane(shell: list[str], limit: int, query: bool) -> None:
    outcomes = run(
        [
            Command("leaves", ("sh", "-c", "sleep 20 & echo done"), lane="a", output_limit=limit, query=query),
            Command("next", ("echo", "next"), lane="a"),
        ],
        shell,
    )
    assert outcomes["leaves"].ok
    assert outcomes["leaves"].stdout == b"done\n"
    assert outcomes["next"].started < 10


def test_nothing_is_left_in_the_temporary_folder(shell: list[str], tmp_path: Path) -> None:
    place = tmp_path / "with space"
    place.mkdir()
    decoder = decode([Command("x", ("ls", str(place)), stdin=b"y")], shell, {"TMPDIR": str(place)})
    assert decoder.outcomes()["x"].text.startswith("hakuna.")
    assert wait_for(lambda: not list(place.iterdir()))


def test_no_temporary_folder_is_a_problem_and_nothing_runs(shell: list[str], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    decoder = decode([Command("x", ("touch", str(mark)))], shell, {"TMPDIR": str(tmp_path / "none")})
    assert decoder.problem.startswith("scratch")
    assert decoder.ended
    assert not decoder.complete
    assert decoder.outcomes()["x"].ending is Ending.NOT_RUN
    assert not mark.exists()


@pytest.mark.parametrize("query", [False, True])
def test_a_full_disk_is_a_problem_and_not_short_output(shell: list[str], tmp_path: Path, query: bool) -> None:
    full = tmp_path / "full"
    full.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("a small file system can not be mounted here")
    try:
        decoder = decode(
            [
                Command("big", ("head", "-c", "200000", "/dev/zero"), query=query),
                Command("after", ("true",), query=query),
                Command("small", ("echo", "small"), lane="b"),
            ],
            shell,
            {"TMPDIR": str(full)},
        )
        outcomes = decoder.outcomes()
        assert outcomes["big"].ending is Ending.LOST
        assert outcomes["after"].ending in (Ending.LOST, Ending.EXITED)
        assert decoder.problem.startswith("scratch")
        # The other one either made it before the disk was full, whole, or is as lost.
        assert outcomes["small"].ending is Ending.LOST or outcomes["small"].stdout == b"small\n"
    finally:
        subprocess.run(["umount", "-l", str(full)], check=True)


def test_a_script_that_arrives_in_part_runs_nothing(shell: list[str], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = script(Batch((Command("x", ("touch", str(mark))),)), new_nonce())
    closing = text.rindex(b"}")
    for stop in (closing, closing - 2, closing - 20, len(text) // 2, 300):
        subprocess.run([*shell, "-s"], input=text[:stop], capture_output=True, timeout=20, check=False)
        assert not mark.exists()
    subprocess.run([*shell, "-s"], input=text, capture_output=True, timeout=20, check=True)
    assert mark.exists()


def test_when_nobody_reads_any_more_commands_are_ended_and_no_others_start(shell: list[str], tmp_path: Path) -> None:
    pids, mark = tmp_path / "pid", tmp_path / "mark"
    batch = Batch(
        (
            Command("long", ("sh", "-c", 'echo $$ >"$1"; exec sleep 60', "x", str(pids)), lane="a"),
            Command("next", ("touch", str(mark)), lane="a"),
            Command("talks", ("sleep", "0.5"), lane="b"),
        )
    )
    with subprocess.Popen(
        [*shell, "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(script(batch, new_nonce()))
        process.stdin.close()
        assert wait_for(lambda: pids.exists() and pids.read_text().strip())
        process.stdout.close()
        assert wait_for(lambda: not lives(int(pids.read_text())), 20)
    assert wait_for(lambda: not list(tmp_path.glob("hakuna.*")))
    assert not mark.exists()


@pytest.mark.parametrize("query", [False, True])
def test_a_command_that_not_even_kill_ends_is_given_up_and_its_lane_goes_on(
    shell: list[str], tmp_path: Path, query: bool
) -> None:
    # A process stuck in a driver can not be had here; with a script that signals nobody every process is as deaf.
    commands = [
        Command("stuck", ("sleep", "7"), deadline=0.2, lane="a", query=query),
        Command("next", ("sh", "-c", 'echo next | tee -a "$1"', "x", str(tmp_path / "log")), lane="a"),
    ]
    batch, nonce = Batch(tuple(commands)), new_nonce()
    text = script(batch, nonce).replace(b'kill -s $signal "${one%%:*}" 2>/dev/null && continue', b"continue")
    done = subprocess.run([*shell, "-s"], input=text, capture_output=True, timeout=60, check=False)
    decoder = Decoder(batch, nonce)
    decoder.feed(done.stdout)
    assert decoder.complete
    assert decoder.outcomes()["stuck"].ending is Ending.TIMED_OUT
    assert decoder.outcomes()["next"].text == "next\n"
    assert decoder.outcomes()["next"].started < 6.5
    assert wait_for(lambda: not sleeping("7"))
    assert (tmp_path / "log").read_text() == "next\n"
