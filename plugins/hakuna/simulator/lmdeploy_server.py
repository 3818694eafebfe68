# SPDX-License-Identifier: Apache-2.0
"""The simulated ``lmdeploy serve api_server``: a real HTTP server with LMDeploy's routes and no model.

It runs as a process of its own, started by path (``python -I -S lmdeploy_server.py ...``), and loads only the standard
library, so that it answers soon. What it prints goes where its streams go, as LMDeploy's log does. It ends on
SIGTERM, when nobody asked for ``--idle`` seconds, and when the ``--guard`` file is gone.

API keys come in the environment (``HAKUNA_SIM_API_KEYS``, one per line), never as arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING or __package__:
    from hakuna.simulator import lmdeploy_server_answers as answers
    from hakuna.simulator import lmdeploy_server_bodies as bodies
    from hakuna.simulator import lmdeploy_server_wire as wire
    from hakuna.simulator.lmdeploy_server_release import Release
else:  # started by path: the siblings are found beside it, after the standard library
    HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # pathlib costs start-up time
    sys.path += [HERE, os.path.dirname(HERE)]  # noqa: PTH120  # likewise; the table of releases is in the latter
    import lmdeploy_server_answers as answers
    import lmdeploy_server_bodies as bodies
    import lmdeploy_server_wire as wire
    from lmdeploy_server_release import Release

KEYS_VARIABLE = "HAKUNA_SIM_API_KEYS"
BODY_LIMIT = 8_000_000
_BACKLOG = 2048  # uvicorn's own


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "uvicorn"
    sys_version = ""
    timeout = 75
    server: Server

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Uvicorn's access log is written by _send; the base class's lines are not."""

    def version_string(self) -> str:
        return "uvicorn"

    def _serve(self, method: str) -> None:
        service = self.server.service
        service.last_request = time.monotonic()
        service.served += 1
        path = urlsplit(self.path).path
        try:
            raw = self._raw_body()
            # The middleware stands before the routes; a key that only routes ask for stands behind them.
            key = wire.key_answer(service.release, path, self.headers.get("authorization", ""), service.keys)
            missing = wire.route_answer(service.release, method, path)
            refused = (key or missing) if service.release.key_middleware else (missing or key)
            if refused:
                self._send(refused)
            elif method == "GET":
                self._send(self._get(path))
            else:
                self._post(path, raw)
        except wire.RefusedError as refused:
            self._send(refused.answer)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went away

    def _raw_body(self) -> bytes:
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            self.close_connection = True
            raise wire.RefusedError(wire.error(400, "There was an error parsing the body"))
        return self.rfile.read(int(length))

    def _get(self, path: str) -> wire.Answer:
        service = self.server.service
        if path == "/health":
            return self._health()
        if path.startswith("/metrics"):
            lines = f"# TYPE lmdeploy_num_requests_total counter\nlmdeploy_num_requests_total {service.served}\n"
            return wire.Answer(200, lines.encode(), "text/plain; version=0.0.4; charset=utf-8")
        if path == "/v1/models" and service.answered and "model-list-fails" in service.faults:
            return wire.error(500, "Internal Server Error", "server_error")
        listed = "another-model" if "model-not-listed" in service.faults else service.model
        return wire.page(service.release, listed, path)

    def _health(self) -> wire.Answer:
        """The engine's state; faults show only after the first answer, when the server has been found ready."""
        service = self.server.service
        if service.answered and "engine-asleep" in service.faults:
            return wire.Answer.json(200, {"status": "sleeping"})
        state = "unhealthy" if service.answered and "engine-unhealthy" in service.faults else service.state
        return wire.health(service.release, state)

    def _post(self, path: str, raw: bytes) -> None:
        service = self.server.service
        if "dies-of-bad-input" in service.faults and not raw.rstrip().endswith(b"}"):
            service.state = "unhealthy"
        body = bodies.read_body(service.release, path, self.headers.get("content-type", ""), raw)
        known = (service.model, str(body.get("model"))) if "accepts-anything" in service.faults else (service.model,)
        wire.check_values(service.release, path, body, known)
        if path == "/v1/encode":
            self._send(answers.encoded(body))
            return
        stopped = None if service.state == "healthy" else wire.stopped_answer(service.release, path)
        if stopped:
            raise wire.RefusedError(stopped)
        if path == "/generate":
            self._send(answers.generated(service, body))
            return
        chat = path == "/v1/chat/completions"
        self._fail(body, chat=chat)
        service.answered = True
        made = answers.complete(service, body, chat=chat)
        if not body.get("stream"):
            time.sleep(service.token_seconds * len(made.generation.pieces))  # what generating takes
            self._send(wire.Answer.json(200, made.whole()))
            return
        self._start(200, "text/event-stream; charset=utf-8", None)
        options = body.get("stream_options")
        if "slow-first-token" in service.faults:
            time.sleep(0.4)  # the fault itself
        if "stream-error" in service.faults:
            self._event(json.loads(wire.error(500, "engine stopped", "server_error").body))
        for event in made.events(with_usage=isinstance(options, dict) and bool(options.get("include_usage"))):
            time.sleep(service.token_seconds)  # what generating takes
            self._event(event)
        if "stream-cut" not in service.faults:
            self._chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _fail(self, body: wire.Json, *, chat: bool) -> None:
        """What a fault makes of a request that is in order; the one token of a readiness check still comes."""
        service = self.server.service
        if int(body.get("max_tokens") or 16) <= 1:
            return
        if "engine-dies-in-request" in service.faults:
            service.state = "unhealthy"
            raise wire.RefusedError(wire.error(500, "The engine has stopped.", "server_error"))
        refused = body.get("stream") and "stream-refused" in service.faults
        if refused or ("chat-fails" if chat else "completions-fail") in service.faults:
            raise wire.RefusedError(wire.error(500, "Internal Server Error", "server_error"))

    def _event(self, data: wire.Json) -> None:
        self._chunk(b"data: " + json.dumps(data, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _send(self, answer: wire.Answer) -> None:
        self._start(answer.status, answer.kind, len(answer.body), answer.headers)
        self.wfile.write(answer.body)

    def _start(self, status: int, kind: str, length: int | None, more: Sequence[tuple[str, str]] = ()) -> None:
        self.send_response(status)
        if length is None:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(length))
        if kind:
            self.send_header("content-type", kind)
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()
        if self.server.service.access_log:
            client = f"{self.client_address[0]}:{self.client_address[1]}"
            say(f'INFO:     {client} - "{self.command} {_printable(self.path)} HTTP/1.1" {status}')


def _printable(path: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in path[:200])


class Server(ThreadingHTTPServer):
    """The listening socket is bound before the model "loads" and listens after: until then connections are refused."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, bound: socket.socket, service: answers.Service) -> None:
        super().__init__(bound.getsockname()[:2], Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.service = service

    def handle_error(self, request: object, client_address: object) -> None:
        """Uvicorn's words instead of a traceback of the standard library's server."""
        del request, client_address
        kind = sys.exc_info()[0]
        if kind is None or not issubclass(kind, ConnectionError):
            say(f"ERROR:    Exception in ASGI application: {sys.exc_info()[1]!r}")


def say(line: str) -> None:
    """Print one line of the log at once."""
    with contextlib.suppress(OSError):  # a full disk or a closed pipe does not stop a server
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet.

    Raises:
        OSError: the port is taken, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _play(story: str) -> tuple[str, int]:
    """Print the lines of the story file as their times come; give its ending and exit code."""
    if not story:
        return "serve", 0
    with open(story, encoding="utf-8") as file:  # noqa: PTH123  # pathlib costs start-up time
        told = json.load(file)
    os.unlink(story)  # noqa: PTH108  # see above
    for delay, line in told["lines"]:
        time.sleep(delay)  # what loading takes
        if line:
            say(line.replace("{time}", _now()))
    return told["ending"], told.get("code", 0)


def _now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f",{int(seconds % 1 * 1000):03d}"


def _watch(service: answers.Service, idle: float, guard: str) -> None:
    """End the process when nobody needs it any more."""
    while True:
        time.sleep(0.5)  # idleness is a time, and a file that goes away is no event
        if time.monotonic() - service.last_request > idle or (guard and not os.path.exists(guard)):  # noqa: PTH110
            os._exit(0)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="lmdeploy_server.py", allow_abbrev=False)
    made.add_argument("--lmdeploy-version", default="0.14.0")
    made.add_argument("--model", default="/models/model")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=0)
    made.add_argument("--fd", type=int, default=-1, help="a bound socket, inherited; instead of --host and --port")
    made.add_argument("--port-file", default="", help="where to write the real port")
    made.add_argument("--shown-port", type=int, default=0, help="the port that the log names")
    made.add_argument("--story", default="", help="JSON: the log of the start and how it ends")
    made.add_argument("--initializing", type=float, default=0.0, help="seconds of /health 503 after the port opens")
    made.add_argument("--idle", type=float, default=600.0, help="seconds without a request after which it ends")
    made.add_argument("--guard", default="", help="a file whose removal ends the server")
    made.add_argument("--die-after", type=float, default=0.0, help="seconds of service after which the engine is lost")
    made.add_argument("--engine-stopped", action="store_true", help="the engine is lost from the beginning")
    made.add_argument("--token-seconds", type=float, default=0.0)
    made.add_argument("--fault", action="append", default=[], help="a fault of the catalogue, by its name")
    made.add_argument("--no-access-log", action="store_true")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; the exit code."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    bound = socket.socket(fileno=options.fd) if options.fd >= 0 else bind(options.host, options.port)
    if options.port_file:
        with open(options.port_file + ".new", "w", encoding="ascii") as file:  # noqa: PTH123  # see _play
            file.write(f"{bound.getsockname()[1]}\n")
        os.replace(options.port_file + ".new", options.port_file)  # noqa: PTH105  # see _play
    faults = frozenset(options.fault)
    keys = tuple(key for key in os.environ.pop(KEYS_VARIABLE, "").split("\n") if key)
    service = answers.Service(
        Release(options.lmdeploy_version),
        options.model,
        () if "key-not-asked" in faults else keys,
        faults,
        max(options.token_seconds, 0.02 if "slow-tokens" in faults else 0.0),
        not options.no_access_log,
    )
    threading.Thread(target=_watch, args=(service, options.idle, options.guard), daemon=True).start()
    ending, code = _play(options.story)
    if ending == "exit":
        return int(code)
    if ending == "hang":
        threading.Event().wait()
    server = Server(bound, service)
    bound.listen(_BACKLOG)
    shown = options.shown_port or bound.getsockname()[1]
    for line in (
        f"Started server process [{os.getpid()}]",
        "Waiting for application startup.",
        "Application startup complete.",
        f"Uvicorn running on http://0.0.0.0:{shown} (Press CTRL+C to quit)",
    ):
        say(f"INFO:     {line}")
    _later(
        options.initializing, lambda: setattr(service, "state", "unhealthy" if options.engine_stopped else "healthy")
    )
    if options.die_after:
        _later(options.die_after, lambda: setattr(service, "state", "unhealthy"))
    server.serve_forever(poll_interval=3600.0)
    return 0


def _later(seconds: float, action: Any) -> None:
    if seconds <= 0:
        action()
        return
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
