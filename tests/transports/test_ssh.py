# SPDX-License-Identifier: Apache-2.0
"""Batches and HTTP over a real sshd."""

from __future__ import annotations

import http.server
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hakuna.evidence import Batch, Command, Ending, HttpRequest, Trouble
from hakuna.inventory.model import Inventory, Node
from hakuna.transports.ssh import SshTransport
from hakuna.transports.ssh_connect import Connector, dial
from support.sshd import Sshd, free_port

HELLO = Batch((Command("hello", ("echo", "hello")),))


def test_a_batch_goes_to_all_nodes_and_comes_back(sshd: Sshd, connect: Callable[..., SshTransport]) -> None:
    transport = connect(*(sshd.node(f"node-{i}") for i in range(4)))
    batch = Batch(
        (
            Command("hello", ("printf", "%s", "quo'te $HOME\n")),
            Command("both", ("sh", "-c", "cat; echo err >&2; exit 3"), stdin=b"\0binary\xff", lane="b"),
        )
    )
    before = time.time()
    answers = transport.run("host", {f"node-{i}": batch for i in range(4)})
    assert transport.kind == "ssh"
    assert set(answers) == {f"node-{i}" for i in range(4)}
    for answer in answers.values():
        assert answer.trouble is None
        assert answer.outcomes["hello"].text == "quo'te $HOME\n"
        assert answer.outcomes["both"].stdout == b"\0binary\xff"
        assert answer.outcomes["both"].exit_code == 3
        assert before <= answer.sent <= answer.received <= time.time()


def test_the_connection_is_kept_for_later_batches(
    make_sshd: Callable[..., Sshd], connect: Callable[..., SshTransport]
) -> None:
    sshd = make_sshd()
    transport = connect(sshd.node())
    for _ in range(3):
        assert transport.run("x", {"node-a": HELLO})["node-a"].outcomes["hello"].ok
    assert sshd.log.read_text().count("Accepted publickey") == 1
    transport.close()


def test_an_empty_batch_needs_no_connection(connect: Callable[..., SshTransport]) -> None:
    transport = connect({"name": "a", "address": "127.0.0.1", "node_ip": "127.0.0.1", "ssh": {"port": free_port()}})
    answer = transport.run("x", {"a": Batch()})["a"]
    assert answer.outcomes == {}
    assert answer.trouble is None


def test_stand_ins_on_the_node_s_path_are_used(
    make_sshd: Callable[..., Sshd], connect: Callable[..., SshTransport], tmp_path: Path
) -> None:
    tools = tmp_path / "stand ins"
    tools.mkdir()
    for name in ("hccn_tool", "cat"):
        (tools / name).write_text('#!/bin/sh\necho "stand-in $*"\n')
        (tools / name).chmod(0o755)
    sshd = make_sshd(environment={"PATH": f"{tools}:/usr/bin:/bin", "HAKUNA_TEST": "a b"})
    batch = Batch(
        (
            Command("hccn", ("hccn_tool", "-i", "0", "-ip", "-g")),
            Command("cat", ("cat", "/etc/hccn.conf")),
            Command("env", ("sh", "-c", 'echo "$HAKUNA_TEST"')),
        )
    )
    answer = connect(sshd.node()).run("x", {"node-a": batch})["node-a"]
    assert answer.trouble is None
    assert answer.outcomes["hccn"].text == "stand-in -i 0 -ip -g\n"
    assert answer.outcomes["cat"].text == "stand-in /etc/hccn.conf\n"
    assert answer.outcomes["env"].text == "a b\n"


def test_a_hundred_megabytes_do_not_travel(sshd: Sshd, connect: Callable[..., SshTransport]) -> None:
    transport = connect(sshd.node())
    batch = Batch((Command("big", ("head", "-c", "100000000", "/dev/zero")), Command("next", ("echo", "next"))))
    answer = transport.run("x", {"node-a": batch})["node-a"]
    assert answer.trouble is None
    big = answer.outcomes["big"]
    assert (big.exit_code, len(big.stdout), big.stdout_cut) == (0, 1_000_000, True)
    assert answer.outcomes["next"].ok
    received = transport._hosts["node-a"].connection().transport.packetizer._Packetizer__received_bytes
    assert received < 3_000_000


def test_a_spawned_process_outlives_the_connection(
    sshd: Sshd, connect: Callable[..., SshTransport], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    transport = connect(sshd.node())
    spawn = Command("spawn", ("sh", "-c", "echo started; exec sleep 30"), spawn_log=str(log))
    answer = transport.run("x", {"node-a": Batch((spawn,))})["node-a"]
    pid = int(answer.outcomes["spawn"].text)
    transport.close()
    sshd.kill_sessions()
    try:
        assert _wait(lambda: log.read_text() == "started\n")
        assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x0030\x00"
    finally:
        subprocess.run(["kill", str(pid)], check=True)


def test_login_noise_does_not_disturb(
    make_sshd: Callable[..., Sshd], connect: Callable[..., SshTransport], tmp_path: Path
) -> None:
    (tmp_path / "banner").write_text("Authorized use only\n")
    # What a login shell's start-up files print comes before the script's own.
    sshd = make_sshd(f"Banner {tmp_path / 'banner'}", "ForceCommand echo noise; eval $SSH_ORIGINAL_COMMAND")
    answer = connect(sshd.node()).run("x", {"node-a": HELLO})["node-a"]
    assert answer.trouble is None
    assert answer.outcomes["hello"].text == "hello\n"


def test_the_user_s_ssh_configuration_is_honoured(sshd: Sshd, connect: Callable[..., SshTransport], home: Path) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host the-alias\n HostName 127.0.0.1\n Port {sshd.port}\n User {sshd.user}\n IdentityFile {sshd.user_key}\n"
        f" UserKnownHostsFile {sshd.known_hosts}\n"
    )
    transport = connect({"name": "a", "address": "the-alias", "node_ip": "127.0.0.1"})
    assert transport.run("x", {"a": HELLO})["a"].outcomes["hello"].ok


def test_jump_hosts_in_a_row_and_shared(make_sshd: Callable[..., Sshd], connect: Callable[..., SshTransport]) -> None:
    first, second, target = make_sshd(), make_sshd(), make_sshd()
    target.trust(first, second)
    jump = ",".join(f"{s.user}@127.0.0.1:{s.port}" for s in (first, second))
    transport = connect(*(target.node(f"node-{i}", jump=jump) for i in range(3)))
    answers = transport.run("x", {f"node-{i}": HELLO for i in range(3)})
    assert all(a.trouble is None and a.outcomes["hello"].ok for a in answers.values())
    assert first.log.read_text().count("Accepted publickey") == 1
    assert second.log.read_text().count("Accepted publickey") == 1
    assert target.log.read_text().count("Accepted publickey") == 3


def test_a_jump_host_of_the_ssh_configuration_is_used_and_verified(
    make_sshd: Callable[..., Sshd], connect: Callable[..., SshTransport], home: Path
) -> None:
    jump, target = make_sshd(), make_sshd()
    (home / ".ssh" / "config").write_text(
        f"Host 127.0.0.1\n IdentityFile {jump.user_key}\nHost node-alias\n HostName 127.0.0.1\n Port {target.port}\n"
        f" ProxyJump {jump.user}@127.0.0.1:{jump.port}\n"
    )
    node = {"name": "a", "address": "node-alias", "node_ip": "127.0.0.1"}
    settings = {"user": target.user, "key": str(target.user_key), "known_hosts": str(target.known_hosts)}
    trouble = connect({**node, "ssh": settings}).run("x", {"a": HELLO})["a"].trouble
    assert trouble is not None
    assert trouble.kind is Trouble.HOST_KEY
    assert jump.fingerprint in trouble.detail
    target.trust(jump)
    assert connect({**node, "ssh": settings}).run("x", {"a": HELLO})["a"].trouble is None
    assert "Accepted publickey" in jump.log.read_text()


class _Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"key": self.headers.get("Authorization"), "data": json.loads(data)}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("route", ["direct", "tunnel"])
def test_http_reaches_the_service_either_way(
    sshd: Sshd, connect: Callable[..., SshTransport], service: int, route: str
) -> None:
    transport = connect(sshd.node(), server={"http": route}, api_key="the-key")
    request = HttpRequest("x", "node-a", service, "POST", "/v1/completions", b'{"a": 1}', deadline=20)
    for _ in range(2):
        answer = transport.http(request)
        assert (answer.status, answer.error) == (201, "")
        assert json.loads(answer.body) == {"key": "Bearer the-key", "data": {"a": 1}}


def test_a_tunnel_to_a_port_where_nothing_listens_says_so(sshd: Sshd, connect: Callable[..., SshTransport]) -> None:
    transport = connect(sshd.node(), server={"http": "tunnel"})
    answer = transport.http(HttpRequest("x", "node-a", free_port(), deadline=20))
    assert answer.status == 0
    assert answer.error.startswith("refused: nothing listens on 127.0.0.1:")


def test_a_tunnel_without_a_connection_says_why(connect: Callable[..., SshTransport]) -> None:
    node = {"name": "a", "address": "127.0.0.1", "node_ip": "127.0.0.1", "ssh": {"port": free_port()}}
    answer = connect(node, server={"http": "tunnel"}).http(HttpRequest("x", "a", 1, deadline=20))
    assert answer.status == 0
    assert "connection refused" in answer.error


def run_python(program: str) -> str:
    """What a new Python prints, in which nothing is imported yet."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    return done.stdout.strip()


def test_the_ssh_libraries_are_imported_before_there_are_threads() -> None:
    # Two threads that import paramiko's circles at once: one of them sees a half-made module.
    program = (
        "import sys, hakuna.transports.ssh as s, hakuna.inventory.model as m\n"
        "from hakuna.evidence import Batch, Command\n"
        "def opened(host): print('fabric' in sys.modules, flush=True); raise s.SshTroubleError(s.NodeTrouble(s.Trouble.CUT, ''))\n"
        "s._Host._open_session = opened\n"
        "t = s.SshTransport(m.Inventory(nodes=[dict(name='a', address='a', node_ip='10.0.0.1')]))\n"
        "t.run('x', {'a': Batch((Command('c', ('true',)),))})"
    )
    assert run_python(program) == "True"


def test_a_connection_does_not_wait_for_delayed_acknowledgements() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, dial(*server.getsockname(), timeout=10) as made:
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_importing_the_transport_imports_no_ssh_library() -> None:
    program = (
        "import sys, hakuna.transports.ssh as s, hakuna.inventory.model as m;"
        "s.SshTransport(m.Inventory(nodes=[dict(name='a', address='a', node_ip='10.0.0.1')])).close();"
        "print([n for n in ('fabric', 'paramiko', 'invoke', 'requests', 'urllib3') if n in sys.modules])"
    )
    assert run_python(program) == "[]"


def test_a_name_that_is_no_node_s_is_the_caller_s_mistake() -> None:
    transport = SshTransport(Inventory(nodes=[{"name": "a", "address": "a", "node_ip": "10.0.0.1"}]))
    with pytest.raises(KeyError):
        transport.run("x", {"b": HELLO})
    transport.close()


def test_closing_ends_a_batch_under_way_as_cut(
    sshd: Sshd, connect: Callable[..., SshTransport], tmp_path: Path
) -> None:
    transport = connect(sshd.node())
    started = tmp_path / "started"
    batch = Batch((Command("x", ("sh", "-c", 'touch "$1"; exec sleep 60', "x", str(started)), deadline=100),))
    found: dict[str, Any] = {}
    thread = threading.Thread(target=lambda: found.update(transport.run("x", {"node-a": batch})))
    thread.start()
    assert _wait(started.exists)
    transport.close()
    thread.join(20)
    assert not thread.is_alive()
    assert found["node-a"].trouble.kind is Trouble.CUT
    assert found["node-a"].outcomes["x"].ending is Ending.LOST


def _wait(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_connections_share_nothing_that_fabric_rewrites(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one configuration for all, one of 64 threads now and then read it while another's connection was made."""
    connector = Connector(logging.getLogger("test"), 1.0)
    monkeypatch.setattr(
        connector, "_login", lambda _target, connection, _hops: connection.authentication.strategy_class
    )
    nodes = [Node(name=f"n{i}", address=f"n{i}", node_ip=f"10.0.0.{i + 1}") for i in range(64)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(64) as pool:
            assert len(list(pool.map(connector.connect, nodes))) == len(nodes)
    finally:
        sys.setswitchinterval(interval)
