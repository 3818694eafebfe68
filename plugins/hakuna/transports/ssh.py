# SPDX-License-Identifier: Apache-2.0
"""The ssh transport: one connection per node for the whole run, one channel per batch."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

from hakuna.evidence import Batch, HttpAnswer, HttpRequest, NodeAnswer, NodeTrouble, Trouble
from hakuna.inventory.model import HttpRoute, Inventory, Node
from hakuna.transports import Take
from hakuna.transports.framing import (
    BATCH_MARGIN,
    HEARTBEAT,
    Decoder,
    batch_limit,
    new_nonce,
    scratch_trouble,
    script,
)
from hakuna.transports.http import base_url, send
from hakuna.transports.patience import PATIENCE, pauses
from hakuna.transports.ssh_connect import Connector, SshTroubleError, load_fabric

if TYPE_CHECKING:
    import fabric  # type: ignore[import-untyped]  # fabric ships no types
    import paramiko

#: Nodes that are talked to at the same time.
THREADS = 128
#: Seconds without even a sign of life after which a node is given up, long before a long batch's limit.
SILENCE = 12 * HEARTBEAT

_PIECE = 1 << 18
_STDERR_KEPT = 2000


class _Host:
    """One node's connection, opened when first needed and again after it was lost."""

    def __init__(self, node: Node, connector: Connector, patience: float) -> None:
        self.node = node
        self._connector = connector
        self._patience = patience
        self._lock = threading.Lock()
        self._connection: fabric.Connection | None = None
        self._given_up: SshTroubleError | None = None
        self._sessions = 0
        self._counting = threading.Lock()
        self._opening = threading.Lock()
        self._closed = threading.Event()

    def connection(self) -> fabric.Connection:
        """The open connection.

        Raises:
            SshTroubleError: there is none; at once when that is known from an earlier try.
        """
        with self._lock:
            if self._given_up is not None:
                raise self._given_up
            if self._closed.is_set():
                raise SshTroubleError(NodeTrouble(Trouble.CUT, f"{self.node.name}: the run is being ended"))
            if self._connection is not None and self._connection.is_connected:
                return self._connection
            self._connection = None
            try:
                self._connection = self._connector.connect(self.node)
            except SshTroubleError as error:
                if error.lasting:
                    self._given_up = error
                raise
            if self._closed.is_set():  # while this was connecting
                self._connection.client.close()
            transport = self._connection.transport
            # Only against idle connections being dropped on the way; silence is judged by the script's signs of life.
            transport.set_keepalive(30)
            return self._connection

    @contextlib.contextmanager
    def session(self) -> Iterator[tuple[fabric.Connection, paramiko.Channel]]:
        """A new channel of the connection, closed at the end.

        Raises:
            SshTroubleError: no connection, or its sshd keeps refusing sessions.
        """
        connection, channel = self._open_session()
        with self._counting:
            self._sessions += 1
        try:
            yield connection, channel
        finally:
            channel.close()
            with self._counting:
                self._sessions -= 1

    def _open_session(self) -> tuple[fabric.Connection, paramiko.Channel]:
        from paramiko.ssh_exception import ChannelException, SSHException  # see load_fabric

        words = ""
        while True:
            for pause in pauses(self._patience):
                connection = self.connection()
                try:
                    # One at a time: paramiko keeps one refusal per connection, whosever it is.
                    with self._opening:
                        asked = time.monotonic()
                        return connection, connection.transport.open_session(timeout=self.node.ssh.connect_timeout)
                except ChannelException as error:
                    words = error.text
                except (SSHException, EOFError, OSError) as error:
                    # Nothing has been sent yet: the connection had died since its last use, another one may do.
                    words = str(error) or type(error).__name__
                    # No answer at all: the node is out of reach, and nothing has told this end. Another connection
                    # finds out, unless a batch of ours still hears from the node by this one.
                    waited = time.monotonic() - asked
                    silent = waited >= self.node.ssh.connect_timeout * 0.9 and self._sessions <= 0
                    if silent or not connection.is_connected:
                        self.drop(connection)
                time.sleep(pause)
            if self._sessions <= 0:
                break  # otherwise a batch of our own holds the session, and it ends within its limit
        detail = f"{self.node.name}: sshd keeps refusing sessions ({words})"
        fix = "raise MaxSessions in its sshd_config; sshd -T | grep -i maxsessions shows it"
        raise SshTroubleError(NodeTrouble(Trouble.BUSY, detail, fix), lasting=False)

    def drop(self, connection: fabric.Connection) -> None:
        """Forget a connection that is of no more use."""
        with self._lock:
            if self._connection is connection:
                self._connection = None
        connection.client.close()

    def close(self) -> None:
        # Without the lock: a thread that is connecting holds it, and closing must not wait for that.
        self._closed.set()
        connection = self._connection
        if connection is not None:
            connection.client.close()


class SshTransport:
    """Carries batches over ssh to the nodes of ``inventory``, all at once.

    Connections are opened when first needed and kept. A node that can not be reached, is not who it should be or
    refuses the login is remembered: later batches get the same trouble at once. ``log`` hears of retries;
    ``patience`` is how long a busy sshd is tried again, in seconds.
    """

    def __init__(self, inventory: Inventory, *, log: logging.Logger | None = None, patience: float = PATIENCE) -> None:
        self._inventory = inventory
        self._log = log or logging.getLogger("hakuna.ssh")
        self._connector = Connector(self._log, patience)
        self._hosts = {n.name: _Host(n, self._connector, patience) for n in inventory.nodes}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @property
    def kind(self) -> str:
        return "ssh"

    def run(self, name: str, batches: Mapping[str, Batch]) -> Mapping[str, NodeAnswer]:
        """Carry one batch to each node, all at once.

        Raises:
            KeyError: a name is no node's.
            ValueError: a command can not be written for a shell (see framing.script).
        """
        answers: dict[str, NodeAnswer] = {}
        self.stream(name, batches, answers.__setitem__)
        return {node: answers[node] for node in batches}

    def stream(self, name: str, batches: Mapping[str, Batch], take: Take) -> None:
        """As :meth:`run`, but each answer goes to ``take`` as it comes, and is forgotten."""
        hosts = {node: self._hosts[node] for node in batches}
        nonces = {node: new_nonce() for node in batches}
        # All scripts first: a mistake in one is found before any is sent.
        scripts = {node: script(batch, nonces[node]) for node, batch in batches.items()}
        load_fabric()
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hakuna-ssh")
            pool = self._pool
        started = time.monotonic()
        futures = {
            pool.submit(self._carry, hosts[node], batch, scripts.pop(node), nonces[node]): node
            for node, batch in batches.items()
        }
        for future in as_completed(tuple(futures)):
            node = futures.pop(future)
            take(node, future.result())
            del future  # with its answer
        self._log.debug("batch %s to %d nodes: %.2f s", name, len(batches), time.monotonic() - started)

    def http(self, request: HttpRequest) -> HttpAnswer:
        """Send one request, straight to the node's ``node_ip`` or through its ssh connection (``server.http``)."""
        host = self._hosts[request.node]
        key = self._inventory.api_key.get_secret_value()
        if self._inventory.server.http is HttpRoute.DIRECT:
            return send(request, base_url(host.node.node_ip, request.port), key)
        from hakuna.transports.ssh_http import tunnel  # start-up budget

        load_fabric()
        return send(
            request,
            base_url("127.0.0.1", request.port),
            key,
            dial=lambda: tunnel(host.connection, request.port, min(request.deadline, host.node.ssh.connect_timeout)),
        )

    def close(self) -> None:
        """Close every connection; batches still under way end as CUT."""
        self._closing.set()
        for host in self._hosts.values():
            host.close()
        self._connector.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _carry(self, host: _Host, batch: Batch, text: bytes, nonce: str) -> NodeAnswer:
        sent = time.time()
        if not len(batch):
            return NodeAnswer({}, None, sent, sent)
        decoder = Decoder(batch, nonce)
        try:
            with host.session() as (connection, channel):
                delivered, trouble = self._converse(host, connection, channel, batch, text, decoder)
        except SshTroubleError as error:
            return NodeAnswer.unreached(batch, error.trouble, sent, time.time())
        return NodeAnswer(decoder.outcomes(sent=delivered), trouble, sent, time.time())

    def _converse(
        self,
        host: _Host,
        connection: fabric.Connection,
        channel: paramiko.Channel,
        batch: Batch,
        text: bytes,
        decoder: Decoder,
    ) -> tuple[bool, NodeTrouble | None]:
        """Send the script and read its frames. Whether the node may have the whole script, and what went wrong."""
        from paramiko.ssh_exception import SSHException  # see load_fabric

        name = host.node.name
        limit = batch_limit(batch)
        end = time.monotonic() + limit
        delivered = False
        stderr = bytearray()
        reason = ""
        try:
            channel.settimeout(min(limit, SILENCE))
            channel.exec_command("exec /bin/sh -s")
            # The closing brace is what makes the script run: before it, nothing can have started.
            channel.sendall(text[:-2])
            delivered = True
            channel.sendall(text[-2:])
            channel.shutdown_write()
            reason = self._read(channel, decoder, stderr, end)
        except TimeoutError:
            reason = "silence"
        except (SSHException, EOFError, OSError) as error:
            self._log.info("%s: %s: %s", name, type(error).__name__, error)
        if decoder.ended:
            channel.status_event.wait(1)  # a session that is closing still counts for MaxSessions
            return delivered, scratch_trouble(name, decoder.problem) if decoder.problem else None
        status = channel.exit_status if channel.exit_status_ready() else -1
        alive = connection.is_connected
        # What still runs on the node ends when its next sign of life can not be written.
        channel.close()
        if reason or not alive:
            host.drop(connection)
        if status >= 0 and alive and not decoder.begun:
            delivered = False  # a shell ended, and it was not the script's: that one begins with its mark
        return delivered, _cut_trouble(name, reason, decoder, status if alive else -1, bytes(stderr), limit)

    def _read(self, channel: paramiko.Channel, decoder: Decoder, stderr: bytearray, end: float) -> str:
        """Read until the end mark or the end of the stream; returns "deadline" or "silence" when it was neither."""
        heard = time.monotonic()
        channel.settimeout(0.5)
        while not decoder.ended:
            try:
                data = channel.recv(_PIECE)
            except TimeoutError:
                data = None
            now = time.monotonic()
            while channel.recv_stderr_ready():
                piece = channel.recv_stderr(_PIECE)
                if not piece:
                    break
                stderr += piece[: max(0, _STDERR_KEPT - len(stderr))]
            if data == b"":
                # Give the exit status, which follows the stream's end, a moment.
                channel.status_event.wait(1)
                return ""
            if data:
                heard = now
                decoder.feed(data)
            elif now >= end:
                return "deadline"
            elif now - heard >= SILENCE:
                return "silence"
        return ""


def _cut_trouble(name: str, reason: str, decoder: Decoder, status: int, stderr: bytes, limit: float) -> NodeTrouble:
    """The words for a stream that ended before its end mark."""
    done = sum(o.ending.value in ("exited", "timed-out") for o in decoder.outcomes().values())
    if reason == "deadline":
        detail = (
            f"{name}: no end within the batch's {limit:.0f} s ({BATCH_MARGIN:.0f} s beyond its commands' own deadlines)"
        )
        return NodeTrouble(
            Trouble.DEADLINE, f"{detail}; {done} commands had reported", "look at the node's load and dmesg"
        )
    if reason == "silence":
        detail = f"{name}: the node fell silent ({done} commands had reported)"
        return NodeTrouble(Trouble.DEADLINE, detail, "look at the node's network, load and dmesg")
    printed = (decoder.noise + stderr).decode("utf-8", "replace").strip()
    if status >= 0 and not decoder.begun:
        detail = (
            f"{name}: the login shell ended (status {status}) before the batch began: {printed[:300] or 'no words'}"
        )
        return NodeTrouble(Trouble.CUT, detail, "the account needs a shell that can run: exec /bin/sh -s")
    if status >= 0:
        detail = (
            f"{name}: the shell was ended in the middle of the batch (status {status}); {done} commands had reported"
        )
        return NodeTrouble(Trouble.CUT, f"{detail}{': ' + printed[:200] if printed else ''}", "dmesg | grep -i oom")
    return NodeTrouble(
        Trouble.CUT, f"{name}: the connection was lost in the middle of the batch; {done} commands had reported"
    )
