# SPDX-License-Identifier: Apache-2.0
"""Chooses the transport that an inventory names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hakuna.inventory.model import Inventory, TransportKind
from hakuna.transports import Transport
from hakuna.transports.ways import FanOut

#: The folder, beside the run folders, where simulated clusters keep their state from run to run.
SIMULATED = ".simulated"


def connect(
    inventory: Inventory,
    reports: Path,
    how: FanOut = FanOut.SSH,
    tell: Callable[[str], None] = lambda _text: None,
) -> Transport:
    """The transport to this inventory's nodes; ``reports`` is the folder of the run folders.

    ``how`` is the way that batches take in a cluster of machines, and ``tell`` hears of it where it is not ssh alone.

    Raises:
        ValueError: a simulated fault's name or place is wrong.
    """
    if inventory.transport is TransportKind.SSH:
        from hakuna.transports.ssh import SshTransport  # fabric is slow to import

        ssh = SshTransport(inventory)
        if how is FanOut.SSH:
            return ssh
        from hakuna.stages.fan_out import FanOutTransport  # likewise of no use to a simulated run

        return FanOutTransport(ssh, inventory, how, tell)
    from hakuna.simulator.faults import parse_fault  # only simulated runs need it
    from hakuna.transports.simulated import SimulatedTransport

    faults = [parse_fault(text, inventory) for text in inventory.simulation.faults]
    return SimulatedTransport(inventory, state_path=reports / SIMULATED / f"{inventory.cluster}.json", faults=faults)
