# SPDX-License-Identifier: Apache-2.0
"""Which pairs of a mesh are to be asked again with more packets, because a handful of them tells too little.

A port that loses 30 % of what it is sent lets a third of all pings of three packets through unharmed, and swallows
one in forty whole: from those alone the port looks like a direction and a few pairs, or like dead pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hakuna.judgement.mesh_blame import PingCounts
from hakuna.judgement.mesh_places import Pair
from hakuna.where import Where

__all__ = ["PACKETS", "suspects", "to_ask_again"]

#: Packets of the second ping: with those of the first about 20, of which a port with 30 % loss lets one ping in a
#: thousand through unharmed.
PACKETS = 17
#: More pairs than this are not asked again: so much loss is no port's.
MOST = 4096


def suspects(pings: Mapping[Pair, PingCounts]) -> frozenset[Where]:
    """The devices that may lose packets: of each pair that lost some but not all, the end with more such pairs.

    On a tie it may be either.
    """
    lossy = [pair for pair, ping in pings.items() if 0 < ping.received < ping.sent]
    count = Counter(end for pair in lossy for end in pair)
    return frozenset(end for pair in lossy for end in pair if count[end] == max(count[e] for e in pair))


def to_ask_again(pings: Mapping[Pair, PingCounts]) -> tuple[Pair, ...]:
    """Every pair of a suspect, in the order in which they were asked; none where nothing is lost by halves."""
    ends = suspects(pings)
    pairs = tuple(pair for pair in pings if ends.intersection(pair))
    return pairs if len(pairs) <= MOST else ()
