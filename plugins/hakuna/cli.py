# SPDX-License-Identifier: Apache-2.0
"""The ``hakuna`` command: what needs no test session. Checks themselves are run by ``pytest --inventory=FILE``.

Exit status: 0 done, 1 done but the answer is no, 2 the user's mistake (said in one line), 130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hakuna import __version__, cli_runs
from hakuna.cli_runs import UsageError, read_run

if TYPE_CHECKING:
    from hakuna.inventory import Loaded
    from hakuna.inventory.model import Inventory
    from hakuna.transports import Transport

# Imports stand inside the commands: `hakuna --help` answers at once, and one command's libraries are not another's.


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.command(arguments)
        sys.stdout.flush()
    except UsageError as error:
        _complain(str(error))
        return 2
    except BrokenPipeError:  # `hakuna rules | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hakuna", description="Checks are run by: pytest --inventory=FILE")
    parser.add_argument("--version", action="version", version=f"hakuna {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    table = commands.add_parser("rank-table", help="make the rank table from the devices' live IPs")
    table.add_argument("--inventory", metavar="FILE", type=Path, required=True)
    table.add_argument("-o", "--output", metavar="FILE", type=Path, help="where to write it (default: the terminal)")
    table.add_argument("--check", metavar="FILE", type=Path, help="judge this table instead; no node is asked")
    table.set_defaults(command=_rank_table)

    report = commands.add_parser("report", help="report a run again from its folder, also one that was killed")
    report.add_argument("folder", metavar="RUN_FOLDER", type=Path)
    report.add_argument("--lang", choices=["en", "zh"], help="language of report.html (default: the run's own)")
    report.set_defaults(command=_report)

    cli_runs.add_commands(commands)

    down = commands.add_parser("down", help="take down what earlier runs left on the inventory's nodes")
    down.add_argument("--inventory", metavar="FILE", type=Path, required=True)
    down.add_argument("--reports", metavar="DIR", type=Path, default=Path("reports"), help="where run folders are")
    down.set_defaults(command=_down)

    rules = commands.add_parser("rules", help="list all rules")
    rules.add_argument("--markdown", action="store_true", help="as the page docs/rules.md")
    rules.set_defaults(command=_rules)

    explain = commands.add_parser("explain", help="why a rule exists, how it is judged, what to do")
    explain.add_argument("rule", metavar="RULE")
    explain.set_defaults(command=_explain)
    return parser


def _rank_table(arguments: argparse.Namespace) -> int:
    from hakuna.reports.writer import write_whole
    from hakuna.stages.rank_table import CannotGenerateError, generate_live

    output: Path | None = arguments.output
    if output is not None and not output.parent.is_dir():
        raise UsageError(f"{output.parent} is not a folder")
    inventory = _load(arguments.inventory).inventory
    if arguments.check is not None:
        return _check_table(inventory, arguments.check)
    transport = _connect(inventory, Path("reports"))
    try:
        text = generate_live(inventory, transport)
    except CannotGenerateError as error:
        raise UsageError(str(error)) from None
    finally:
        transport.close()
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
    else:
        write_whole(output, text)
    return 0


def _check_table(inventory: Inventory, path: Path) -> int:
    from hakuna.judgement.rank_table_rules import both_profiles
    from hakuna.stages.rank_table import context_of

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text in UTF-8") from None
    named = inventory.server.lmdeploy_version
    version = None if named == "detect" else named
    faults = both_profiles(text, replace(context_of(inventory, {}, version), live=None, path=str(path)))
    for fault in faults:
        sys.stdout.write(f"{path}:{fault.line or 1}: {fault.message}\n")
        if fault.fix:
            sys.stdout.write(f"    fix: {fault.fix}\n")
    against = f"LMDeploy {named if version else 'of an unknown version'} and HCCL, tp={inventory.tp}"
    sys.stdout.write(f"{len(faults)} faults" if faults else "no fault")
    sys.stdout.write(f" by the rules of {against}\n")
    return 1 if faults else 0


def _report(arguments: argparse.Namespace) -> int:
    from hakuna.judgement.verdict import RunVerdict
    from hakuna.reports.terminal import render
    from hakuna.reports.writer import write_all

    report = read_run(arguments.folder)
    if arguments.lang:
        report = replace(report, language=arguments.lang)
    width = shutil.get_terminal_size((100, 24)).columns
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    sys.stdout.write(render(report, width=width, color=color))
    sys.stdout.flush()
    write_all(report, arguments.folder)
    return 0 if report.verdict is RunVerdict.READY else 1


def _down(arguments: argparse.Namespace) -> int:
    from hakuna.stages.down import down

    inventory = _load(arguments.inventory).inventory
    transport = _connect(inventory, arguments.reports)
    try:
        said = down(arguments.reports, inventory, transport)
    finally:
        transport.close()
    sys.stdout.write("\n".join([s.text for s in said] or ["nothing of an earlier run is left"]) + "\n")
    return int(any(s.bad for s in said))


def _connect(inventory: Inventory, reports: Path) -> Transport:
    from hakuna.stages.connecting import connect

    try:
        return connect(inventory, reports)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _rules(arguments: argparse.Namespace) -> int:
    from hakuna.reports.rules_page import listing, markdown
    from hakuna.suites import load_rules

    book = load_rules()
    sys.stdout.write(markdown(book) if arguments.markdown else listing(book) + "\n")
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from hakuna.reports.rules_page import explain
    from hakuna.suites import load_rules

    book = load_rules()
    code = arguments.rule.upper()
    if code not in book:
        near = difflib.get_close_matches(code, [r.code for r in book], n=3, cutoff=0.3)
        hint = f"near it: {', '.join(near)}; " if near else ""
        raise UsageError(f"there is no rule {arguments.rule} ({hint}all: hakuna rules)")
    sys.stdout.write(explain(book[code]) + "\n")
    return 0


def _load(path: Path) -> Loaded:
    from hakuna.inventory import InventoryError, load

    try:
        return load(path)
    except InventoryError as error:
        raise UsageError(str(error)) from None


def _complain(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"hakuna: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
