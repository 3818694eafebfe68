# SPDX-License-Identifier: Apache-2.0
"""When the Ray stage goes on waiting for ``ray status``. Right after start, real Ray says "No cluster status"."""

from __future__ import annotations

from hakuna.probes.ray import parse_status
from hakuna.probes.ray_status import RayStatus
from hakuna.stages.ray import lags

BOTH = {"192.0.2.11", "192.0.2.12"}


def test_no_cluster_status_yet_is_waited_for():
    assert lags(
        BOTH, parse_status("No cluster status. It may take a few seconds for the Ray internal services to start up.\n")
    )


def test_a_status_with_fewer_nodes_than_live_members_is_waited_for():
    assert lags(BOTH, RayStatus(ready=True, active=1))


def test_a_status_that_agrees_is_not():
    assert not lags(BOTH, RayStatus(ready=True, active=2))


def test_without_members_or_a_readable_status_there_is_nothing_to_wait_for():
    assert not lags(set(), RayStatus(ready=False, active=None))
    assert not lags(BOTH, None)
