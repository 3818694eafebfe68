# SPDX-License-Identifier: Apache-2.0
"""Transports carry batches of commands and HTTP requests to nodes; they know nothing of what these mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

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
