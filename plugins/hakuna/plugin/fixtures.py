# SPDX-License-Identifier: Apache-2.0
"""The stages as fixtures, in staged scope: who asks for ``api_server`` has everything below it up, once per run."""

from __future__ import annotations

from typing import Any

import pytest

from hakuna.judgement.findings import Findings
from hakuna.judgement.rules import rule_of
from hakuna.judgement.stage import Stage
from hakuna.probes.reading import CONSULTED
from hakuna.stages.run import Run


@pytest.fixture(scope="session")
def acceptance(request: pytest.FixtureRequest) -> Run:
    """The run itself, for a site's checks that need more than facts (``send``, ``ask``, ``folder``)."""
    found: Run | None = getattr(request.config, "hakuna_run", None)
    if found is None:
        pytest.fail("this check needs a run: pass --inventory=FILE", pytrace=False)
    return found


@pytest.fixture
def findings(request: pytest.FixtureRequest) -> Any:
    """What a check reports to; nothing reported, and facts read, is a PASS."""
    rule = rule_of(request.function)
    if rule is None:
        pytest.fail("the findings fixture is for checks: put @rule(...) on the test", pytrace=False)
    record = Findings(rule)
    request.node.hakuna_findings = record
    token = CONSULTED.set(record.consulted)
    yield record
    CONSULTED.reset(token)


@pytest.fixture(scope="session")
def inventory(acceptance: Run) -> Any:
    """The inventory, with the line of each of its entries."""
    return acceptance.facts(Stage.INVENTORY)


@pytest.fixture(scope="session")
def hosts(acceptance: Run, inventory: Any) -> Any:
    """Facts of every node's host (guide, sections 0 and 1)."""
    return acceptance.facts(Stage.HOST)


@pytest.fixture(scope="session")
def network(acceptance: Run, hosts: Any) -> Any:
    """Facts of the devices' network (guide, section 5)."""
    return acceptance.facts(Stage.NETWORK)


@pytest.fixture(scope="session")
def containers(acceptance: Run, network: Any) -> Any:
    """The containers, running (guide, section 1)."""
    return acceptance.facts(Stage.CONTAINER)


@pytest.fixture(scope="session")
def rank_table(acceptance: Run, containers: Any) -> Any:
    """The rank table, on every node (guide, section 3)."""
    return acceptance.facts(Stage.RANK_TABLE)


@pytest.fixture(scope="session")
def ray_cluster(acceptance: Run, rank_table: Any) -> Any:
    """The Ray cluster, formed (guide, section 2)."""
    return acceptance.facts(Stage.RAY)


@pytest.fixture(scope="session")
def collective(acceptance: Run, ray_cluster: Any) -> Any:
    """An all-reduce over all ranks, done."""
    return acceptance.facts(Stage.COLLECTIVE)


@pytest.fixture(scope="session")
def api_server(acceptance: Run, collective: Any) -> Any:
    """The api_server, ready (guide, section 4.1)."""
    return acceptance.facts(Stage.SERVER)


@pytest.fixture(scope="session")
def generation(acceptance: Run, api_server: Any) -> Any:
    """What the model answered (guide, sections 4.1 and 4.2)."""
    return acceptance.facts(Stage.GENERATION)


@pytest.fixture(scope="session")
def teardown(acceptance: Run) -> Any:
    """What is left after everything was taken down (guide, section 2.4)."""
    return acceptance.facts(Stage.TEARDOWN)
