# SPDX-License-Identifier: Apache-2.0
"""``--explain RULE`` and ``--rules``: the suites' docstrings as pages."""

from __future__ import annotations

import difflib
import sys

import pytest

from hakuna.reports.rules_page import explain, listing
from hakuna.suites import load_rules


def show_pages(config: pytest.Config) -> int:
    """Print what was asked for.

    Raises:
        pytest.UsageError: there is no rule of that code.
    """
    book = load_rules()
    code = config.getoption("--explain")
    if not code:
        sys.stdout.write(listing(book) + "\n")
        return 0
    if code.upper() not in book:
        near = difflib.get_close_matches(code.upper(), [r.code for r in book], n=3, cutoff=0.3)
        raise pytest.UsageError(f"there is no rule {code}; near it: {', '.join(near) or 'none'} (all: --rules)")
    sys.stdout.write(explain(book[code.upper()]) + "\n")
    return 0
