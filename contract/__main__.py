# SPDX-License-Identifier: Apache-2.0
"""``python -m contract [all|ci|VERSION...] [--page FILE]``: hold Hakuna against LMDeploy's releases."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from contract import environments, releases
from contract.comparison import POINTS, Contract, compare
from contract.page import page


def main() -> int:
    """0: every release was looked at and nothing differs; 1: something differs; 2: a release could not be looked at."""
    parser = argparse.ArgumentParser(prog="python -m contract", description=__doc__, allow_abbrev=False)
    parser.add_argument("releases", nargs="*", default=["ci"], help="all, ci, or versions (default: ci)")
    parser.add_argument("--page", type=Path, help="where to write the table as Markdown")
    options = parser.parse_args()
    begun = time.monotonic()
    try:
        python = environments.base()
        chosen = releases.chosen(options.releases, python)
    except (environments.UnavailableError, ValueError) as error:
        sys.stderr.write(f"contract: {error}\n")
        return 2
    say(f"base environment: {time.monotonic() - begun:.0f} s")
    found: list[Contract] = []
    for version in chosen:
        one = compare(version, python)
        found.append(one)
        tell(one)
    if options.page:
        options.page.write_text(page(found), encoding="utf-8")
    kept, missing = sum(c.kept for c in found), sum(bool(c.missing) for c in found)
    seconds = time.monotonic() - begun
    say(f"{len(found)} releases, {kept} as Hakuna takes them, {missing} not shown; {seconds:.0f} s")
    if any(any(c.differences.values()) for c in found):
        return 1
    return 2 if missing else 0


def tell(one: Contract) -> None:
    """One release's lines."""
    wrong = [f"  {point}: {d}" for point in POINTS for d in one.differences.get(point, ())]
    word = one.missing or (f"{len(wrong)} differences" if wrong else "kept")
    say(f"LMDeploy {one.version}: {word} ({one.seconds:.0f} s)")
    for line in wrong:
        say(line)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
