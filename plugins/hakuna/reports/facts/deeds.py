# SPDX-License-Identifier: Apache-2.0
"""What a run did to the machines, from its journal: what it was about to leave there, and what is gone again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakuna.judgement.stage import Stage

#: Batches that change nodes, each with the command of it that is shown.
_CHANGING = {
    "container.run": "container.run",
    "rank_table.write": "rank_table.write",
    "ray.head": "ray.start",
    "ray.workers": "ray.start",
    "server.pipeline": "pipeline",
    "server.start": "server.start",
}
_WORDS = 2000


@dataclass(frozen=True)
class Deed:
    """Something that was put on ``nodes``; ``left`` are those for which no evidence says that it is gone."""

    kind: str
    name: str
    nodes: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True)
class Wait:
    """What was told to a person who waited, in one stage."""

    stage: str
    text: str


def deeds(events: Iterable[Mapping[str, Any]]) -> tuple[Deed, ...]:
    """Put the journal's "intend" and "gone" events together by kind and name."""
    nodes: dict[tuple[str, str], dict[str, bool]] = {}
    for event in events:
        if event.get("event") in ("intend", "gone"):
            key = (str(event.get("kind", "")), str(event.get("name", "")))
            nodes.setdefault(key, {})[str(event.get("node", ""))] = event["event"] == "intend"
    return tuple(
        Deed(kind, name, tuple(by), tuple(n for n, is_left in by.items() if is_left))
        for (kind, name), by in nodes.items()
    )


def waits(events: Iterable[Mapping[str, Any]]) -> tuple[Wait, ...]:
    """The last words of each stage about what it waits for; its beginning and its end are no such words."""
    last: dict[str, str] = {}
    titles = {s.title: s.value for s in Stage}
    for event in events:
        if event.get("event") == "progress":
            title, _, text = str(event.get("text", "")).partition(": ")
            if title in titles and text and not text.removesuffix(" s").replace(".", "", 1).isdigit():
                last[titles[title]] = text
    return tuple(Wait(stage, text) for stage, text in last.items())


def commands(evidence: Path) -> tuple[tuple[str, str, str], ...]:
    """The commands that changed nodes: batch, node, and the words of the command. One node for each batch."""
    found = []
    for batch, command in _CHANGING.items():
        for path in sorted((evidence / batch).glob("*.jsonl"))[:1]:
            rows = [json.loads(x) for x in path.read_text(encoding="utf-8", errors="replace").split("\n")[1:] if x]
            for row in rows:
                words = [w if "\n" not in w else "…" for w in map(str, row.get("argv", ()))]
                if words and row.get("id") == command:
                    found.append((batch, path.stem, shlex.join(words)[:_WORDS]))
    return tuple(found)
