# SPDX-License-Identifier: Apache-2.0
"""A transport for large clusters: what may run inside the containers travels as Ray tasks, all else as before.

One controller's ssh reaches some hundred hosts well. Ray reaches all of its nodes from the head through an engine that
is there anyway, so no tree of our own is needed. What is sent, how it is framed and what comes back are the same both
ways; nodes that Ray does not reach, and everything while there is no Ray, are asked over ssh.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from hakuna.evidence import Batch, Command, HttpAnswer, HttpRequest, NodeAnswer
from hakuna.inventory.model import Inventory
from hakuna.probes import containers
from hakuna.probes import fan_out as probe
from hakuna.probes.reading import UnparsedError
from hakuna.stages.carrying import carry, for_login
from hakuna.transports import Take, Transport, stream
from hakuna.transports.framing import Decoder, batch_limit, new_nonce, scratch_trouble, script
from hakuna.transports.ways import FanOut

#: From more nodes than this on, batches go as Ray tasks where Ray is up: what one controller's ssh is meant for.
MANY = 100
#: What a shell says of a program that is not there: the container has less than the host.
NOT_FOUND = 127


class FanOutTransport:
    """Carries batches over ``inner`` or as Ray tasks; ``tell`` hears which way a batch went."""

    def __init__(
        self,
        inner: Transport,
        inventory: Inventory,
        how: FanOut = FanOut.AUTO,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.inner = inner
        self._inventory = inventory
        self._how = how
        self._tell = tell

    @property
    def kind(self) -> str:
        return self.inner.kind

    def run(self, name: str, batches: Mapping[str, Batch]) -> Mapping[str, NodeAnswer]:
        """Carry one batch to each node, all nodes at once."""
        answers: dict[str, NodeAnswer] = {}
        self.stream(name, batches, answers.__setitem__)
        return {node: answers[node] for node in batches}

    def stream(self, name: str, batches: Mapping[str, Batch], take: Take) -> None:
        """As :meth:`run`, but each answer goes to ``take``."""
        movable = {node: batch for node, batch in batches.items() if _is_movable(batch)}
        answers = self._by_ray(name, movable) if self._wanted(len(movable)) else {}
        for node, answer in answers.items():
            take(node, answer)
        rest = {node: batch for node, batch in batches.items() if node not in answers}
        if rest:
            stream(self.inner, name, rest, take)

    def http(self, request: HttpRequest) -> HttpAnswer:
        return self.inner.http(request)

    def close(self) -> None:
        self.inner.close()

    def _wanted(self, nodes: int) -> bool:
        return self._how is not FanOut.SSH and nodes > (1 if self._how is FanOut.RAY else MANY)

    def _by_ray(self, name: str, batches: Mapping[str, Batch]) -> dict[str, NodeAnswer]:
        """The answers of the nodes that Ray reached; none where there is no Ray."""
        inventory = self._inventory
        bare = {node: Batch(tuple(_bare(c) for c in batch)) for node, batch in batches.items()}
        plain = {node: for_login(inventory, node, batch) for node, batch in bare.items()}
        nonces = {node: new_nonce() for node in plain}
        scripts = {inventory.node(node).node_ip: script(batch, nonces[node]) for node, batch in plain.items()}
        limit = max((batch_limit(batch) for batch in plain.values()), default=0.0)
        head = inventory.head_node
        asked = containers.inside(inventory, probe.fan_out(scripts, limit))
        sent = time.time()
        told = carry(self.inner, inventory, f"{name}.fan-out", {head.name: Batch((asked,))})
        received = time.time()
        outcome = told.outcome(head.name, asked.id)
        try:
            carried = probe.parse_fan_out(outcome.all_text)
        except UnparsedError as error:
            self._tell(f"{name}: over ssh, not as Ray tasks: {' '.join(str(error).split())[:200]}")
            return {}
        answers = {}
        for node, batch in plain.items():
            found = carried.get(inventory.node(node).node_ip)
            if found is not None and not found.problem:
                answer = decoded(node, batch, nonces[node], found.printed, sent, received)
                if all(o.exit_code != NOT_FOUND for o in answer.outcomes.values()):
                    answers[node] = answer
        left = len(batches) - len(answers)
        self._tell(f"{name}: {len(answers)} nodes asked as Ray tasks{f', {left} over ssh after all' if left else ''}")
        return answers


def _is_movable(batch: Batch) -> bool:
    """Whether every command of it may run in the container, changes nothing and leaves nothing running."""
    return len(batch) > 0 and all(c.bare is not None and not c.spawn_log and not c.mutates for c in batch)


def _bare(command: Command) -> Command:
    if command.bare is None:  # only to tell the type: _wanted() has looked
        raise ValueError(command.id)
    return command.bare


def decoded(node: str, batch: Batch, nonce: str, printed: bytes, sent: float, received: float) -> NodeAnswer:
    """What a node's script printed, as the answer that ssh would have brought."""
    decoder = Decoder(batch, nonce)
    decoder.feed(printed)
    problem = decoder.problem or ("" if decoder.ended else "the script was ended before its end mark")
    return NodeAnswer(decoder.outcomes(), scratch_trouble(node, problem) if problem else None, sent, received)
