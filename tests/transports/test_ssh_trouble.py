# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between the controller and a node, each seen as what it is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hakuna.evidence import Batch, Command, Ending, NodeAnswer, NodeTrouble, Trouble
from hakuna.transports import ssh
from hakuna.transports.ssh import SshTransport
from support.sshd import Sshd, free_port, keygen

HELLO = Batch((Command("hello", ("echo", "hello")),))
Connect = Callable[..., SshTransport]
MakeSshd = Callable[..., Sshd]


def hello(transport: SshTransport, node: str = "node-a") -> NodeAnswer:
    return transport.run("x", {node: HELLO})[node]


def troubled(transport: SshTransport, node: str = "node-a") -> NodeTrouble:
    answer = hello(transport, node)
    assert answer.trouble is not None
    assert {o.ending for o in answer.outcomes.values()} == {Ending.NOT_RUN}
    return answer.trouble


def test_an_unknown_host_key_is_refused_with_its_fingerprint_and_the_command(
    sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    empty = tmp_path / "known hosts"
    trouble = troubled(connect(sshd.node(known_hosts=str(empty))))
    assert trouble.kind is Trouble.HOST_KEY
    assert "ssh-ed25519" in trouble.detail
    assert sshd.fingerprint in trouble.detail
    assert sshd.fingerprint in trouble.fix
    assert trouble.fix.endswith(f"ssh-keyscan -p {sshd.port} 127.0.0.1 >> '{empty}'")
    assert not empty.exists()


def test_the_key_belongs_into_the_user_s_file_when_the_inventory_names_none(sshd: Sshd, connect: Connect) -> None:
    trouble = troubled(connect(sshd.node(known_hosts="")))
    assert trouble.fix.endswith(f"ssh-keyscan -p {sshd.port} 127.0.0.1 >> ~/.ssh/known_hosts")


def test_a_changed_host_key_is_refused_whatever_the_inventory_accepts(
    sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    other = keygen(tmp_path / "other")
    file = tmp_path / "known_hosts"
    file.write_text(f"[127.0.0.1]:{sshd.port} {Path(f'{other}.pub').read_text()}")
    for setting in ("verify", "accept-unknown"):
        trouble = troubled(connect(sshd.node(known_hosts=str(file), host_key=setting)))
        assert trouble.kind is Trouble.HOST_KEY
        assert "has changed" in trouble.detail
        assert sshd.fingerprint in trouble.detail
        assert trouble.detail.count("SHA256:") == 2
        assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}' -f {file}" in trouble.fix


def test_a_revoked_host_key_is_refused(sshd: Sshd, connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(sshd.known_hosts.read_text() + f"@revoked * {sshd.public_key}\n")
    trouble = troubled(connect(sshd.node(known_hosts=str(file))))
    assert trouble.kind is Trouble.HOST_KEY
    assert "revoked" in trouble.detail


def test_accept_unknown_takes_a_first_key_but_only_that_one(
    make_sshd: MakeSshd, connect: Connect, tmp_path: Path
) -> None:
    server = make_sshd()
    transport = connect(server.node(known_hosts=str(tmp_path / "none"), host_key="accept-unknown"))
    assert hello(transport).trouble is None
    server.stop()
    Path(server.host_key).unlink()
    Path(f"{server.host_key}.pub").unlink()
    keygen(server.host_key)
    server.start()
    trouble = troubled(transport)
    assert trouble.kind is Trouble.HOST_KEY
    assert "has changed" in trouble.detail


def test_a_refused_login_says_what_was_tried_and_is_not_tried_again(
    make_sshd: MakeSshd, connect: Connect, tmp_path: Path
) -> None:
    server = make_sshd()
    stranger = keygen(tmp_path / "stranger")
    transport = connect(server.node(key=str(stranger)))
    trouble = troubled(transport)
    assert trouble.kind is Trouble.AUTH
    assert f"key file {stranger}" in trouble.detail
    assert f"ssh-copy-id -p {server.port}" in trouble.fix
    connections = server.log.read_text().count("Connection from")
    assert troubled(transport) == trouble
    assert server.log.read_text().count("Connection from") == connections


def test_a_missing_key_file_is_a_refused_login(sshd: Sshd, connect: Connect, tmp_path: Path) -> None:
    trouble = troubled(connect(sshd.node(key=str(tmp_path / "none"))))
    assert trouble.kind is Trouble.AUTH
    assert str(tmp_path / "none") in trouble.detail


def test_a_port_where_nothing_listens_is_unreachable(connect: Connect) -> None:
    port = free_port()
    transport = connect({"name": "a", "address": "127.0.0.1", "node_ip": "127.0.0.1", "ssh": {"port": port}})
    trouble = troubled(transport, "a")
    assert trouble.kind is Trouble.UNREACHABLE
    assert f"[127.0.0.1]:{port}" in trouble.detail
    assert "connection refused" in trouble.detail


def test_an_unknown_name_is_unreachable(connect: Connect) -> None:
    trouble = troubled(connect({"name": "a", "address": "no-such-host.invalid", "node_ip": "10.0.0.1"}), "a")
    assert trouble.kind is Trouble.UNREACHABLE
    assert "unknown name" in trouble.detail


@pytest.fixture
def blackhole() -> Iterator[int]:
    """A port that answers no connection: its backlog is full and nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def test_a_dead_host_costs_one_connect_timeout_for_the_whole_run(blackhole: int, sshd: Sshd, connect: Connect) -> None:
    dead = {
        "name": "dead",
        "address": "127.0.0.1",
        "node_ip": "127.0.0.1",
        "ssh": {"port": blackhole, "connect_timeout": 1},
    }
    transport = connect(sshd.node(), dead)
    start = time.monotonic()
    answers = transport.run("first", {"node-a": HELLO, "dead": HELLO})
    first = time.monotonic() - start
    assert answers["node-a"].outcomes["hello"].ok
    assert answers["dead"].trouble is not None
    assert answers["dead"].trouble.kind is Trouble.UNREACHABLE
    assert "no answer within 1 s" in answers["dead"].trouble.detail
    assert 0.9 <= first < 5
    start = time.monotonic()
    for _ in range(20):
        assert transport.run("later", {"dead": HELLO})["dead"].trouble == answers["dead"].trouble
    assert time.monotonic() - start < 1


def test_a_host_that_takes_connections_but_says_nothing_is_unreachable(connect: Connect) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(5)
        node = {
            "name": "a",
            "address": "127.0.0.1",
            "node_ip": "127.0.0.1",
            "ssh": {"port": mute.getsockname()[1], "connect_timeout": 0.5},
        }
        trouble = troubled(connect(node), "a")
    assert trouble.kind is Trouble.UNREACHABLE
    assert "no sshd answers within 0.5 s" in trouble.detail


def test_an_sshd_that_takes_two_logins_at_a_time_serves_many_nodes(make_sshd: MakeSshd, connect: Connect) -> None:
    server = make_sshd("MaxStartups 2:100:2")
    names = [f"node-{i}" for i in range(16)]
    answers = connect(*(server.node(n) for n in names)).run("x", dict.fromkeys(names, HELLO))
    assert {n: a.trouble for n, a in answers.items() if a.trouble} == {}
    # It did refuse some: this is what the patience is for.
    assert "MaxStartups" in server.log.read_text()


def test_an_sshd_that_keeps_hanging_up_is_busy(connect: Connect) -> None:
    hung_up = 0
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)

        def hang_up() -> None:
            nonlocal hung_up
            while True:
                try:
                    made, _ = listener.accept()
                except OSError:
                    return
                made.close()
                hung_up += 1

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        node = {"name": "a", "address": "127.0.0.1", "node_ip": "127.0.0.1", "ssh": {"port": listener.getsockname()[1]}}
        trouble = troubled(connect(node, patience=0.5), "a")
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert trouble.kind is Trouble.BUSY
    assert "MaxStartups" in trouble.fix
    assert hung_up >= 2


def test_an_sshd_with_one_session_serves_batches_side_by_side(make_sshd: MakeSshd, connect: Connect) -> None:
    transport = connect(make_sshd("MaxSessions 1").node())
    slow = Batch((Command("hello", ("sleep", "0.4")),))
    answers: list[NodeAnswer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(transport.run("x", {"node-a": slow})["node-a"]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.trouble for a in answers] == [None] * 4
    # And in a row: a session that is closing still counts.
    assert [hello(transport).trouble for _ in range(5)] == [None] * 5


def test_an_sshd_without_sessions_is_busy(make_sshd: MakeSshd, connect: Connect) -> None:
    trouble = troubled(connect(make_sshd("MaxSessions 0").node(), patience=0.5))
    assert trouble.kind is Trouble.BUSY
    assert "MaxSessions" in trouble.fix


def test_a_killed_sshd_keeps_what_had_reported(make_sshd: MakeSshd, connect: Connect, tmp_path: Path) -> None:
    server = make_sshd()
    transport = connect(server.node())
    mark = tmp_path / "started"
    batch = Batch(
        (
            Command("quick", ("echo", "quick"), lane="a"),
            Command(
                "slow", ("sh", "-c", 'sleep 0.7; touch "$1"; exec sleep 60', "x", str(mark)), lane="a", deadline=100
            ),
            Command("later", ("echo", "later"), lane="a"),
        )
    )
    found: dict[str, Any] = {}
    thread = threading.Thread(target=lambda: found.update(transport.run("x", {"node-a": batch})))
    thread.start()
    _wait(mark.exists)
    assert server.kill_sessions() > 0
    thread.join(20)
    assert not thread.is_alive()
    answer = found["node-a"]
    assert answer.trouble.kind is Trouble.CUT
    assert "connection was lost" in answer.trouble.detail
    assert answer.outcomes["quick"].text == "quick\n"
    assert answer.outcomes["slow"].ending is Ending.LOST
    assert answer.outcomes["later"].ending is Ending.LOST
    # The next batch gets a connection of its own.
    assert hello(transport).outcomes["hello"].ok


def test_an_idle_connection_that_died_is_opened_again(make_sshd: MakeSshd, connect: Connect) -> None:
    server = make_sshd()
    transport = connect(server.node())
    assert hello(transport).trouble is None
    assert server.kill_sessions() > 0
    assert hello(transport).trouble is None


def test_a_killed_shell_is_a_cut_batch(sshd: Sshd, connect: Connect) -> None:
    # The parent of a command's lane is the batch's own shell.
    kill = 'for p in $(cat /proc/$PPID/task/*/children /proc/$(cut -d" " -f4 /proc/$PPID/stat)/task/*/children); do [ $p = $$ ] || kill -9 $p; done; sleep 30'
    batch = Batch((Command("kills", ("sh", "-c", kill), deadline=3), Command("x", ("echo", "x"))))
    answer = connect(sshd.node()).run("x", {"node-a": batch})["node-a"]
    assert answer.trouble is not None
    assert answer.trouble.kind is Trouble.CUT
    assert "shell was ended in the middle" in answer.trouble.detail
    assert {o.ending for o in answer.outcomes.values()} == {Ending.LOST}


def test_an_account_without_a_shell_is_a_cut_before_anything_ran(make_sshd: MakeSshd, connect: Connect) -> None:
    server = make_sshd("ForceCommand echo This account is currently not available.; exit 1")
    answer = hello(connect(server.node()))
    assert answer.trouble is not None
    assert answer.trouble.kind is Trouble.CUT
    assert "before the batch began" in answer.trouble.detail
    assert "This account is currently not available." in answer.trouble.detail
    assert answer.outcomes["hello"].ending is Ending.NOT_RUN


def test_a_node_without_room_for_output_is_trouble(make_sshd: MakeSshd, connect: Connect) -> None:
    answer = hello(connect(make_sshd(environment={"TMPDIR": "/proc/none"}).node()))
    assert answer.trouble is not None
    assert answer.trouble.kind is Trouble.CUT
    assert "can not keep the output" in answer.trouble.detail
    assert "df -h" in answer.trouble.fix
    assert answer.outcomes["hello"].ending is Ending.NOT_RUN


def test_a_node_that_stops_answering_is_given_up_at_the_batch_s_limit(
    make_sshd: MakeSshd, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "batch_limit", lambda _batch: 1.5)
    transport = connect(make_sshd().node())
    batch = Batch((Command("quick", ("echo", "x")), Command("slow", ("sleep", "60"), deadline=100)))
    answer = transport.run("x", {"node-a": batch})["node-a"]
    assert answer.trouble is not None
    assert answer.trouble.kind is Trouble.DEADLINE
    assert answer.outcomes["quick"].ok
    assert answer.outcomes["slow"].ending is Ending.LOST
    assert answer.received - answer.sent < 10


def test_a_node_that_falls_silent_is_given_up_long_before_the_limit(
    make_sshd: MakeSshd, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "SILENCE", 1.0)  # less than the time between two signs of life
    batch = Batch((Command("slow", ("sleep", "60"), deadline=1000),))
    answer = connect(make_sshd().node()).run("x", {"node-a": batch})["node-a"]
    assert answer.trouble is not None
    assert answer.trouble.kind is Trouble.DEADLINE
    assert "fell silent" in answer.trouble.detail


def test_a_jump_host_that_can_not_reach_the_node_says_so(sshd: Sshd, connect: Connect) -> None:
    port = free_port()
    node = sshd.node(port=port, jump=f"{sshd.user}@127.0.0.1:{sshd.port}")
    trouble = troubled(connect(node))
    assert trouble.kind is Trouble.UNREACHABLE
    assert f"[127.0.0.1]:{port} is not reached through jump host" in trouble.detail


def test_a_dead_jump_host_is_every_node_s_trouble_once(blackhole: int, sshd: Sshd, connect: Connect) -> None:
    nodes = [sshd.node(f"node-{i}", jump=f"127.0.0.1:{blackhole}", connect_timeout=1) for i in range(4)]
    start = time.monotonic()
    answers = connect(*nodes).run("x", {f"node-{i}": HELLO for i in range(4)})
    assert time.monotonic() - start < 3
    for answer in answers.values():
        assert answer.trouble is not None
        assert answer.trouble.kind is Trouble.UNREACHABLE
        assert f"jump host 127.0.0.1:{blackhole}" in answer.trouble.detail


def _wait(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_node_that_is_out_of_reach_between_two_batches_is_found_out_once(
    make_sshd: MakeSshd, connect: Connect
) -> None:
    """Its connection still counts as open here. Every later batch gets the trouble at once."""
    sshd = make_sshd()
    transport = connect(sshd.node(connect_timeout=1))
    assert hello(transport).trouble is None
    with sshd.frozen():
        begun = time.monotonic()
        trouble = troubled(transport)
        assert trouble.kind is Trouble.UNREACHABLE
        assert "no sshd answers within 1 s" in trouble.detail
        assert time.monotonic() - begun < 8
        assert troubled(transport) == trouble
        assert time.monotonic() - begun < 8
