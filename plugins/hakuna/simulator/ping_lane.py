# SPDX-License-Identifier: Apache-2.0
"""``hakuna-pings``: all pings of one device, each as ``hccn_tool`` answers it."""

from __future__ import annotations

import zlib
from functools import cache

from hakuna.simulator.cluster import ClusterSpec, Device
from hakuna.simulator.hccn_tool import PACKETS, round_trip
from hakuna.simulator.tools import Call, Result, Tool, say, script

_HUNG, _CANNOT_RUN = 137, (126, 127)
#: As the script has it: after so many pings that hang, the rest is left out.
HUNG_LIMIT = 3
_TAIL = f"{PACKETS} packets transmitted, {PACKETS} received, 0.00% packet loss\n\nhakuna-status 0 1000.00\n"


@script("hakuna-pings")
class PingLane(Tool):
    """``hakuna-pings DEVICE SECONDS "ADDRESS..."...``; nothing is waited for."""

    def run(self, call: Call) -> Result:
        _, index, _, *words = call.argv
        spec, name = call.node.spec, call.node.name
        touched = _touched(spec)
        present = int(index) in spec.present_devices(name) and name not in touched and "" not in touched
        source = spec.device(name, int(index)) if present else None
        parts: list[str] = []
        hung = 0
        for address in " ".join(words).split():
            answer = _answered(spec, source, address, touched) if source is not None else ""
            if answer:
                parts.append(answer)
                continue
            key = ("-inet6", "-g", "ipv6_address") if ":" in address else ("-g", "address")
            result = call.node.execute(("hccn_tool", "-i", index, "-ping", *key, address))
            status = _HUNG if result.timed_out else result.exit_code
            text = (result.stdout + result.stderr).decode("utf-8", "surrogateescape")
            parts.append(f"hakuna-ping {address} 1000.00\n{text}\nhakuna-status {status} 1000.00\n")
            hung += result.timed_out
            if hung == HUNG_LIMIT or status in _CANNOT_RUN:
                break
        return say("".join(parts) + "pings-end\n")


@cache
def _rows(packet: int, slower: float) -> tuple[str, ...]:
    return tuple(f"recv seq={packet},time={round_trip(packet, value) * slower:.6f}ms\n" for value in range(32))


def _touched(spec: ClusterSpec) -> frozenset[str]:
    """The nodes that have a fault, or are at an end of one; an empty name is all of them."""
    return frozenset(name for f in spec.faults for name in (f.where.node, f.where.peer_node or f.where.node))


def _answered(spec: ClusterSpec, source: Device, address: str, touched: frozenset[str]) -> str:
    """The answer in full of a ping that no fault is near; empty where the tool itself is to be asked."""
    targets = spec.devices_at(address)
    if source.ip is None or len(targets) != 1 or targets[0].where.node in touched or targets[0].ipv6 is not source.ipv6:
        return ""
    seed = zlib.crc32(f"{source.ip}>{targets[0].ip}".encode())
    slower = spec.inventory.simulation.slower_mesh
    first, second, third = (_rows(packet, slower) for packet in range(PACKETS))
    return (
        f"hakuna-ping {address} 1000.00\ndevice {source.index} {'PING6' if source.ipv6 else 'PING'} {address}\n"
        f"{first[seed & 31]}{second[seed >> 8 & 31]}{third[seed >> 16 & 31]}{_TAIL}"
    )
