# SPDX-License-Identifier: Apache-2.0
"""What an explanation of lost pings says to the operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hakuna.judgement.mesh_places import BlameKind, Pair, Place
from hakuna.where import Where

#: Kinds whose note is a whole sentence.
NOTED = (BlameKind.SPLIT, BlameKind.LEAF, BlameKind.UPLINK, BlameKind.RAIL, BlameKind.SUBNET, BlameKind.TLS)
#: How many other explanations are named.
SHOWN = 4


def evidence_of(place: Place, lost: int, measured: int, *, alone: bool) -> str:
    """One sentence: which pairs are lost, and whether others work."""
    amount = f"all {lost:,}" if lost == measured else f"{lost:,} of {measured:,}"
    where = place.where
    if place.kind in NOTED:
        text = f"{place.note} ({amount} pairs)"
    elif place.kind is BlameKind.NETMASK:
        text = f"{amount} pairs with {where} and peers that its netmask puts in the wrong place"
    elif place.kind is BlameKind.PAIR:
        text = f"{where.source} and {where.target}, both ways: either end" if place.both else f"only {where}, one way"
    elif place.kind is BlameKind.NODE_PAIR:
        ends = f"between {where.node} and {where.peer_node}, both ways"
        text = f"{amount} pairs {ends if place.both else f'from {where.node} to {where.peer_node}; the way back works'}"
    elif place.kind is BlameKind.DIRECTION_OUT:
        text = f"{amount} pairs from {where}; to it packets arrive"
    elif place.kind is BlameKind.DIRECTION_IN:
        text = f"{amount} pairs to {where}; from it packets leave"
    else:
        text = f"{amount} pairs with {where}, both ways"
    if alone and place.kind not in NOTED:
        text += "; every other pair is fine"
    return text


def doubt(
    place: Place,
    others: Sequence[Place],
    probe: Pair | None,
    addresses: Mapping[Where, tuple[str, int]],
    packets: int | None = None,
) -> str:
    """What else would explain as much, and the command that decides; empty without any."""
    if not others:
        return ""
    more = f" or {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    text = f"; it cannot be told from {' or '.join(str(p) for p in others[:SHOWN])}{more}"
    if probe is None:
        return f"{text}; no ping of this network decides: compare the links and counters of both ends"
    source, target = probe
    command = ping_command(source, target, addresses, packets)
    if packets is not None:
        return f"{text}; more packets decide, on {source.node}: {command}"
    return f"{text}; to decide, on {source.node}: {command} ({_meaning(place, others, probe)})"


def _meaning(place: Place, others: Sequence[Place], probe: Pair) -> str:
    """What the probe's answer says."""
    lost = [p for p in (place, *others) if _loses(p, probe)]
    names = " or ".join(str(p) for p in lost[:SHOWN])
    return f"no answer: it is {names}" if len(lost) <= SHOWN else f"no answer: it is one of {len(lost)}"


def _loses(place: Place, probe: Pair) -> bool:
    """Whether a pair is lost if a place is at fault, by its name."""
    source, target = probe
    where = place.where
    if place.kind in (BlameKind.PAIR, BlameKind.NODE_PAIR):
        forth = where.source.covers(source) and where.target.covers(target)
        return forth or (place.both and where.source.covers(target) and where.target.covers(source))
    if place.kind is BlameKind.DIRECTION_OUT:
        return where.covers(source)
    if place.kind is BlameKind.DIRECTION_IN:
        return where.covers(target)
    return where.covers(source) or where.covers(target)


def ping_command(
    source: Where, target: Where, addresses: Mapping[Where, tuple[str, int]], packets: int | None = None
) -> str:
    """The ping of one pair as it is typed on the source's node."""
    known = addresses.get(target)
    address = known[0] if known else f"ADDRESS_OF_{target}"
    words = f"-ping -inet6 -g ipv6_address {address}" if ":" in address else f"-ping -g address {address}"
    return f"hccn_tool -i {source.device} {words}" + (f" pkt {packets}" if packets else "")
