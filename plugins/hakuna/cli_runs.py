# SPDX-License-Identifier: Apache-2.0
"""The commands of ``hakuna`` that look at runs which are over: history, diff, accept, prune, notify, bundle."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hakuna.reports.history import Entry
    from hakuna.reports.model import RunReport


class UsageError(Exception):
    """The user's mistake, in words for the user."""


def add_commands(commands: Any) -> None:
    """Add them to the parser of ``hakuna``."""
    history = _command(commands, "history", _history, "what earlier runs came to, and how their figures went")
    history.add_argument("--cluster", metavar="NAME", default="", help="only runs of this cluster")
    history.add_argument("--last", metavar="N", type=int, default=30, help="only the last N runs (default: 30)")

    diff = _command(commands, "diff", _diff, "what is different between two runs")
    for name in ("before", "after"):
        diff.add_argument(name, metavar="RUN", help="a run's folder, its id or the beginning of it, last, or good")

    accept = _command(commands, "accept", _accept, "compare later runs with this one, although it drifted")
    accept.add_argument("run", metavar="RUN", help="its id or the beginning of it, or last")

    prune = _command(commands, "prune", _prune, "remove the folders of old runs")
    prune.add_argument("--keep", metavar="N", type=int, required=True, help="the newest N of each cluster stay")
    prune.add_argument("--dry-run", action="store_true", help="only say what would be removed")

    notify = _command(commands, "notify", _notify, "run a command with a run's findings.json on its stdin")
    notify.add_argument("folder", metavar="RUN_FOLDER", type=Path)
    notify.add_argument("command_line", metavar="COMMAND", help="in quotes if it has arguments; no shell is run")

    bundle = _command(commands, "bundle", _bundle, "one archive of a run for a support ticket, without secrets")
    bundle.add_argument("folder", metavar="RUN_FOLDER", type=Path)
    bundle.add_argument("-o", "--output", metavar="FILE", type=Path, help="default: RUN.tar.gz in this folder")
    bundle.add_argument("--anonymize", action="store_true", help="replace names and addresses, consistently")


def _command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int], words: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
    if name not in ("notify", "bundle"):
        parser.add_argument(
            "--reports", metavar="DIR", type=Path, default=Path("reports"), help="where run folders are"
        )
    parser.set_defaults(command=function)
    return parser


def remembered(path: Path, cluster: str = "", last: int = 0) -> list[Entry]:
    """The runs of a history.

    Raises:
        UsageError: it cannot be read.
    """
    from hakuna.reports.history import HistoryError, entries

    try:
        return entries(path, cluster, last)
    except HistoryError as error:
        raise UsageError(str(error)) from None


def read_run(folder: Path) -> RunReport:
    """The run of a folder.

    Raises:
        UsageError: it holds none.
    """
    from hakuna.reports.model import NotARunError, from_folder
    from hakuna.suites import load_rules

    try:
        return from_folder(folder, book=load_rules())
    except NotARunError as error:
        raise UsageError(str(error)) from None


def _history(arguments: argparse.Namespace) -> int:
    from hakuna.reports.history import NAME
    from hakuna.reports.history_page import table

    if arguments.last < 1:
        raise UsageError("--last must be at least 1")
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    runs = remembered(arguments.reports / NAME, arguments.cluster, arguments.last)
    sys.stdout.write(table(runs, color=color))
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    from hakuna.reports.find_run import NoSuchRunError, find_run
    from hakuna.reports.history import NAME
    from hakuna.reports.history_page import difference

    runs = remembered(arguments.reports / NAME)
    try:
        after = find_run(arguments.after, runs, arguments.reports)
        before = find_run(arguments.before, runs, arguments.reports, before=after)
    except NoSuchRunError as error:
        raise UsageError(str(error)) from None
    sys.stdout.write(difference(before, after, runs))
    return 0


def _accept(arguments: argparse.Namespace) -> int:
    from hakuna.reports.find_run import NoSuchRunError, find_run
    from hakuna.reports.history import NAME, HistoryError, accept

    runs = remembered(arguments.reports / NAME)
    try:
        run = find_run(arguments.run, runs, arguments.reports)
        accept(arguments.reports / NAME, run.id)
    except (NoSuchRunError, HistoryError) as error:
        raise UsageError(str(error)) from None
    sys.stdout.write(f"{run.id} ({run.verdict}) is a run that later ones are compared with\n")
    return 0


def _prune(arguments: argparse.Namespace) -> int:
    from hakuna.reports.history import NAME
    from hakuna.reports.retention import folders, remove, to_go

    if arguments.keep < 1:
        raise UsageError("--keep must be at least 1")
    found = folders(arguments.reports, remembered(arguments.reports / NAME))
    going = to_go(found, arguments.keep)
    for folder in going:
        if not arguments.dry_run:
            remove(folder)
        sys.stdout.write(f"{'would be removed' if arguments.dry_run else 'removed'}: {folder.path}\n")
    for folder in found[arguments.keep :]:
        if folder.stays:
            sys.stdout.write(f"stays: {folder.path}: {folder.stays}\n")
    sys.stdout.write(f"{len(found) - len(going)} run folders stay, {len(going)} went\n")
    return 0


def _notify(arguments: argparse.Namespace) -> int:
    from hakuna.reports.notify import NotifyError, tell

    try:
        tell(arguments.command_line, read_run(arguments.folder), arguments.folder)
    except NotifyError as error:
        raise UsageError(str(error)) from None
    return 0


def _bundle(arguments: argparse.Namespace) -> int:
    from hakuna.reports.anonymous import CannotReplaceError
    from hakuna.reports.bundle import make
    from hakuna.reports.model import NotARunError
    from hakuna.suites import load_rules

    folder: Path = arguments.folder.absolute()
    output: Path = arguments.output or Path(f"{folder.name}.tar.gz")
    known = tuple(value for name, value in os.environ.items() if _is_secret(name) and value)
    try:
        bundle = make(folder, output, load_rules(), anonymize=arguments.anonymize, known=known)
    except (NotARunError, CannotReplaceError) as error:
        raise UsageError(str(error)) from None
    except ValueError as error:
        raise UsageError(f"{folder} cannot be read: {error}") from None
    sys.stdout.write("\n".join(bundle.said) + "\n")
    return 0


def _is_secret(name: str) -> bool:
    """Whether a variable of this process may hold a secret that the run was given."""
    return any(word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD"))
