# SPDX-License-Identifier: Apache-2.0
"""Evidence: what is asked of the nodes, what they answered, and how that is kept on disk."""

from hakuna.evidence.command import (
    OUTPUT_LIMIT,
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

__all__ = [
    "OUTPUT_LIMIT",
    "Batch",
    "Command",
    "Ending",
    "HttpAnswer",
    "HttpRequest",
    "NodeAnswer",
    "NodeTrouble",
    "Outcome",
    "Trouble",
]
