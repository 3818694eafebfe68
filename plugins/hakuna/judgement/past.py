# SPDX-License-Identifier: Apache-2.0
"""The last good runs as a run remembers them, and when a figure is worse than usual.

A run takes its past along from its beginning, in ``run.json``: it is judged by what was known then, and a replay
judges it by the same.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hakuna.inventory.model import Drift

#: Worse by less than this in its own unit is the noise of machines and their schedulers.
FLOORS: Mapping[str, float] = {"s": 0.05, "ms": 0.02}
#: Figures that a simulated cluster does not model: they only tell how busy the controller was.
NOT_SIMULATED = frozenset({"server_ready_seconds", "first_token_seconds", "tokens_per_second"})
_NORMAL = 1.4826  # makes the median absolute deviation of a normal distribution its standard deviation


@dataclass(frozen=True)
class Past:
    """What the last good runs found.

    ``facts`` of the last one, by place and name ("" as place: everywhere); ``series`` of all of them, oldest first.
    ``run`` is the last one's id, empty without any.
    """

    run: str = ""
    facts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def fact(self, place: str, name: str) -> str | None:
        """What was found there, or None if nothing is known."""
        return self.facts.get((place, name), self.facts.get(("", name)))

    def as_json(self) -> dict[str, Any]:
        facts: dict[str, dict[str, str]] = {}
        for (place, name), value in self.facts.items():
            facts.setdefault(name, {})[place] = value
        return {"run": self.run, "facts": facts, "series": {n: list(v) for n, v in self.series.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Past:
        """Read what :meth:`as_json` wrote."""
        facts = {(p, name): str(v) for name, by_place in data["facts"].items() for p, v in by_place.items()}
        return cls(str(data["run"]), facts, {n: tuple(map(float, v)) for n, v in data["series"].items()})

    @classmethod
    def simulated(cls, told: Mapping[str, str | tuple[float, ...]]) -> Past:
        """The past that a simulated cluster was given: a text is a fact everywhere, numbers are a series."""
        return cls(
            "simulated-past" if told else "",
            {_placed(n): v for n, v in told.items() if isinstance(v, str)},
            {n: v for n, v in told.items() if not isinstance(v, str)},
        )


def usual(values: Sequence[float], name: str, drift: Drift) -> float | None:
    """The median of the last good runs; None if they are too few to judge by."""
    return statistics.median(values) if len(values) >= drift.runs and name not in drift.ignore else None


def is_worse(values: Sequence[float], name: str, value: float, unit: str, better: str, drift: Drift) -> bool:
    """Whether a figure is worse than usual: by deviations from the median, by a part of it, and by more than noise."""
    median = usual(values, name, drift)
    if median is None:
        return False
    deviation = _NORMAL * min(_spread(values, median), _unrest(values))
    beyond = value - median if better == "less" else median - value
    percent = drift.percent_of.get(name, drift.percent)
    return beyond > max(drift.deviations * deviation, percent / 100 * abs(median), FLOORS.get(unit, 0.0))


def _spread(values: Sequence[float], median: float) -> float:
    """The median absolute deviation."""
    return statistics.median(abs(v - median) for v in values)


def _unrest(values: Sequence[float]) -> float:
    """The same from one run to the next: a figure that creeps spreads wide, and must not hide behind that."""
    return statistics.median(abs(b - a) for a, b in itertools.pairwise(values)) / math.sqrt(2)


def _placed(name: str) -> tuple[str, str]:
    """``node-b/3 device IP`` is a place and a name; a name alone is meant everywhere."""
    first, _, rest = name.partition(" ")
    return (first, rest) if "/" in first and rest else ("", name)
