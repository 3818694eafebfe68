# SPDX-License-Identifier: Apache-2.0
"""The transport of a simulated cluster: batches are answered in process, HTTP goes to real ports of this machine."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hakuna.evidence import (
    Batch,
    Command,
    Ending,
    HttpAnswer,
    HttpRequest,
    NodeAnswer,
    NodeTrouble,
    Outcome,
    Trouble,
)
from hakuna.inventory.model import Inventory
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.faults import Fault
from hakuna.simulator.node import SimNode
from hakuna.simulator.state import ClusterState
from hakuna.transports import Take

#: A fault's name -> what the transport says of the node.
_TROUBLES: Mapping[str, Callable[[str], NodeTrouble]] = {
    "dead-host": lambda n: NodeTrouble(
        Trouble.UNREACHABLE, f"connect to {n}: timed out", f"check that {n} is on and that its sshd can be reached"
    ),
    "host-key-changed": lambda n: NodeTrouble(
        Trouble.HOST_KEY,
        f"the host key of {n} is not the one in known_hosts (it offers SHA256:c2ltdWxhdGVkLWhvc3Qta2V5LWNoYW5nZWQ)",
        f"ssh-keygen -R {n}",
    ),
    "login-refused": lambda n: NodeTrouble(Trouble.AUTH, f"{n} refused the key and the password", f"ssh-copy-id {n}"),
    "connection-cut": lambda n: NodeTrouble(Trouble.CUT, f"the connection to {n} broke before the first command"),
}


class SimulatedTransport:
    """Answers for every node of a simulated cluster. ``state_path`` None keeps what happens in memory."""

    kind = "simulated"

    def __init__(self, inventory: Inventory, *, state_path: Path | None = None, faults: Sequence[Fault] = ()) -> None:
        self.inventory = inventory
        self.spec = ClusterSpec(inventory, faults)
        self.state = ClusterState(state_path)
        self._lock = threading.Lock()  # a batch at a time: what one reads must not change under it
        self._nodes: dict[str, SimNode] = {}

    def node(self, name: str) -> SimNode:
        """The simulated node of that name."""
        found = self._nodes.get(name)
        if found is None:
            found = self._nodes[name] = SimNode(self.spec, self.state, name)
        return found

    def run(self, name: str, batches: Mapping[str, Batch]) -> Mapping[str, NodeAnswer]:
        commands = [c for batch in batches.values() for c in batch]
        # One transaction for a batch that changes things: thousands of containers are saved once, not one by one.
        # Not when it starts a server, which is a process of its own and writes to the same state.
        together = any(c.mutates for c in commands) and not any(c.spawn_log for c in commands)
        with self._lock, self.state.transaction() if together else contextlib.nullcontext():
            return {node: self._answer(name, node, batch) for node, batch in batches.items()}

    def stream(self, name: str, batches: Mapping[str, Batch], take: Take) -> None:
        """As :meth:`run`, one node at a time, for batches that change nothing."""
        with self._lock:
            for node, batch in batches.items():
                take(node, self._answer(name, node, batch))

    def _answer(self, batch_name: str, name: str, batch: Batch) -> NodeAnswer:
        sent = time.time()
        if batch_name.startswith("teardown") and self.spec.has("teardown-silent", name):
            silent = NodeTrouble(Trouble.DEADLINE, f"{name}: the node fell silent (0 commands had reported)")
            return NodeAnswer.unreached(batch, silent, sent, time.time())
        for fault, trouble in _TROUBLES.items():
            if self.spec.has(fault, name):
                return NodeAnswer.unreached(batch, trouble(name), sent, time.time())
        node = self.node(name)
        begin = time.perf_counter()
        outcomes = {command.id: _outcome(node, command, begin) for command in batch}
        return NodeAnswer(outcomes, None, sent, time.time())

    def http(self, request: HttpRequest) -> HttpAnswer:
        """Send to the real port that stands for the node's; without one the connection is refused."""
        if self.spec.has("dead-host", request.node):
            return HttpAnswer(request.id, error="timeout: no answer to the connection")
        port = self.state.read()["listeners"].get(request.node, {}).get(str(request.port))
        if port is None:
            return HttpAnswer(request.id, error="refused: nothing listens on that port")
        from hakuna.transports.http import send  # start-up budget: most runs send no HTTP

        return send(request, f"http://127.0.0.1:{port}", self.inventory.api_key.get_secret_value())

    def close(self) -> None:
        """Nothing is held."""


def _outcome(node: SimNode, command: Command, begin: float) -> Outcome:
    started = time.perf_counter()
    result = node.execute(command.argv, command.env, command.stdin, None, command.spawn_log)
    seconds = time.perf_counter() - started
    limit = command.output_limit
    return Outcome(
        command.id,
        Ending.TIMED_OUT if result.timed_out else Ending.EXITED,
        -1 if result.timed_out else result.exit_code,
        result.stdout[:limit],
        result.stderr[:limit],
        len(result.stdout) > limit,
        len(result.stderr) > limit,
        started - begin,
        command.deadline if result.timed_out else seconds,
    )
