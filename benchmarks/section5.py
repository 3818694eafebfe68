# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # a script, run by its path
"""Hakuna's part of the comparison: the guide's section 5 through its own commands, transport and parsers.

    python benchmarks/section5.py INVENTORY [start | dead]

``start`` ends it where the first connection would be made: what Python, the imports and the inventory cost. ``dead``:
the last host does not answer, which is no error.

The two round trips of the network stage with the guide's own queries: addresses and TLS, then the pings.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

gc.disable()  # while it loads, as the plugin does

from hakuna.evidence import Batch, NodeAnswer
from hakuna.inventory import load
from hakuna.probes import hccn
from hakuna.probes.mesh import PingMesh
from hakuna.stages.answers import Answers
from hakuna.stages.carrying import for_login
from hakuna.transports.ssh import SshTransport
from hakuna.where import Where


def main() -> int:
    inventory = load(Path(sys.argv[1])).inventory
    alive = inventory.nodes[:-1] if sys.argv[2:] == ["dead"] else inventory.nodes
    names = [n.name for n in alive]
    transport = SshTransport(inventory)
    if sys.argv[2:] == ["start"]:
        import fabric  # noqa: F401  # what the first connection imports
    gc.freeze()  # as the plugin does
    gc.enable()
    if sys.argv[2:] == ["start"]:
        return 0
    asked = {
        n.name: Batch(tuple(c for i in n.device_ids for c in (hccn.address(i), hccn.tls(i)))) for n in inventory.nodes
    }
    answers = Answers("network", transport.run("network", {n: for_login(inventory, n, b) for n, b in asked.items()}))
    addresses = answers.per_device("hccn.ip", hccn.parse_address, inventory.devices)
    switches = answers.per_device("hccn.tls", hccn.parse_tls, inventory.devices)
    mesh = PingMesh()
    lanes = {}
    for at, node in enumerate(alive):
        there = names[(at + 1) % len(names)]
        targets = [Where(there, i) for i in node.device_ids]
        ips = [addresses[t].ip or "" for t in targets]
        for i in node.device_ids:
            lanes[node.name, i] = (mesh.open(Where(node.name, i), targets), ips)
    batches = {n.name: Batch(tuple(hccn.pings(i, lanes[n.name, i][1]) for i in n.device_ids)) for n in alive}

    def take(node: str, answer: NodeAnswer) -> None:
        for i in inventory.node(node).device_ids:
            lane, ips = lanes[node, i]
            mesh.read(lane, Where(node, i), ips, answer.outcomes[f"hccn.pings/{i}"], "")

    transport.stream("network.mesh", {n: for_login(inventory, n, b) for n, b in batches.items()}, take)
    transport.close()
    answered = sum(p.received == p.sent for _, p in mesh)
    devices = sum(len(n.device_ids) for n in alive)
    if (len(list(switches)), answered) != (devices, devices * len(alive[0].device_ids)):
        sys.stderr.write(f"not everything was answered: {len(list(switches))} switches, {answered} pings\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
