# SPDX-License-Identifier: Apache-2.0
"""The batch script under every shell that is here, read back by the decoder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hakuna.evidence import Batch, Command, Ending, Outcome
from hakuna.transports.framing import Decoder, batch_limit, new_nonce, script

SHELLS = {
    "sh": ["/bin/sh"],
    "dash": ["dash"],
    "bash": ["bash", "--posix"],
    "busybox": ["busybox", "sh"],
}
#: Each program once: /bin/sh is one of the others on most machines.
PRESENT = list({Path(shutil.which(words[0]) or "").resolve(): name for name, words in SHELLS.items() if shutil.which(words[0])}.values())

#: Few examples, as each starts a shell; slow, as the machine may be busy.
SOME = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(params=PRESENT)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return SHELLS[request.param]


def stream(commands: list[Command], shell: list[str], env: dict[str, str] | None = None) -> tuple[Batch, str, bytes]:
    batch, nonce = Batch(tuple(commands)), new_nonce()
    done = subprocess.run(
        [*shell, "-s"], input=script(batch, nonce), capture_output=True, timeout=60, env={**os.environ, **(env or {})}
    )
    return batch, nonce, done.stdout


def decode(commands: list[Command], shell: list[str], env: dict[str, str] | None = None) -> Decoder:
    batch, nonce, data = stream(commands, shell, env)
    decoder = Decoder(batch, nonce)
    decoder.feed(data)
    return decoder


def run(commands: list[Command], shell: list[str]) -> dict[str, Outcome]:
    decoder = decode(commands, shell)
    assert decoder.complete, decoder.problem
    return dict(decoder.outcomes())


def wait_for(condition: object, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]  # any callable
            return True
        time.sleep(0.02)
    return False


words = st.text(st.characters(blacklist_characters="\0", blacklist_categories=()), max_size=30).filter(
    # Surrogates that are no bytes of an undecodable argument can not be encoded by anyone.
    lambda text: _encodable(text)
)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


undecodable = st.binary(max_size=30).map(lambda b: b.replace(b"\0", b"").decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("name", PRESENT)
@SOME
@example(argv=["$HOME", "`id`", "*", "'", '"', "\\", "\n", "", "-n", "$(false)", "a\nEOF\n", "~", "!!"], env={"A": "'\n$x"})
@example(argv=[bytes(range(1, 256)).decode("utf-8", "surrogateescape")], env={})
@given(
    argv=st.lists(words | undecodable, max_size=5),
    env=st.dictionaries(st.from_regex(r"HK_[A-Za-z0-9_]{1,8}", fullmatch=True), words | undecodable, max_size=3),
)
def test_arguments_and_environment_arrive_as_they_are(name: str, argv: list[str], env: dict[str, str]) -> None:
    printed = run(
        [
            Command("argv", ("/usr/bin/printf", "%s\\0", *argv)),
            Command("env", ("/usr/bin/env", "-0"), env=env),
        ],
        SHELLS[name],
    )
    raw = [word.encode("utf-8", "surrogateescape") for word in argv]
    assert printed["argv"].stdout == b"".join(word + b"\0" for word in raw or [b""])
    seen = dict(entry.split(b"=", 1) for entry in printed["env"].stdout.split(b"\0") if b"=" in entry)
    for key, value in env.items():
        assert seen[key.encode()] == value.encode("utf-8", "surrogateescape")
    assert seen[b"LC_ALL"] == b"C"


@pytest.mark.parametrize("name", PRESENT)
@SOME
@example(data=bytes(range(256)), status=255)
@example(data=b"-dash first\n%s %d\\n", status=0)
@given(data=st.binary(max_size=3000), status=st.integers(0, 255))
def test_bytes_and_exit_status_come_back_as_they_were(name: str, data: bytes, status: int) -> None:
    outcome = run([Command("x", ("sh", "-c", f"tee /dev/stderr; exit {status}"), stdin=data)], SHELLS[name])["x"]
    assert (outcome.ending, outcome.exit_code) == (Ending.EXITED, status)
    assert outcome.stdout == data
    assert outcome.stderr == data


@pytest.mark.parametrize("name", PRESENT)
@settings(SOME, max_examples=10)
@given(lanes=st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_every_command_of_every_lane_reports_in_its_lane_s_order(name: str, lanes: list[int]) -> None:
    commands = [Command(f"c{i}", ("echo", str(i)), lane=str(lane)) for i, lane in enumerate(lanes)]
    outcomes = run(commands, SHELLS[name])
    assert [outcomes[f"c{i}"].text for i in range(len(lanes))] == [f"{i}\n" for i in range(len(lanes))]
    for lane in set(lanes):
        mine = [outcomes[f"c{i}"] for i, at in enumerate(lanes) if at == lane]
        assert all(a.started + a.seconds <= b.started + 0.011 for a, b in zip(mine, mine[1:], strict=False))


def test_lanes_run_side_by_side_and_commands_of_a_lane_do_not(shell: list[str], tmp_path: Path) -> None:
    fifo = tmp_path / "meeting"
    os.mkfifo(fifo)
    log = tmp_path / "log"
    outcomes = run(
        [
            # Each end of a fifo waits for the other: in one lane these two would never end.
            Command("reads", ("cat", str(fifo)), lane="a"),
            Command("writes", ("sh", "-c", 'echo met >"$1"', "x", str(fifo)), lane="b"),
            Command("first", ("sh", "-c", 'sleep 0.3; echo 1 >>"$1"', "x", str(log)), lane="c"),
            Command("second", ("sh", "-c", 'echo 2 >>"$1"', "x", str(log)), lane="c"),
        ],
        shell,
    )
    assert outcomes["reads"].text == "met\n"
    assert log.read_text() == "1\n2\n"
    assert outcomes["first"].seconds >= 0.29
    assert outcomes["second"].started >= 0.29


def test_a_command_is_ended_at_its_deadline_with_its_children_and_its_lane_goes_on(shell: list[str], tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    outcomes = run(
        [
            Command("slow", ("sh", "-c", 'echo before; sleep 60 & echo $! >"$1"; wait', "x", str(pids)), deadline=0.4, lane="a"),
            Command("after", ("echo", "after"), lane="a"),
            Command("own 124", ("sh", "-c", "exit 124"), lane="b"),
        ],
        shell,
    )
    assert outcomes["slow"].ending is Ending.TIMED_OUT
    assert outcomes["slow"].stdout == b"before\n"
    assert 0.4 <= outcomes["slow"].seconds < 5
    assert outcomes["after"].ok
    assert (outcomes["own 124"].ending, outcomes["own 124"].exit_code) == (Ending.EXITED, 124)
    assert wait_for(lambda: not _lives(int(pids.read_text())))


def test_a_command_that_ignores_term_is_killed(shell: list[str]) -> None:
    program = "trap '' TERM; echo started; while :; do sleep 0.1; done"
    outcome = run([Command("deaf", ("sh", "-c", program), deadline=0.3)], shell)["deaf"]
    assert outcome.ending is Ending.TIMED_OUT
    assert outcome.stdout == b"started\n"
    assert outcome.seconds < 10


@pytest.mark.parametrize("stream_name", ["stdout", "stderr"])
def test_output_beyond_the_limit_is_dropped_on_the_node(shell: list[str], stream_name: str) -> None:
    redirect = " >&2" if stream_name == "stderr" else ""
    program = f"head -c 100000000 /dev/zero{redirect}; exit 7"
    batch, nonce, data = stream([Command("big", ("sh", "-c", program), output_limit=5000)], shell)
    decoder = Decoder(batch, nonce)
    decoder.feed(data)
    outcome = decoder.outcomes()["big"]
    assert len(data) < 6000
    # The rest was read and thrown away: the program did not die of a broken pipe.
    assert (outcome.ending, outcome.exit_code) == (Ending.EXITED, 7)
    assert getattr(outcome, stream_name) == b"\0" * 5000
    assert getattr(outcome, f"{stream_name}_cut")
    assert not (outcome.stderr_cut if stream_name == "stdout" else outcome.stdout_cut)


def test_output_of_just_the_limit_is_whole(shell: list[str]) -> None:
    outcomes = run(
        [
            Command("just", ("printf", "12345"), output_limit=5),
            Command("over", ("printf", "123456"), output_limit=5),
            Command("none", ("printf", "1"), output_limit=0),
        ],
        shell,
    )
    assert (outcomes["just"].stdout, outcomes["just"].stdout_cut) == (b"12345", False)
    assert (outcomes["over"].stdout, outcomes["over"].stdout_cut) == (b"12345", True)
    assert (outcomes["none"].stdout, outcomes["none"].stdout_cut) == (b"", True)


@pytest.mark.parametrize("limit", [1_000_000, 20])
def test_what_a_command_leaves_behind_does_not_hold_its_lane(shell: list[str], limit: int) -> None:
    outcomes = run(
        [
            Command("leaves", ("sh", "-c", "sleep 20 & echo done"), lane="a", output_limit=limit),
            Command("next", ("echo", "next"), lane="a"),
        ],
        shell,
    )
    assert outcomes["leaves"].ok
    assert outcomes["leaves"].stdout == b"done\n"
    assert outcomes["next"].started < 10


def test_a_spawned_command_outlives_the_batch(shell: list[str], tmp_path: Path) -> None:
    log = tmp_path / "made by it" / "server's.log"
    log.parent.mkdir()
    log.write_text("older\n")
    program = 'echo "$GREETING"; echo error >&2; cat; exec sleep 30'
    outcome = run(
        [Command("spawn", ("sh", "-c", program), env={"GREETING": "hello"}, spawn_log=str(log), mutates=True)], shell
    )["spawn"]
    pid = int(outcome.text)
    try:
        assert wait_for(lambda: log.read_text() == "older\nhello\nerror\n")
        assert wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
        # Its own session, and nothing of the channel's left open.
        assert os.getsid(pid) == pid
        targets = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
        assert targets == {"/dev/null", str(log)}
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_spawned_command_that_is_not_there_is_127(shell: list[str], tmp_path: Path) -> None:
    outcome = run([Command("spawn", ("no-such-server",), spawn_log=str(tmp_path / "log"))], shell)["spawn"]
    assert outcome.exit_code == 127
    assert b"no-such-server: not found" in outcome.stderr


def test_a_missing_program_is_127_and_one_without_permission_126(shell: list[str], tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    outcomes = run([Command("a", ("no-such-tool",)), Command("b", (str(tmp_path / "plain"),))], shell)
    assert outcomes["a"].exit_code == 127
    assert outcomes["b"].exit_code == 126


def test_stdin_is_empty_unless_given_and_never_the_script(shell: list[str]) -> None:
    outcomes = run([Command("none", ("cat",)), Command("given", ("cat",), stdin=b"x")], shell)
    assert outcomes["none"].stdout == b""
    assert outcomes["given"].stdout == b"x"


def test_commands_see_sudo_in_front_with_the_program_s_whole_path(shell: list[str], tmp_path: Path) -> None:
    _program(tmp_path / "sudo", 'echo "sudo $*"')
    _program(tmp_path / "npu-tool", "exit 1")
    outcome = decode(
        [Command("x", ("npu-tool", "-i", "0"), sudo=True), Command("y", ("npu-tool",), sudo=True, env={"A": "b c"})],
        shell,
        {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    ).outcomes()
    assert outcome["x"].text == f"sudo -n -- {tmp_path}/npu-tool -i 0\n"
    assert outcome["y"].text == f"sudo -n -- env A=b c {tmp_path}/npu-tool\n"


def test_stand_ins_on_the_node_s_path_serve_commands_but_not_the_script(shell: list[str], tmp_path: Path) -> None:
    for tool in ("cat", "head", "wc", "rm", "mktemp", "mkfifo", "sleep", "kill"):
        _program(tmp_path / tool, f"echo stand-in {tool}")
    decoder = decode(
        [Command("cat", ("cat", "/etc/hccn.conf")), Command("path", ("sh", "-c", "echo $PATH"))],
        shell,
        {"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert decoder.complete
    assert decoder.outcomes()["cat"].text == "stand-in cat\n"
    assert decoder.outcomes()["path"].text == (
        f"{tmp_path}:/usr/bin:/bin:/usr/local/Ascend/driver/tools"
        ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )


def test_sigint_is_not_ignored_by_commands(shell: list[str]) -> None:
    outcome = run([Command("mask", ("grep", "SigIgn", "/proc/self/status"))], shell)["mask"]
    assert not int(outcome.text.split()[1], 16) & (1 << (signal.SIGINT - 1))


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


def test_a_full_disk_is_a_problem_and_not_short_output(shell: list[str], tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("a small file system can not be mounted here")
    try:
        decoder = decode(
            [
                Command("big", ("head", "-c", "200000", "/dev/zero")),
                Command("after", ("true",)),
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
        assert wait_for(lambda: not _lives(int(pids.read_text())), 20)
    assert wait_for(lambda: not list(tmp_path.glob("hakuna.*")))
    assert not mark.exists()


def test_a_command_that_not_even_kill_ends_is_given_up_and_its_lane_goes_on(shell: list[str], tmp_path: Path) -> None:
    # A process stuck in a driver can not be had here; with a script that signals nobody every process is as deaf.
    commands = [
        Command("stuck", ("sleep", "7"), deadline=0.2, lane="a"),
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
    assert wait_for(lambda: not _sleeping("7"))
    assert (tmp_path / "log").read_text() == "next\n"


@pytest.mark.parametrize(
    "command",
    [
        Command("x", ()),
        Command("x", ("",)),
        Command("x", ("-x",)),
        Command("x", ("a\0b",)),
        Command("x", ("a",), env={"A=B": ""}),
        Command("x", ("a",), env={"IFS": ""}),
        Command("x", ("a",), env={"A": "\0"}),
    ],
)
def test_what_no_shell_can_run_is_refused(command: Command) -> None:
    with pytest.raises(ValueError, match=r"can not|needs a program"):
        script(Batch((command,)), new_nonce())


def test_the_batch_s_limit_is_its_longest_lane_s() -> None:
    batch = Batch(
        (Command("a", ("x",), 10, "1"), Command("b", ("x",), 20, "1"), Command("c", ("x",), 25, "2"))
    )
    assert 30 < batch_limit(batch) < 70
    assert batch_limit(Batch()) > 0


def _program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def _sleeping(seconds: str) -> bool:
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words.read_bytes() == f"sleep\0{seconds}\0".encode():
                return True
        except OSError:
            continue
    return False


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state[state.rindex(")") + 2] != "Z"
