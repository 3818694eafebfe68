# SPDX-License-Identifier: Apache-2.0
"""Hakuna's own hooks: what a site's conftest.py or plugin may add to a run besides checks.

They are pytest hooks like any other; each is called in the controller and, where it says so, in every xdist worker.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hakuna.inventory.model import Inventory
    from hakuna.judgement.verdict import CheckResult
    from hakuna.reports.model import RunReport
    from hakuna.transports import Transport


@pytest.hookspec(firstresult=True)
def pytest_hakuna_transport(config: pytest.Config, inventory: Inventory) -> Transport | None:
    """The way to the nodes, where a site has one of its own (a bastion service, a job system, a container exec).

    Called once in every process of a live run; the first answer that is not None is used, else what the inventory
    names. A replay asks nobody. What a transport must keep to stands in ``hakuna.transports.Transport``.
    """


@pytest.hookspec
def pytest_hakuna_check(config: pytest.Config, result: CheckResult) -> None:
    """A check was judged; ``result`` is without secrets. Called in the controller, in the order of judging."""


@pytest.hookspec
def pytest_hakuna_report(config: pytest.Config, report: RunReport, folder: Path) -> None:
    """The run is over and ``folder`` holds all of its reports: write another one, or hand them on.

    Called once, in the controller, after the teardown. An exception here costs the run nothing: it becomes a note
    in its journal and in what the session prints.
    """
