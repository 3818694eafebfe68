# SPDX-License-Identifier: Apache-2.0
"""Transports carry batches of commands and HTTP requests to nodes; they know nothing of what these mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from hakuna.evidence import Batch, HttpAnswer, HttpRequest, NodeAnswer


class Transport(Protocol):
    """One way to reach the nodes: ssh, simulated, or replay.

    An implementation never raises for what a node or network does: trouble is part of the answer.
    It may be called from several threads.
    """

    @property
    def kind(self) -> str:
        """``ssh``, ``simulated`` or ``replay``."""

    def run(self, name: str, batches: Mapping[str, Batch]) -> Mapping[str, NodeAnswer]:
        """Carry one batch to each node (key: the node's inventory name), all nodes at once.

        ``name`` is the batch's name in the evidence ("network.mesh"). The answer has the same keys, and
        an outcome for every command of every batch.
        """

    def http(self, request: HttpRequest) -> HttpAnswer:
        """Send one HTTP request to the service on a node."""

    def close(self) -> None:
        """Give back connections and threads; the transport can not be used afterwards."""


#: Hears one node's answer; called as answers come, from any thread, never for two nodes at a time.
Take = Callable[[str, NodeAnswer], None]


@runtime_checkable
class StreamingTransport(Protocol):
    """A transport that can hand over each node's answer as it comes, and keep none of it."""

    def stream(self, name: str, batches: Mapping[str, Batch], take: Take) -> None:
        """As :meth:`Transport.run`, but every answer goes to ``take``."""


def stream(transport: Transport, name: str, batches: Mapping[str, Batch], take: Take) -> None:
    """Carry a batch whose answers are too large to be held together; any transport will do."""
    if isinstance(transport, StreamingTransport):
        transport.stream(name, batches, take)
        return
    for node, answer in transport.run(name, batches).items():
        take(node, answer)
