# SPDX-License-Identifier: Apache-2.0
"""One HTTP request over real sockets, to services that behave and to ones that do not."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hakuna.evidence import HttpRequest
from hakuna.transports import http as transports_http
from hakuna.transports.http import base_url, send
from support.sshd import free_port

Serve = Callable[..., str]


class Script:
    """What a raw service does: bytes are sent, numbers are waits in seconds; ``seen`` is the request."""

    def __init__(self, *steps: bytes | float) -> None:
        self.steps = steps
        self.seen = b""
        self.over = threading.Event()

    def play(self, made: socket.socket) -> None:
        with made:
            made.settimeout(10)
            while b"\r\n\r\n" not in self.seen:
                data = made.recv(65536)
                if not data:
                    return
                self.seen += data
            for step in self.steps:
                if isinstance(step, bytes):
                    made.sendall(step)
                elif self.over.wait(step):
                    return


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a service that plays a script once; gives its URL."""
    listeners: list[socket.socket] = []
    scripts: list[Script] = []
    threads: list[threading.Thread] = []

    def start(script: Script) -> str:
        listener = socket.create_server(("127.0.0.1", 0))

        def once() -> None:
            try:
                made, _ = listener.accept()
                script.play(made)
            except OSError:
                return  # the client went away, or the test is over

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        listeners.append(listener)
        scripts.append(script)
        threads.append(thread)
        return base_url("127.0.0.1", listener.getsockname()[1])

    yield start
    for script in scripts:
        script.over.set()
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(5)


def request(**more: Any) -> HttpRequest:
    return dataclasses.replace(HttpRequest("x", "node-a", 1, deadline=10), **more)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def test_an_answer_comes_back_with_the_key_sent(serve: Serve) -> None:
    script = Script(HEAD + b"Content-Length: 5\r\n\r\nhello")
    answer = send(request(path="/v1/models"), serve(script), "the-key")
    assert (answer.status, answer.body, answer.error) == (200, b"hello", "")
    assert answer.headers["Content-Type"] == "text/plain"
    assert 0 < answer.first_byte <= answer.seconds
    assert answer.chunks == ()
    assert script.seen.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"Authorization: Bearer the-key\r\n" in script.seen


def test_the_key_stays_here_unless_asked_for(serve: Serve) -> None:
    script = Script(HEAD + b"Content-Length: 0\r\n\r\n")
    assert send(request(authorize=False), serve(script), "the-key").status == 200
    assert b"the-key" not in script.seen


def test_a_body_is_sent_as_json(serve: Serve) -> None:
    script = Script(HEAD + b"Content-Length: 0\r\n\r\n")
    send(request(method="POST", body=b"{}", headers={"X-Other": "1"}), serve(script), "")
    assert b"Content-Type: application/json\r\n" in script.seen
    assert b"X-Other: 1\r\n" in script.seen
    assert b"Authorization" not in script.seen


@pytest.mark.parametrize("chunked", [True, False])
def test_a_stream_s_chunks_carry_their_times(serve: Serve, chunked: bool) -> None:
    parts = [b"data: one\n\n", b"data: two\n\n", b"data: three\n\n"]
    if chunked:
        frames = [b"%x\r\n%b\r\n" % (len(p), p) for p in parts]
        head, end = HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n"
    else:
        frames, head, end = parts, HEAD + b"Connection: close\r\n\r\n", b""
    script = Script(head, frames[0], 0.2, frames[1], 0.2, frames[2], end)
    answer = send(request(stream=True), serve(script), "")
    assert [data for _, data in answer.chunks] == parts
    assert answer.body == b"".join(parts)
    times = [at for at, _ in answer.chunks]
    assert times[1] - times[0] > 0.1
    assert times[2] - times[1] > 0.1
    assert answer.first_byte == times[0] < 0.15
    assert answer.seconds >= times[2]
    assert answer.error == ""


def test_a_refused_connection_is_said_in_words() -> None:
    answer = send(request(), base_url("127.0.0.1", free_port()), "")
    assert (answer.status, answer.error) == (0, "refused: nothing listens on that port")


def test_an_unknown_name_is_said_in_words() -> None:
    answer = send(request(), "http://no-such-host.invalid:1", "")
    assert answer.status == 0
    assert answer.error.startswith("unknown name")


@pytest.mark.parametrize("steps", [(60.0,), (HEAD, *([b"X: y\r\n", 0.1] * 100))], ids=["silent", "trickling head"])
def test_the_deadline_bounds_the_wait_for_an_answer(serve: Serve, steps: tuple[bytes | float, ...]) -> None:
    start = time.monotonic()
    answer = send(request(deadline=0.5), serve(Script(*steps)), "")
    assert time.monotonic() - start < 3
    assert answer.status == 0
    assert answer.error.startswith("timeout: no ")


def test_the_deadline_bounds_a_trickling_body_and_keeps_what_came(serve: Serve) -> None:
    script = Script(HEAD + b"Content-Length: 1000\r\n\r\n", *([b"x", 0.1] * 100))
    start = time.monotonic()
    answer = send(request(deadline=0.6), serve(script), "")
    assert time.monotonic() - start < 3
    assert answer.status == 200
    assert answer.error == "timeout: no end within 0.6 s"
    assert 1 <= len(answer.body) < 20
    assert set(answer.body) == {ord("x")}


@pytest.mark.parametrize(
    "start", [HEAD + b"Content-Length: 100\r\n\r\nonly", HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n"]
)
def test_an_answer_that_breaks_off_is_an_error_and_not_a_short_answer(serve: Serve, start: bytes) -> None:
    answer = send(request(), serve(Script(start)), "")
    assert answer.status == 200
    assert answer.body == b"only"
    assert answer.error


def test_a_connection_closed_without_an_answer_is_an_error(serve: Serve) -> None:
    answer = send(request(), serve(Script()), "")
    assert answer.status == 0
    assert answer.error


def test_what_is_not_http_is_an_error(serve: Serve) -> None:
    answer = send(request(), serve(Script(b"SSH-2.0-OpenSSH_9.2\r\n")), "")
    assert answer.status == 0
    assert answer.error


def test_an_endless_answer_is_cut(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports_http, "BODY_LIMIT", 1000)
    answer = send(request(), serve(Script(HEAD + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)), "")
    assert len(answer.body) <= 1000
    assert "longer than 1000 bytes" in answer.error


def test_the_environment_s_proxies_are_not_used_and_redirects_not_followed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    script = Script(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    answer = send(request(), serve(script), "the-key")
    assert (answer.status, answer.error) == (302, "")


def test_a_key_that_no_header_can_hold_is_an_error_that_does_not_show_it() -> None:
    answer = send(request(), base_url("127.0.0.1", free_port()), "bad\nkey")
    assert answer.status == 0
    assert answer.error
    assert "bad\nkey" not in answer.error
    assert "bad\\nkey" not in answer.error


def test_ipv6_hosts_stand_in_brackets() -> None:
    assert base_url("fd00::1", 23333) == "http://[fd00::1]:23333"
    assert base_url("10.0.0.1", 23333) == "http://10.0.0.1:23333"
