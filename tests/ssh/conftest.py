# SPDX-License-Identifier: Apache-2.0
"""Clusters that real logins reach: real sshds on this machine, with the simulator's tools on their PATH."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.sshd import MISSING


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "ssh: whole runs over real ssh, which take long: make test-ssh, and not make test"
    )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Start a cluster with these faults. Where tests are a gate (CI is set) a missing sshd is an error.

    It has two devices on each machine, unless told otherwise: that is quicker.
    """
    if MISSING and not os.environ.get("CI"):
        pytest.skip("no sshd on this machine (install openssh-server)")
    made: list[Cluster] = []

    def make(*faults: str, devices: int = 2, **server: object) -> Cluster:
        made.append(Cluster(tmp_path / f"cluster-{len(made)}", faults, devices=devices, server=server))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()
