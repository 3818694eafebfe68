# SPDX-License-Identifier: Apache-2.0
"""The node scripts, run for real under every shell that is installed here."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hakuna.evidence import Command
from hakuna.probes import host, procs, scripts, table_file, versions
from hakuna.probes.host_network import TcpState
from hakuna.probes.reading import UnparsedError

SHELLS = [
    pytest.param((path, *words), id=name)
    for name, program, words in (
        ("dash", "dash", ()),
        ("bash", "bash", ("--posix",)),
        ("busybox", "busybox", ("sh",)),
        ("sh", "sh", ()),
    )
    if (path := shutil.which(program))
]
Sh = Callable[..., str]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


@pytest.fixture
def sh(shell: tuple[str, ...]) -> Sh:
    """Run a command as a node would, with this shell in the place of ``sh``."""

    def call(command: Command, **env: str) -> str:
        done = subprocess.run(
            [*shell, *command.argv[1:]],
            input=command.stdin,
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, **command.env, **env},
        )
        return (done.stdout + done.stderr).decode()

    return call


@pytest.fixture
def sleeper() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start processes that do nothing until the test is over."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str, **env: str) -> subprocess.Popen[bytes]:
        code = "import sys; print(1, flush=True); sys.stdin.read()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **env},
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()  # it runs and has its own arguments by now
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_script_names_itself_and_keeps_its_arguments_apart():
    command = scripts.script("remove", "/tmp/a b", id="remove", mutates=True)
    assert command.argv[:2] == ("sh", "-c")
    assert command.argv[3:] == ("hakuna-remove", "/tmp/a b")
    assert command.mutates


def test_hostname(sh: Sh):
    assert host.parse_hostname(sh(host.hostname())).name == os.uname().nodename


def test_which(sh: Sh):
    found = host.parse_tools(sh(host.tools(("cat", "no-such-tool-at-all"))))
    assert found["cat"].endswith("/cat")
    assert found["no-such-tool-at-all"] is None


def test_cann_finds_the_first_version_file_and_copies_it(sh: Sh, tmp_path: Path):
    command = versions.cann()
    moved = Command("host.cann", tuple(w.replace("/usr/local/Ascend", str(tmp_path)) for w in command.argv))
    assert versions.parse_cann(sh(moved, ASCEND_TOOLKIT_HOME="")) == versions.CannFile(None, None)
    info = tmp_path / "cann-8.5.1" / "aarch64-linux" / "ascend_toolkit_install.info"
    info.parent.mkdir(parents=True)
    info.write_text("package_name=Ascend-cann-toolkit\nversion=8.5.1\narch=aarch64")
    found = versions.parse_cann(sh(moved, ASCEND_TOOLKIT_HOME=""))
    assert (found.path, found.version) == (str(info), "8.5.1")
    assert found.values["arch"] == "aarch64"


# --- tcp --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ports() -> Iterator[tuple[int, int, int]]:
    """Three ports of this machine: one that answers, one that refuses, and one whose queue is full and stays silent."""
    with socket.socket() as listening, socket.socket() as full, socket.socket() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting.connect(full.getsockname())
        extra = []
        for _ in range(4):  # connects beyond the queue get no answer
            more = socket.socket()
            more.setblocking(False)
            more.connect_ex(full.getsockname())
            extra.append(more)
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            refused = closed.getsockname()[1]
        yield listening.getsockname()[1], refused, full.getsockname()[1]
        for more in extra:
            more.close()


@pytest.mark.parametrize("tools", ["python3", "bash"])
def test_tcp_tells_open_refused_and_silent_apart(sh: Sh, ports: tuple[int, int, int], tools: str, tmp_path: Path):
    for name in {tools, "timeout", "bash", "tr"} - ({"python3"} if tools == "bash" else set()):
        path = sys.executable if name == "python3" else shutil.which(name)
        assert path
        (tmp_path / name).symlink_to(path)
    text = sh(host.tcp("node-b", "127.0.0.1", ports, seconds=1), PATH=str(tmp_path))
    probe = host.parse_tcp(text)
    wanted = (TcpState.OPEN, TcpState.REFUSED, TcpState.TIMEOUT)
    assert [probe.results[p] for p in ports] == list(wanted), text
    assert [s.passes for s in wanted] == [True, True, False]


def test_tcp_without_any_tool_is_an_error_and_no_silence(sh: Sh, tmp_path: Path):
    (tmp_path / "tr").symlink_to(shutil.which("tr") or "")
    probe = host.parse_tcp(sh(host.tcp("node-b", "127.0.0.1", (9,), seconds=1), PATH=str(tmp_path)))
    assert probe.results[9] in (TcpState.ERROR, TcpState.REFUSED)  # busybox brings an nc of its own


# --- lease ------------------------------------------------------------------------------------------------------------


def test_a_lease_is_taken_shown_kept_and_given_back(sh: Sh, tmp_path: Path):
    folder = str(tmp_path / "lease")
    mine, other = "me@here:1/run-1", "you@there:2/run-2"
    assert host.parse_lease(sh(host.lease_show(folder))) == host.LeaseState()
    taken = host.parse_lease(sh(host.lease_acquire(folder, mine, 600)))
    assert taken.acquired
    assert taken.until.endswith("UTC")
    assert abs(taken.expires - time.time() - 600) < 30
    held = host.LeaseState(mine, taken.expires)
    assert host.parse_lease(sh(host.lease_show(folder))) == held
    assert host.parse_lease(sh(host.lease_acquire(folder, other, 700))) == held
    renewed = host.parse_lease(sh(host.lease_acquire(folder, mine, 900)))  # one's own can be renewed
    assert renewed.acquired
    assert renewed.expires >= taken.expires + 300
    assert host.parse_lease(sh(host.lease_release(folder, "run-2"))).holder == mine
    assert host.parse_lease(sh(host.lease_release(folder, "run-1"))).released
    assert host.parse_lease(sh(host.lease_show(folder))) == host.LeaseState()
    assert list(tmp_path.iterdir()) == []


def test_a_lease_that_expired_names_the_dead_and_can_be_taken(sh: Sh, tmp_path: Path):
    folder = str(tmp_path)
    assert host.parse_lease(sh(host.lease_acquire(folder, "dead", -1))).acquired
    assert host.parse_lease(sh(host.lease_show(folder))) == host.LeaseState(lapsed="dead")
    assert host.parse_lease(sh(host.lease_acquire(folder, "alive", 600))).holder == "alive"


def test_a_lease_that_is_kept_does_not_expire(sh: Sh, tmp_path: Path):
    folder = str(tmp_path)
    sh(host.lease_acquire(folder, "mine", 600))
    kept = host.parse_lease(sh(host.lease_keep(folder, "mine")))
    assert (kept.acquired, kept.kept) == (True, True)
    shown = host.parse_lease(sh(host.lease_show(folder)))
    assert shown == host.LeaseState("mine", host.KEPT)
    assert "kept" in shown.until


@pytest.mark.parametrize("expired", [False, True])
def test_of_many_who_want_a_lease_exactly_one_gets_it(sh: Sh, tmp_path: Path, expired: bool):
    folder = str(tmp_path / "lease")
    if expired:
        sh(host.lease_acquire(folder, "dead", -1))
    commands = [host.lease_acquire(folder, f"holder-{i}", 600) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        states = [host.parse_lease(text) for text in pool.map(sh, commands)]
    winners = [s.holder for s in states if s.acquired]
    assert len(winners) == 1
    assert host.parse_lease(sh(host.lease_show(folder))).holder == winners[0]
    assert [p.name for p in Path(folder).iterdir()] == ["lease"]


# --- processes --------------------------------------------------------------------------------------------------------


def test_procs_finds_labelled_processes_with_what_matters_of_them(sh: Sh, sleeper):
    run = f"run-{uuid.uuid4().hex[:8]}"
    process = sleeper(
        "two words", "line\nbreak", HAKUNA_RUN=run, GLOO_SOCKET_IFNAME="eth0", RAY_TOKEN="secret", UNRELATED="x"
    )
    sleeper("other", HAKUNA_RUN=f"other-{run}")
    found = procs.parse_procs(sh(procs.procs("labelled", procs.labelled(run))))
    assert [p.pid for p in found] == [process.pid]
    assert found[0].argv[-2:] == ("two words", "line break")
    assert found[0].env["GLOO_SOCKET_IFNAME"] == "eth0"
    assert found[0].run == run
    assert not {"RAY_TOKEN", "UNRELATED"} & set(found[0].env)
    assert found[0].ppid == os.getpid()
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    assert found[0].start == int(stat[19])
    assert found[0].nofile is not None
    assert found[0].nofile > 0


def test_procs_finds_by_argument_and_never_itself(sh: Sh, sleeper):
    word = f"marker-{uuid.uuid4().hex[:8]}"
    process = sleeper(f"serve {word}")
    found = procs.parse_procs(sh(procs.procs("x", word, "no-such-word-anywhere"), HAKUNA_RUN="the-looker"))
    assert [p.pid for p in found] == [process.pid]
    assert procs.parse_procs(sh(procs.procs("x", "HAKUNA_RUN=the-looker"), HAKUNA_RUN="the-looker")) == ()


def test_procs_keeps_keys_on_the_node(sh: Sh, sleeper):
    word = f"marker-{uuid.uuid4().hex[:8]}"
    sleeper(word, "--api-keys", "sk-1", "sk-2", "--tp", "16", "--api-keys=sk-3")
    text = sh(procs.procs("x", word))
    assert "sk-" not in text
    assert procs.parse_procs(text)[0].argv[-7:] == (word, "--api-keys", "***", "***", "--tp", "16", "--api-keys=***")


def test_kill_ends_only_what_carries_the_label(sh: Sh, sleeper):
    run = f"run-{uuid.uuid4().hex[:8]}"
    mine, foreign, bare = sleeper("a", HAKUNA_RUN=run), sleeper("b", HAKUNA_RUN=f"{run}0"), sleeper("c")
    gone = sleeper("d", HAKUNA_RUN=run)
    gone.kill()
    gone.wait()
    answer = procs.parse_kill(sh(procs.kill(run, "TERM", [mine.pid, foreign.pid, bare.pid, gone.pid])))
    assert answer == {mine.pid: "killed", foreign.pid: "foreign", bare.pid: "foreign", gone.pid: "gone"}
    assert mine.wait(10) == -signal.SIGTERM
    assert foreign.poll() is None
    assert bare.poll() is None


def test_alive_knows_the_dead_and_the_undead(sh: Sh, sleeper):
    process = sleeper()
    assert procs.parse_alive(sh(procs.alive(process.pid))) is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped: a zombie
    assert procs.parse_alive(sh(procs.alive(process.pid))) is False
    process.wait()
    assert procs.parse_alive(sh(procs.alive(process.pid))) is False


# --- files ------------------------------------------------------------------------------------------------------------


def test_write_makes_the_folder_and_replaces_whole_files(sh: Sh, tmp_path: Path):
    path = tmp_path / "deep" / "er" / "rank table.json"
    for text in ("{}\n", "x" * 300_000 + "é"):
        written = table_file.parse_write(sh(table_file.write(str(path), text)))
        assert written == table_file.Written(str(path), len(text.encode()))
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(text.encode()).digest()
    assert [p.name for p in path.parent.iterdir()] == ["rank table.json"]


def test_write_never_shows_half_a_file(sh: Sh, tmp_path: Path):
    path = tmp_path / "table.json"
    texts = [c * 200_000 for c in "abcdef"]
    path.write_text(texts[0])
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(sh, table_file.write(str(path), t)) for t in texts]
        seen = {path.read_text() for _ in range(200)}
        for job in jobs:
            table_file.parse_write(job.result())
    assert seen <= set(texts)
    assert path.read_text() in texts
    assert [p.name for p in tmp_path.iterdir()] == ["table.json"]


def test_write_that_fails_says_so(sh: Sh, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UnparsedError):
        table_file.parse_write(sh(table_file.write(str(tmp_path / "file" / "table.json"), "{}")))


def test_remove_takes_files_and_empty_folders_only(sh: Sh, tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").touch()
    (tmp_path / "link").symlink_to(tmp_path / "full")
    paths = [str(tmp_path / n) for n in ("file", "empty", "full", "link", "absent")]
    answer = table_file.parse_remove(sh(table_file.remove(paths)))
    assert answer.removed == (paths[0], paths[1], paths[3])
    assert answer.left == (paths[2],)
    assert answer.absent == (paths[4],)
    assert (tmp_path / "full" / "kept").exists()


@pytest.mark.parametrize("shared", [False, True])
def test_the_own_folder_goes_with_the_last_file_in_it(tmp_path: Path, shared: bool):
    own = tmp_path / "own"
    own.mkdir()
    files = [own / "table.json", *([own / "neighbour"] if shared else [])]
    for file in files:
        file.touch()
    text = scripts.TEXTS["remove"].replace(table_file.OWN_FOLDER, str(own))
    words = ["sh", "-c", text, "hakuna-remove", str(own), str(own / "table.json")]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    answer = table_file.parse_remove(said)
    assert answer.left == ()
    assert (str(own) in answer.removed) is not shared
    assert own.exists() is shared


@pytest.mark.parametrize(
    "parse",
    [
        host.parse_hostname,
        host.parse_tools,
        host.parse_tcp,
        host.parse_lease,
        procs.parse_procs,
        procs.parse_alive,
        procs.parse_kill,
        table_file.parse_write,
        table_file.parse_remove,
        versions.parse_cann,
    ],
)
@pytest.mark.parametrize("text", ["", "sh: syntax error", "process 1 2 3\narg x\n", "22 open\n", "hostname a\n"])
def test_a_script_that_was_cut_or_failed_is_no_fact(parse, text: str):
    with pytest.raises(UnparsedError):
        parse(text)


def test_procs_with_fewer_processes_than_announced_is_no_fact():
    with pytest.raises(UnparsedError, match="2 announced, 1 listed"):
        procs.parse_procs("process 7 8 1\narg x\nlimit nofile unlimited\nend\nprocs-end 2\n")
