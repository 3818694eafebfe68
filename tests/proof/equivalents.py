# SPDX-License-Identifier: Apache-2.0
"""Mutants that are none: they change no verdict and no place, each by its line, with the reason."""

from __future__ import annotations

#: Mutants that change no verdict and no place, by the line and what is changed, with the reason.
EQUIVALENT: dict[tuple[str, str], str] = {
    ("for _node, info in containers.npu_info:", "drop a node"): "the loop only consults; leaving out comes after it",
    ("for device, pod in rank_table.super_pods:", "drop a node"): "the loop only consults",
    ("for device, pod in rank_table.super_pods:", "drop a device"): "the loop only consults",
    ("names = sorted({name for _, found in containers.packages for name in found.packages})", "drop a node"): (
        "the program asks for the same packages on every node"
    ),
    ("who = next(x for x in listeners if x.port == port)", "swap Eq"): "words only: who holds the port",
    ('expected = named if named != "detect" else "any version"', "swap NotEq"): "words only",
    ('lambda a: "IPv6" if ":" in str(a.ip) else "IPv4"', "swap In"): "the names change places, the minority does not",
    (
        'found = [(":" in a.ip, a.ip, a.prefix) for _, a in network.address if a.ip is not None and a.prefix is not None]',
        "swap In",
    ): ("the two families change places"),
    (
        'found = [(":" in a.ip, a.ip, a.prefix) for _, a in network.address if a.ip is not None and a.prefix is not None]',
        "drop a device",
    ): ("a vote: one device less does not turn it"),
    ("rails = [{d.device for d in g} for g in devices]", "drop a node"): "a group of one device_id is on several nodes",
    (
        "sum(grid.devices[d].node == name for d in ends) for name in (place.where.node, place.where.peer_node)",
        "swap Eq",
    ): ("the two ends change places"),
    ("for node in sorted({p.node for p in silent}):", "drop a device"): "the names of the nodes are the same",
}
