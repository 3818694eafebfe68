# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakuna.where import ByPlace, Where

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,10}", fullmatch=True).filter(lambda n: n != "cluster")
places = st.one_of(
    st.just(Where.cluster()),
    st.builds(Where, names),
    st.builds(Where, names, st.integers(0, 63)),
)
ends = st.builds(Where, names, st.integers(-1, 63))


@given(places | st.builds(Where.pair, ends, ends))
def test_text_and_place_are_each_others_inverse(where):
    assert Where.parse(str(where)) == where


@pytest.mark.parametrize("text", ["", "node/x", "/3"])
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match="not a place"):
        Where.parse(text)


def test_what_covers_what():
    node, device, other = Where("b"), Where("b", 3), Where("b", 4)
    pair = Where.pair(Where("a", 0), device)
    assert Where.cluster().covers(pair)
    assert node.covers(device)
    assert node.covers(pair)
    assert device.covers(pair)
    assert pair.covers(pair)
    assert not device.covers(node)
    assert not other.covers(pair)
    assert not pair.covers(device)
    assert not pair.covers(Where.pair(device, Where("a", 0)))


def test_a_place_that_travelled_is_the_same_place():
    place = Where.pair(Where("a", 0), Where("b", 3))
    assert hash(place) == hash(Where.pair(Where("a", 0), Where("b", 3)))
    assert "_hash" not in vars(pickle.loads(pickle.dumps(place)))  # of another process, it would be wrong


def test_places_are_found_by_identity_or_else_by_what_they_are():
    known = ByPlace({Where.of_device("a", 0): "x", Where("b", 1): "y"})
    assert known.all_of([Where.of_device("a", 0), Where("a", 0), Where("b", 1)]) == ["x", "x", "y"]
    with pytest.raises(KeyError):
        known.all_of([Where.of_device("a", 0), Where("c", 0)])
