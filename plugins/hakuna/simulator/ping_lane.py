# SPDX-License-Identifier: Apache-2.0
"""``hakuna-pings``: all pings of one device, each as ``hccn_tool`` answers it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import cache, lru_cache

from hakuna.simulator.cluster import ClusterSpec, Device
from hakuna.simulator.hccn_tool import PACKETS, round_trip
from hakuna.simulator.tools import Call, Result, Tool, say, script

_HUNG, _CANNOT_RUN = 137, (126, 127)
#: As the script has it: after so many pings that hang, the rest is left out.
HUNG_LIMIT = 3
_TAIL = f"{PACKETS} packets transmitted, {PACKETS} received, 0.00% packet loss\n\nhakuna-status 0\n"


@script("hakuna-pings")
class PingLane(Tool):
    """``hakuna-pings DEVICE SECONDS "ADDRESS..."...``; nothing is waited for."""

    def run(self, call: Call) -> Result:
        _, index, _, *words = call.argv
        spec, name = call.node.spec, call.node.name
        touched = _touched(spec)
        present = int(index) in spec.present_devices(name) and name not in touched and "" not in touched
        answered = _answers(spec, spec.device(name, int(index)), touched) if present else _no_answer
        parts: list[str] = []
        hung = 0
        for address in " ".join(words).split():
            answer = answered(address)
            if answer:
                parts.append(answer)
                continue
            key = ("-inet6", "-g", "ipv6_address") if ":" in address else ("-g", "address")
            result = call.node.execute(("hccn_tool", "-i", index, "-ping", *key, address))
            status = _HUNG if result.timed_out else result.exit_code
            text = (result.stdout + result.stderr).decode("utf-8", "surrogateescape")
            parts.append(f"hakuna-ping {address}\n{text}\nhakuna-status {status}\n")
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


def _no_answer(address: str) -> str:
    del address
    return ""


def _answers(spec: ClusterSpec, source: Device, touched: frozenset[str]) -> Callable[[str], str]:
    """What gives the answer in full to a ping that no fault is near; empty where the tool itself is to be asked.

    It is called by the million: all that depends on the source alone is made before.
    """
    if source.ip is None:
        return _no_answer
    first, second, third = (_rows(packet, spec.inventory.simulation.slower_mesh) for packet in range(PACKETS))
    begun = zlib.crc32(f"{source.ip}>".encode())
    words = f"\ndevice {source.index} {'PING6' if source.ipv6 else 'PING'} "
    plain = _plain(spec, touched, source.ipv6, source.index if spec.by_rail else None)

    def answered(address: str) -> str:
        target = plain.get(address)
        if target is None:
            return ""
        seed = zlib.crc32(target, begun)
        rows = first[seed & 31] + second[seed >> 8 & 31] + third[seed >> 16 & 31]
        return f"hakuna-ping {address}{words}{address}\n{rows}{_TAIL}"

    return answered


@lru_cache(maxsize=32)  # families, faults and rails of the clusters of one process
def _plain(spec: ClusterSpec, touched: frozenset[str], ipv6: bool, rail: int | None) -> Mapping[str, bytes]:
    """The addresses that one device alone has, of this family, on a node without a fault, and on this rail."""
    return {
        address: address.encode()
        for address, (device, *others) in spec.by_address.items()
        if not others
        and device.ip == address
        and device.ipv6 is ipv6
        and device.where.node not in touched
        and rail in (None, device.index)
    }
