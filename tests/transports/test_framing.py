# SPDX-License-Identifier: Apache-2.0
"""The batch script under every shell that is here, read back by the decoder."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hakuna.evidence import Batch, Command, Ending
from hakuna.transports.framing import Decoder, batch_limit, new_nonce, script
from support.shells import PRESENT, SHELLS, decode, program, run, stream, wait_for

#: Few examples, as each starts a shell; no deadline, as the machine may be busy.
SOME = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(params=PRESENT)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return SHELLS[request.param]


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


# Surrogates that stand for no byte of an undecodable argument can not be encoded by anyone.
words = st.text(st.characters(blacklist_characters="\0", blacklist_categories=()), max_size=30).filter(_encodable)
undecodable = st.binary(max_size=30).map(lambda b: b.replace(b"\0", b"").decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("name", PRESENT)
@SOME
@example(
    argv=["$HOME", "`id`", "*", "'", '"', "\\", "\n", "", "-n", "$(false)", "a\nEOF\n", "~", "!!"], env={"A": "'\n$x"}
)
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
        assert all(a.started + a.seconds <= b.started + 0.011 for a, b in itertools.pairwise(mine))


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


@pytest.mark.parametrize("stream_name", ["stdout", "stderr"])
def test_a_query_that_prints_without_end_is_ended(shell: list[str], stream_name: str) -> None:
    redirect = " >&2" if stream_name == "stderr" else ""
    command = Command(
        "big", ("sh", "-c", f"head -c 100000000 /dev/zero{redirect}; exit 7"), output_limit=5000, query=True
    )
    batch, nonce, data = stream([command, Command("next", ("echo", "next"), query=True)], shell)
    decoder = Decoder(batch, nonce)
    decoder.feed(data)
    outcome = decoder.outcomes()["big"]
    assert len(data) < 7000
    assert not outcome.ok
    assert getattr(outcome, stream_name) == b"\0" * 5000
    assert getattr(outcome, f"{stream_name}_cut")
    assert decoder.outcomes()["next"].stdout == b"next\n"


def test_a_query_is_limited_where_the_login_is_limited_more(shell: list[str]) -> None:
    limited = [shell[0], *shell[1:], "-c", 'ulimit -f 2; exec "$@"', "x", *shell]
    outcomes = run([Command("a", ("printf", "12345"), query=True), Command("b", ("echo", "b"), query=True)], limited)
    assert (outcomes["a"].stdout, outcomes["b"].stdout) == (b"12345", b"b\n")


@pytest.mark.parametrize("query", [False, True])
def test_output_of_just_the_limit_is_whole(shell: list[str], query: bool) -> None:
    outcomes = run(
        [
            Command("just", ("printf", "12345"), output_limit=5, query=query),
            Command("over", ("printf", "123456"), output_limit=5, query=query),
            Command("none", ("printf", "1"), output_limit=0, query=query),
        ],
        shell,
    )
    assert (outcomes["just"].stdout, outcomes["just"].stdout_cut) == (b"12345", False)
    assert (outcomes["over"].stdout, outcomes["over"].stdout_cut) == (b"12345", True)
    assert (outcomes["none"].stdout, outcomes["none"].stdout_cut) == (b"", True)


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
        targets = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
        assert targets == {"/dev/null", str(log)}
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_spawned_command_reads_its_input(shell: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "exec cat; echo not reached"
    spawn = Command("spawn", ("sh", "-c", program), stdin=b"the key\n", spawn_log=str(log), mutates=True)
    outcomes = run([spawn, Command("other", ("cat",), stdin=b"other")], shell)
    assert outcomes["spawn"].exit_code == 0
    assert outcomes["other"].stdout == b"other"
    assert wait_for(lambda: log.read_text() == "the key\n"), log.read_text()


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
    program(tmp_path / "sudo", 'echo "sudo $*"')
    program(tmp_path / "npu-tool", "exit 1")
    outcome = decode(
        [Command("x", ("npu-tool", "-i", "0"), sudo=True), Command("y", ("npu-tool",), sudo=True, env={"A": "b c"})],
        shell,
        {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    ).outcomes()
    assert outcome["x"].text == f"sudo -n -- {tmp_path}/npu-tool -i 0\n"
    assert outcome["y"].text == f"sudo -n -- env A=b c {tmp_path}/npu-tool\n"


def test_stand_ins_on_the_node_s_path_serve_commands_but_not_the_script(shell: list[str], tmp_path: Path) -> None:
    for tool in ("cat", "head", "wc", "rm", "mktemp", "mkfifo", "sleep", "kill"):
        program(tmp_path / tool, f"echo stand-in {tool}")
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
    batch = Batch((Command("a", ("x",), 10, "1"), Command("b", ("x",), 20, "1"), Command("c", ("x",), 25, "2")))
    assert 30 < batch_limit(batch) < 70
    assert batch_limit(Batch()) > 0
