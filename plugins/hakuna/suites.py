# SPDX-License-Identifier: Apache-2.0
"""Where the suites are: beside the checkout's ``plugins/``, or inside the installed package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from hakuna.judgement.rules import BOOK, RuleBook


def suites_folder() -> Path:
    """The folder of the suites that come with Hakuna.

    Raises:
        FileNotFoundError: neither a checkout nor an installed package holds them.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_suites", package.parent.parent / "suites"):
        if folder.is_dir():
            return folder
    msg = f"no suites beside {package}: the installation is incomplete"
    raise FileNotFoundError(msg)


def load_rules() -> RuleBook:
    """Import every suite, so that all rules are known although only some are selected."""
    for path in sorted(suites_folder().glob("test_*.py")):
        name = f"hakuna_suites_{path.stem}"
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            msg = f"cannot import {path}"
            raise ImportError(msg)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return BOOK
