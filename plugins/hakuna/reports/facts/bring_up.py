# SPDX-License-Identifier: Apache-2.0
"""The way that a bring-up took: one step after the other, the node that each waited for, and Hakuna's own share."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

#: The batches of the stages that bring something up, in words of their names.
_STAGES = re.compile(r"(container|rank_table|ray|collective|server)(\.|$)")
_POLL = re.compile(r"\.poll\.\d+$")


@dataclass(frozen=True)
class Step:
    """One batch, or one series of polls. ``begin`` and ``end`` in seconds since the first; ``node`` was the last to answer."""

    name: str
    begin: float
    end: float
    node: str
    rounds: int = 1

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class BringUp:
    """All steps in order. Stages follow each other, so that every step is on the critical path, and its slowest node."""

    steps: tuple[Step, ...] = ()

    @property
    def seconds(self) -> float:
        return max((s.end for s in self.steps), default=0.0)

    @property
    def own(self) -> float:
        """Seconds in which no node was being asked or waited for: those are Hakuna's own."""
        covered = until = 0.0
        for step in self.steps:
            covered += max(0.0, step.end - max(step.begin, until))
            until = max(until, step.end)
        return self.seconds - covered

    @property
    def own_percent(self) -> float:
        return 100 * self.own / self.seconds if self.seconds else 0.0


def bring_up(evidence: Path) -> BringUp:
    """Read when each batch was sent and answered; nothing where nothing was brought up.

    Raises:
        OSError, ValueError, KeyError: evidence is damaged.
    """
    folders = [d for d in evidence.iterdir() if d.is_dir() and _STAGES.match(d.name)] if evidence.is_dir() else []
    found: dict[str, Step] = {}
    for step in sorted((s for s in map(_step, folders) if s is not None), key=lambda s: s.begin):
        name = _POLL.sub(".poll", step.name)
        earlier = found.get(name)
        if earlier is None:
            found[name] = replace(step, name=name)
        else:
            found[name] = replace(earlier, end=step.end, node=step.node, rounds=earlier.rounds + 1)
    if "container.run" not in found:
        return BringUp()
    first = min(s.begin for s in found.values())
    return BringUp(tuple(replace(s, begin=s.begin - first, end=s.end - first) for s in found.values()))


def _step(folder: Path) -> Step | None:
    """A batch with its requests (a poll asks for health, too, once its batch was answered)."""
    times = []
    for path in folder.glob("*.jsonl"):
        with path.open(encoding="utf-8") as file:
            head = json.loads(file.readline())
        times.append((float(head["received"]), float(head["sent"]), path.stem))
    if not times:
        return None
    end, _, node = max(times)
    requests = folder.parent.joinpath("http").glob(f"{folder.name}.*.json") if _POLL.search(folder.name) else ()
    end += sum(float(json.loads(p.read_text(encoding="utf-8"))["answer"]["seconds"]) for p in requests)
    return Step(folder.name, min(sent for _, sent, _ in times), end, node)
