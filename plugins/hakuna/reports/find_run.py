# SPDX-License-Identifier: Apache-2.0
"""Finds the run that a person means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hakuna.reports.facts import gather
from hakuna.reports.history import Entry, entry_of, good_before
from hakuna.reports.model import NotARunError, from_folder


class NoSuchRunError(Exception):
    """No run, or more than one, is called so."""


def find_run(name: str, runs: Sequence[Entry], reports: Path, before: Entry | None = None) -> Entry:
    """The run called ``name``: a folder, an id or its beginning, ``last``, or ``good`` (the last good one).

    With ``before``, ``good`` is the last good one before that run, and ``last`` the one before it.

    Raises:
        NoSuchRunError: nothing is called so, or several are.
    """
    if name == "last":
        earlier = [r for r in runs if before is None or (r.started < before.started and r.cluster == before.cluster)]
        if not earlier:
            raise NoSuchRunError(f"{reports} remembers no such run yet")
        return earlier[-1]
    if name == "good":
        good = good_before(list(runs), before, 1) if before else [r for r in runs if r.good]
        if not good:
            raise NoSuchRunError(f"{reports} remembers no good run yet")
        return good[-1]
    found = [r for r in runs if r.id == name] or [r for r in runs if r.id.startswith(name)]
    for folder in (Path(name), reports / name):
        if not found and (folder / "run.json").is_file():
            try:
                report = from_folder(folder)
            except NotARunError as error:
                raise NoSuchRunError(str(error)) from None
            found = [entry_of(report, gather(report))]
    if not found:
        raise NoSuchRunError(f"no run is called {name} (all: hakuna history)")
    if len(found) > 1:
        raise NoSuchRunError(f"{name} is the beginning of {len(found)} runs: {found[0].id}, {found[1].id}, ...")
    return found[0]
