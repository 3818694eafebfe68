# SPDX-License-Identifier: Apache-2.0
"""The simulated transport: batches, trouble, and HTTP to a real port."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hakuna.evidence import Batch, Command, Ending, HttpRequest, Trouble
from hakuna.simulator.faults import parse_faults
from hakuna.simulator.state import section
from hakuna.transports.simulated import SimulatedTransport


@pytest.fixture
def transport(inventory):
    def build(*faults, state_path=None, **more):
        made = inventory(**more)
        return SimulatedTransport(made, state_path=state_path, faults=parse_faults(faults, made))

    return build


def batch(*commands):
    return Batch(tuple(Command(c, tuple(c.split())) for c in commands))


def test_every_command_of_every_node_is_answered(transport):
    answers = transport().run("host", {n: batch("hostname", "nonsense") for n in ("node-a", "node-b")})
    assert {n: a.outcomes["hostname"].text for n, a in answers.items()} == {"node-a": "node-a\n", "node-b": "node-b\n"}
    assert all(a.trouble is None and a.sent <= a.received for a in answers.values())
    assert answers["node-a"].outcomes["nonsense"].exit_code == 127


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("dead-host", Trouble.UNREACHABLE),
        ("host-key-changed", Trouble.HOST_KEY),
        ("login-refused", Trouble.AUTH),
        ("connection-cut", Trouble.CUT),
    ],
)
def test_a_node_in_trouble_runs_nothing(transport, fault, kind):
    answers = transport(f"{fault}@node-b").run("host", {n: batch("hostname") for n in ("node-a", "node-b")})
    assert answers["node-a"].outcomes["hostname"].ok
    assert answers["node-b"].trouble.kind is kind
    assert answers["node-b"].outcomes["hostname"].ending is Ending.NOT_RUN


def test_a_hung_command_has_used_its_deadline(transport):
    command = Command("tls", ("hccn_tool", "-i", "3", "-tls", "-g"), deadline=7.0)
    answer = transport("hung-tool@node-b/3").run("network", {"node-b": Batch((command,))})["node-b"]
    outcome = answer.outcomes["tls"]
    assert (outcome.ending, outcome.seconds) == (Ending.TIMED_OUT, 7.0)
    assert answer.trouble is None


def test_output_beyond_the_limit_is_cut(transport):
    command = Command("conf", ("cat", "/etc/hccn.conf"), output_limit=10)
    outcome = transport().run("x", {"node-b": Batch((command,))})["node-b"].outcomes["conf"]
    assert (outcome.stdout, outcome.stdout_cut) == (b"address_0=", True)


def test_another_transport_sees_what_was_done(transport, tmp_path):
    first, second = (transport(state_path=tmp_path / "sim" / "state.json") for _ in range(2))
    run = Command("run", ("docker", "run", "-d", "--name", "c1", "image:1"), mutates=True)
    first.run("container.run", {n: Batch((run,)) for n in ("node-a", "node-b")})
    for name in ("node-a", "node-b"):
        seen = second.run("x", {name: batch("docker ps")})[name].outcomes["docker ps"]
        assert '"Names": "c1"' in seen.text


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.path} {self.headers.get('Authorization')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_http_goes_to_the_port_that_stands_for_the_nodes(transport):
    made = transport(api_key="k-1")
    with HTTPServer(("127.0.0.1", 0), _Hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with made.state.transaction() as data:
            section(data, "listeners", "node-a")["23333"] = server.server_port
        try:
            answer = made.http(HttpRequest("h", "node-a", 23333, path="/health"))
        finally:
            server.shutdown()
            thread.join()
    assert (answer.status, answer.text) == (200, "/health Bearer k-1")


def test_nothing_listens(transport):
    assert transport().http(HttpRequest("h", "node-b", 23333)).error.startswith("refused")
    assert transport("dead-host").http(HttpRequest("h", "node-b", 23333)).error.startswith("timeout")


def test_a_spawned_command_leaves_its_log(transport):
    made = transport()
    command = Command("start", ("cat", "/nowhere"), spawn_log="/tmp/log", mutates=True)
    started = made.run("x", {"node-b": Batch((command,))})["node-b"].outcomes["start"]
    assert started.text.strip().isdigit()
    log = made.run("y", {"node-b": batch("tail -c 100 /tmp/log")})["node-b"].outcomes["tail -c 100 /tmp/log"]
    assert log.text == "cat: /nowhere: No such file or directory\n"
