# SPDX-License-Identifier: Apache-2.0
"""What an explanation of lost pings says to the operator."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hakuna.judgement.mesh_places import BlameKind, Pair, Place


def evidence_of(
    place: Place, pairs: Collection[Pair], measured: int, errors: Sequence[str], *, only_two: bool, alone: bool
) -> str:
    """One sentence: which pairs are lost, whether others work, and what it cannot tell apart."""
    count = len(pairs)
    amount = f"all {count:,}" if count == measured else f"{count:,} of {measured:,}"
    where = place.where
    if place.kind is BlameKind.SPLIT:
        text = f"{place.note} ({count:,} pairs)"
    elif place.kind is BlameKind.PAIR:
        text = f"{where.source} and {where.target}, both ways: either end" if place.both else f"only {where}, one way"
    elif place.kind is BlameKind.NODE_PAIR:
        text = _node_pair(place, amount, only_two=only_two)
    elif place.kind is BlameKind.DIRECTION_OUT:
        text = f"{amount} pairs from {where}; to it packets arrive"
    elif place.kind is BlameKind.DIRECTION_IN:
        text = f"{amount} pairs to {where}; from it packets leave"
    else:
        text = f"{amount} pairs with {where}, both ways"
    if alone and place.kind is not BlameKind.SPLIT:
        text += "; every other pair is fine"
    return f"{text}; hccn_tool: {'; '.join(errors[:2])}" if errors else text


def _node_pair(place: Place, amount: str, *, only_two: bool) -> str:
    one, other = place.where.node, place.where.peer_node
    if place.both:
        text = f"{amount} pairs between {one} and {other}, both ways"
        doubt = f": with two nodes it cannot be told whether {one}, {other} or the network between them is at fault"
    else:
        text = f"{amount} pairs from {one} to {other}; the way back works"
        doubt = f": with two nodes it cannot be told whether {one} cannot send or {other} cannot receive"
    return text + doubt if only_two else text
