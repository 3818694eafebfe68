# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: options and hooks only. It does nothing in a session without ``--inventory`` or ``--replay``."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import pytest

from hakuna.judgement.rules import rule_of
from hakuna.plugin.options import add_markers, add_options


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from hakuna.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if not (config.getoption("--explain") or config.getoption("hakuna_rules")):
        return None
    from hakuna.plugin.pages import show_pages

    return show_pages(config)


def pytest_configure(config: pytest.Config) -> None:
    add_markers(config)
    worker = getattr(config, "workerinput", {})
    if not worker.get("hakuna_run") and not (config.getoption("--inventory") or config.getoption("--replay")):
        return
    with _loading():
        from hakuna.plugin.acceptance import begin

        begin(config)


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """What is loaded here lives to the end: searching it for garbage, again at the exit, is a tenth of a short run."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if wanted:
            gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Explain what is missing when checks would run without a deployment to check."""
    if config.getoption("collectonly") or hasattr(config, "hakuna_run"):
        return
    if any(rule_of(getattr(item, "function", None)) for item in items):
        from hakuna.plugin.opening import usage_without_inventory

        raise pytest.UsageError(usage_without_inventory())
