# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import pytest

from hakuna.judgement.mesh_again import MOST, PACKETS, suspects, to_ask_again
from hakuna.judgement.mesh_blame import Loss, localise, matrix_of
from hakuna.probes.hccn import Ping
from hakuna.probes.reading import Reading, ReadingState, Table
from hakuna.where import Where

FIRST = 3


@dataclass(frozen=True)
class Counts:
    sent: int
    received: int
    error: str = ""


def mesh(nodes=2, devices=8):
    ends = [Where(f"node-{n}", d) for n in range(nodes) for d in range(devices)]
    return [(a, b) for a, b in itertools.permutations(ends, 2) if a.node != b.node]


def whole(pairs):
    return dict.fromkeys(pairs, Counts(FIRST, FIRST))


def test_nothing_is_asked_again_where_all_or_nothing_arrives():
    pings = whole(mesh())
    assert to_ask_again(pings) == ()
    dead = Where("node-1", 3)
    pings |= {pair: Counts(FIRST, 0) for pair in pings if dead in pair}
    assert to_ask_again(pings) == ()


def test_all_pairs_of_the_port_that_loses_are_asked_again_and_no_others():
    pings, port = whole(mesh()), Where("node-1", 3)
    for number, pair in enumerate(p for p in pings if port in p):
        pings[pair] = Counts(FIRST, number % 4)
    assert suspects(pings) == {port}
    assert set(to_ask_again(pings)) == {pair for pair in pings if port in pair}


def test_of_a_single_pair_both_ends_are_suspects():
    pings = whole(mesh())
    pair = next(iter(pings))
    pings[pair] = Counts(FIRST, 2)
    assert suspects(pings) == set(pair)


def test_loss_everywhere_in_a_large_mesh_is_not_asked_again():
    pings = dict.fromkeys(mesh(nodes=9), Counts(FIRST, 2))
    assert len(pings) > MOST
    assert to_ask_again(pings) == ()


@pytest.mark.parametrize("seed", range(40))
def test_a_port_that_loses_30_percent_is_blamed_alone_after_the_second_round(seed):
    """What the lab's real netem does, by chance; told from the first round alone it often is several places."""
    chance, port = random.Random(seed), Where("node-1", 3)

    def send(pair, packets):
        arrived = packets if port not in pair else sum(chance.random() >= 0.3 for _ in range(packets))
        return Ping("", packets, arrived, 100.0 * (packets - arrived) / packets)

    pings = {pair: send(pair, FIRST) for pair in mesh()}
    pings |= {pair: pings[pair].plus(send(pair, PACKETS)) for pair in to_ask_again(pings)}
    table = Table({Where.pair(*p): Reading(Where.pair(*p), ReadingState.READ, x, "", "") for p, x in pings.items()})
    (only,) = localise(matrix_of(table)).blames
    assert only.where == port
    assert only.explained >= 15
    assert only.loss is Loss.PARTIAL


def test_two_pings_of_a_pair_are_one():
    one, two = Ping("x", 3, 0, 100.0, (), "time out"), Ping("x", 17, 12, 29.4, (0.1,))
    assert one.plus(two) == Ping("x", 20, 12, 40.0, (0.1,), "")
    never = Ping("x", 0, 0, 100.0, (), "Link status is down.")
    assert never.plus(two) == two
    assert two.plus(never) == two
    assert never.plus(never) == never
