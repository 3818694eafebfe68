# SPDX-License-Identifier: Apache-2.0
"""What is different between two runs, and which figures of a run are out of line with the last good ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hakuna.inventory.model import Drift
from hakuna.judgement.past import NOT_SIMULATED, is_worse, usual
from hakuna.judgement.verdict import RunVerdict
from hakuna.reports.grouping import name_places
from hakuna.reports.history import Check, Entry
from hakuna.reports.model import code_order
from hakuna.where import Where

#: The thresholds of an inventory that names none.
USUAL = Drift()


@dataclass(frozen=True)
class Change:
    """One difference. ``what`` is verdict, check, fact or figure; ``worse`` says that somebody should look."""

    what: str
    name: str
    before: str
    after: str
    worse: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.before} -> {self.after}"


def compare(before: Entry, after: Entry, ignore: Sequence[str] = ()) -> list[Change]:
    """Everything that is different in ``after``; figures always, since they never are the same."""
    found = []
    if before.verdict != after.verdict:
        ready = RunVerdict.READY.value
        found.append(Change("verdict", "verdict", before.verdict, after.verdict, worse=after.verdict != ready))
    for rule in sorted({*before.checks, *after.checks}, key=code_order):
        old, new = before.checks.get(rule), after.checks.get(rule)
        if old and new and (old.verdict, old.places) == (new.verdict, new.places):
            continue
        worse = bool(new and new.verdict not in ("PASS", "SKIP"))
        found.append(Change("check", rule, _said(old), _said(new), worse=worse))
    kept = {key: value for key, value in after.facts.items() if key[1] not in ignore}
    found += _facts(before.facts, kept)
    for name in sorted({*before.measures} & {*after.measures}):
        a, b = before.measures[name], after.measures[name]
        part = f" ({100 * (b.value - a.value) / a.value:+.0f}%)" if a.value else ""
        found.append(Change("figure", name, f"{a.value:.4g} {a.unit}", f"{b.value:.4g} {b.unit}{part}"))
    return found


def out_of_line(good: Sequence[Entry], entry: Entry, limits: Drift = USUAL) -> list[Change]:
    """Figures of ``entry`` that are worse than those of the last good runs, by median and median deviation."""
    found = []
    for name, measure in sorted(entry.measures.items()):
        values = [e.measures[name].value for e in good if name in e.measures]
        if entry.simulated and name in NOT_SIMULATED:
            continue
        if is_worse(values, name, measure.value, measure.unit, measure.better, limits):
            before = f"median {usual(values, name, limits):.4g} {measure.unit} of {len(values)} good runs"
            found.append(Change("figure", name, before, f"{measure.value:.4g} {measure.unit}", worse=True))
    return found


def since_good(good: Sequence[Entry], entry: Entry, limits: Drift = USUAL) -> tuple[str, list[Change]]:
    """What changed since the last good run (its id; empty if there is none), and which figures are out of line."""
    if not good:
        return "", []
    changes = [c for c in compare(good[-1], entry, ignore=limits.ignore) if c.what != "figure"]
    return good[-1].id, changes + out_of_line(good, entry, limits)


def _said(check: Check | None) -> str:
    if check is None:
        return "-"
    return f"{check.verdict} on {', '.join(check.places)}" if check.places else check.verdict


def _facts(before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]) -> list[Change]:
    """Facts that drifted; the same change at many places is one change. What was not read in both is no drift."""
    places: dict[tuple[str, str, str], list[str]] = {}
    for place, name in sorted({*before} & {*after}):
        old, new = before[place, name], after[place, name]
        if old != new:
            places.setdefault((name, old, new), []).append(place)
    return [
        Change("fact", f"{name} of {name_places([Where.parse(p) for p in at])}", old, new, worse=True)
        for (name, old, new), at in places.items()
    ]
