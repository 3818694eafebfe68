# SPDX-License-Identifier: Apache-2.0
"""What is sent to a node (commands, batches, HTTP requests) and what came back (outcomes).

This is the whole vocabulary between probes, which build commands, and transports, which carry them.
A command is an argument list, never shell text; quoting is done where a transport needs it, once.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: How much of one output stream is kept by default, in bytes; the rest is dropped and marked as cut.
OUTPUT_LIMIT = 1_000_000


@dataclass(frozen=True)
class Command:
    """One command for one node.

    ``id`` names it inside its batch ("hccn.ip/3"). Commands of one ``lane`` run in order, lanes run
    side by side on the node. ``deadline`` is in seconds. ``mutates`` is true for whatever may change
    the node: transports of a read-only run refuse it. ``spawn_log`` starts the command detached, with
    both streams appended to that file on the node; its outcome's stdout is then the process id. ``bare`` is the same
    command for whoever is inside the node's container already; None where only the host itself will do. ``query``: it
    prints a little and writes no file, so what it prints may go straight into a file of limited size. That costs the
    node a third of the processes; one that prints more than ``output_limit`` is ended there. ``step_deadline``: a
    process that the command has started is killed after so many seconds, and the command goes on; 0: never. Nodes whose
    kernel does not tell a process's children (CONFIG_PROC_CHILDREN) do not keep it.
    """

    id: str
    argv: tuple[str, ...]
    deadline: float = 20.0
    lane: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    mutates: bool = False
    sudo: bool = False
    spawn_log: str = ""
    output_limit: int = OUTPUT_LIMIT
    bare: Command | None = None
    query: bool = False
    step_deadline: float = 0.0


@dataclass(frozen=True)
class Batch:
    """The commands that one stage sends to one node in one round trip; ids are unique."""

    commands: tuple[Command, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for command in self.commands:
            if command.id in seen:
                msg = f"two commands of one batch are called {command.id!r}"
                raise ValueError(msg)
            seen.add(command.id)

    def __iter__(self) -> Iterator[Command]:
        return iter(self.commands)

    def __len__(self) -> int:
        return len(self.commands)


class Ending(enum.Enum):
    """How a command ended, as far as it is known."""

    EXITED = "exited"  # the command ran and gave an exit status
    TIMED_OUT = "timed-out"  # its own deadline passed and it was ended on the node
    LOST = "lost"  # it may have run: the connection or the shell went away before it reported
    NOT_RUN = "not-run"  # it never ran: the node was not reached, or the batch ended before it


@dataclass(frozen=True)
class Outcome:
    """What one command did. ``seconds`` is its duration on the node, ``started`` an offset in the batch.

    ``stdout_cut`` / ``stderr_cut`` say that output beyond the limit was dropped.
    """

    id: str
    ending: Ending
    exit_code: int = -1
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_cut: bool = False
    stderr_cut: bool = False
    started: float = 0.0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.ending is Ending.EXITED and self.exit_code == 0

    @property
    def text(self) -> str:
        """stdout, decoded with replacement: node output is untrusted."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def all_text(self) -> str:
        """Stdout and stderr: Ascend's tools split their errors between the two."""
        return self.text + self.stderr.decode("utf-8", "replace")


class Trouble(enum.Enum):
    """Why a transport could not carry a batch, or only in part. Never a verdict about the cluster's service."""

    UNREACHABLE = "unreachable"  # no TCP connection: refused, no route, connect timeout, unknown name
    HOST_KEY = "host-key"  # the node's host key is unknown or not the one in known_hosts
    AUTH = "auth"  # the node refused every credential offered
    BUSY = "busy"  # the sshd (or jump host) kept refusing new connections or sessions after retries
    CUT = "cut"  # the connection or shell went away in the middle of the batch
    DEADLINE = "deadline"  # the node stopped answering within the batch's deadline


@dataclass(frozen=True)
class NodeTrouble:
    """A transport's own failure on one node, with words for the operator (``detail``, ``fix``)."""

    kind: Trouble
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class NodeAnswer:
    """What one node gave for one batch: an outcome for every command, and trouble if there was some.

    ``sent`` and ``received`` are the controller's clock (seconds since the epoch) around the batch.
    """

    outcomes: Mapping[str, Outcome]
    trouble: NodeTrouble | None = None
    sent: float = 0.0
    received: float = 0.0

    @classmethod
    def unreached(cls, batch: Batch, trouble: NodeTrouble, sent: float = 0.0, received: float = 0.0) -> NodeAnswer:
        """The answer of a node that ran nothing."""
        outcomes = {c.id: Outcome(c.id, Ending.NOT_RUN) for c in batch}
        return cls(outcomes, trouble, sent, received)


@dataclass(frozen=True)
class HttpRequest:
    """One HTTP request to the service on ``node`` at ``port``. ``authorize`` sends the inventory's API key.

    ``body`` is JSON already encoded; ``headers`` never carry secrets (the transport adds the key).
    """

    id: str
    node: str
    port: int
    method: str = "GET"
    path: str = "/"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    authorize: bool = True
    stream: bool = False
    deadline: float = 60.0


@dataclass(frozen=True)
class HttpAnswer:
    """What came back. ``error`` is set, and ``status`` 0, when there was no HTTP response at all.

    ``chunks`` holds (seconds since the request, bytes) as they arrived when ``stream`` was asked for;
    ``body`` is then their concatenation. ``seconds`` is until the last byte, ``first_byte`` until the first.
    """

    id: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: tuple[tuple[float, bytes], ...] = ()
    seconds: float = 0.0
    first_byte: float = 0.0
    error: str = ""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")
