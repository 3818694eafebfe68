# SPDX-License-Identifier: Apache-2.0
"""The transport of a replayed run: it answers from an earlier run's evidence and reaches no node."""

from __future__ import annotations

from collections.abc import Mapping

from hakuna.evidence import Batch, HttpAnswer, HttpRequest, NodeAnswer, NodeTrouble, Trouble
from hakuna.evidence.store import EvidenceStore
from hakuna.transports import Take

_ABSENT = NodeTrouble(Trouble.UNREACHABLE, "the replayed run did not send this")


class ReplayTransport:
    """Answers batches and requests by name from the kept evidence; what is not there was not run."""

    kind = "replay"

    def __init__(self, store: EvidenceStore) -> None:
        self.store = store

    def run(self, name: str, batches: Mapping[str, Batch]) -> Mapping[str, NodeAnswer]:
        kept = self.store.answers(name) or {}
        return {node: _answer(batch, kept.get(node)) for node, batch in batches.items()}

    def stream(self, name: str, batches: Mapping[str, Batch], take: Take) -> None:
        """As :meth:`run`, one node at a time."""
        seen = set()
        for node, old in self.store.each(name):
            if node in batches:
                seen.add(node)
                take(node, _answer(batches[node], old))
        for node in batches.keys() - seen:
            take(node, _answer(batches[node], None))

    def http(self, request: HttpRequest) -> HttpAnswer:
        return self.store.http(request.id) or HttpAnswer(request.id, error="the replayed run did not ask this")

    def close(self) -> None:
        """Nothing is held."""


def _answer(batch: Batch, old: NodeAnswer | None) -> NodeAnswer:
    """What was kept of a batch; what is not there was not run."""
    absent = NodeAnswer.unreached(batch, _ABSENT)
    if old is None:
        return absent
    there = {i: o for i, o in old.outcomes.items() if i in absent.outcomes}
    return NodeAnswer({**absent.outcomes, **there}, old.trouble, old.sent, old.received)
