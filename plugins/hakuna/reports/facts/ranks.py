# SPDX-License-Identifier: Apache-2.0
"""Which rank is on which device of which host: from the rank table on the nodes, or from the all-reduce."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from hakuna.evidence import NodeAnswer
from hakuna.judgement.rank_table_json import read_json
from hakuna.judgement.rank_table_view import View
from hakuna.probes import collective, table_file
from hakuna.probes.reading import read
from hakuna.where import Where


@dataclass(frozen=True)
class RankPlace:
    """One rank. ``rank`` and ``device`` are -1 where the table holds no number; ``address`` is the device's IP."""

    rank: int
    device: int
    address: str = ""


@dataclass(frozen=True)
class RankHost:
    """One host of the map: its name in the inventory (or its server_id), and its ranks in the table's order."""

    name: str
    server_id: str
    ranks: tuple[RankPlace, ...]


@dataclass(frozen=True)
class RankMap:
    """``source`` is ``rank table`` or ``all-reduce``; ``differing`` counts nodes whose table is another one."""

    hosts: tuple[RankHost, ...] = ()
    source: str = ""
    differing: int = 0

    @property
    def devices(self) -> tuple[int, ...]:
        return tuple(sorted({r.device for h in self.hosts for r in h.ranks}))


def rank_map(answers: Mapping[str, Mapping[str, NodeAnswer]], names: Mapping[str, str]) -> RankMap:
    """Read the map; ``names`` gives the node's name for a node IP."""
    texts = []
    for node, answer in answers.get("rank_table", {}).items():
        outcome = answer.outcomes.get("rank_table.file")
        reading = read(Where(node), outcome, table_file.parse_file, "", answer.trouble) if outcome else None
        if reading is not None and reading.fact:
            texts.append(reading.fact)
    if texts:
        text, count = Counter(texts).most_common(1)[0]
        root = read_json(text).root
        if root is not None:
            return RankMap(_hosts(View.of(root), names), "rank table", len(texts) - count)
    for node, answer in answers.get("collective", {}).items():
        outcome = answer.outcomes.get("collective")
        fact = read(Where(node), outcome, collective.parse_collective, "").fact if outcome else None
        if fact is not None and fact.ranks:
            return RankMap(_from_collective(fact, names), "all-reduce")
    return RankMap()


def _hosts(view: View, names: Mapping[str, str]) -> tuple[RankHost, ...]:
    def number(value: int | None) -> int:
        return -1 if value is None else value

    return tuple(
        RankHost(
            names.get(server.server_id, server.server_id),
            server.server_id,
            tuple(
                RankPlace(number(d.rank), number(d.device_id), d.entry.text("device_ip") or "") for d in server.devices
            ),
        )
        for server in view.servers
    )


def _from_collective(fact: collective.Collective, names: Mapping[str, str]) -> tuple[RankHost, ...]:
    hosts: dict[str, list[RankPlace]] = {}
    for rank in fact.ranks:
        hosts.setdefault(rank.node_ip, []).append(RankPlace(rank.rank, rank.device))
    return tuple(RankHost(names.get(ip, ip), ip, tuple(r)) for ip, r in hosts.items())
