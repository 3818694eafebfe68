# SPDX-License-Identifier: Apache-2.0
"""The transport of a replayed run: it answers from an earlier run's evidence and reaches no node."""

from __future__ import annotations

from collections.abc import Mapping

from hakuna.evidence import Batch, HttpAnswer, HttpRequest, NodeAnswer, NodeTrouble, Trouble
from hakuna.evidence.store import EvidenceStore

_ABSENT = NodeTrouble(Trouble.UNREACHABLE, "the replayed run did not send this")


class ReplayTransport:
    """Answers batches and requests by name from the kept evidence; what is not there was not run."""

    kind = "replay"

    def __init__(self, store: EvidenceStore) -> None:
        self.store = store

    def run(self, name: str, batches: Mapping[str, Batch]) -> Mapping[str, NodeAnswer]:
        kept = self.store.answers(name) or {}
        answers: dict[str, NodeAnswer] = {}
        for node, batch in batches.items():
            if node not in kept:
                answers[node] = NodeAnswer.unreached(batch, _ABSENT)
                continue
            absent = NodeAnswer.unreached(batch, _ABSENT).outcomes
            there = {i: o for i, o in kept[node].outcomes.items() if i in absent}
            old = kept[node]
            answers[node] = NodeAnswer({**absent, **there}, old.trouble, old.sent, old.received)
        return answers

    def http(self, request: HttpRequest) -> HttpAnswer:
        return self.store.http(request.id) or HttpAnswer(request.id, error="the replayed run did not ask this")

    def close(self) -> None:
        """Nothing is held."""
