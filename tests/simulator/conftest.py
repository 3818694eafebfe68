# SPDX-License-Identifier: Apache-2.0
"""Simulated clusters to try tools on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hakuna.inventory.model import Inventory, Node
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.faults import parse_faults
from hakuna.simulator.node import SimNode
from hakuna.simulator.state import ClusterState


def make_inventory(nodes: int = 2, devices: int = 8, **more: Any) -> Inventory:
    names = [f"node-{chr(97 + i)}" for i in range(nodes)] if nodes <= 26 else [f"node-{i}" for i in range(nodes)]
    made = tuple(
        Node(name=n, address=n, node_ip=f"10.{i // 250}.0.{i % 250 + 1}", device_ids=tuple(range(devices)))
        for i, n in enumerate(names)
    )
    return Inventory(nodes=made, **more)


@pytest.fixture
def inventory() -> Callable[..., Inventory]:
    return make_inventory


@pytest.fixture
def cluster() -> Callable[..., dict[str, SimNode]]:
    """The nodes of a simulated cluster by name; positional arguments are faults."""

    def build(*faults: str, **more: Any) -> dict[str, SimNode]:
        inventory = make_inventory(**more)
        spec = ClusterSpec(inventory, parse_faults(faults, inventory))
        state = ClusterState(None)
        return {n.name: SimNode(spec, state, n.name) for n in inventory.nodes}

    return build


@pytest.fixture
def say(cluster) -> Callable[..., str]:
    """What a command says on one node (both streams), with faults."""

    def run(command: str, *faults: str, node: str = "node-b", **more: Any) -> str:
        result = cluster(*faults, **more)[node].execute(tuple(command.split()))
        return (result.stdout + result.stderr).decode()

    return run
