# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakuna.inventory.ranges import RANGE_LIMIT, RangeError, expand, has_range

LITERAL = st.text("abcxyz.-:", max_size=6)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node", ["node"]),
        ("node[1-3]", ["node1", "node2", "node3"]),
        ("node[1-2,5]", ["node1", "node2", "node5"]),
        ("node[ 1 - 2 , 5 ]", ["node1", "node2", "node5"]),
        ("node[08-11]", ["node08", "node09", "node10", "node11"]),
        ("node[099-101]", ["node099", "node100", "node101"]),
        ("node[0-1]", ["node0", "node1"]),
        ("10.0.0.[9-11]", ["10.0.0.9", "10.0.0.10", "10.0.0.11"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("2001:db8::[1-2]", ["2001:db8::1", "2001:db8::2"]),
        ("[2001:db8::1]", ["[2001:db8::1]"]),
        ("[1-2].example", ["1.example", "2.example"]),
    ],
)
def test_expand(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("n[", "partner"),
        ("n]", "partner"),
        ("n[1-2]]", "partner"),
        ("n[[1-2]", "partner"),
        ("n[]", "not a number"),
        ("n[1,]", "not a number"),
        ("n[a-b]", "not a number"),
        ("n[1-2-3]", "not a number"),
        ("n[-1]", "not a number"),
        ("n[1:3]x", "not a number"),
        ("n[2-1]", "counts down"),
        ("n[1-08]", "mixes widths"),
        (f"n[1-{RANGE_LIMIT + 1}]", "more than"),
        ("n[1-100][1-100]", "10000 names"),
        ("n[1-9999999999]", "not a number"),
    ],
)
def test_what_is_no_range(text: str, reason: str) -> None:
    with pytest.raises(RangeError, match=reason):
        expand(text)


@given(LITERAL, st.integers(0, 5000), st.integers(0, 300), LITERAL, st.integers(0, 4))
def test_a_range_is_every_number_once_in_order(before: str, low: int, more: int, after: str, pad: int) -> None:
    first = str(low).zfill(pad)
    last = str(low + more).zfill(len(first))
    names = expand(f"{before}[{first}-{last}]{after}")
    numbers = [n[len(before) : len(n) - len(after)] for n in names]
    assert [int(n) for n in numbers] == list(range(low, low + more + 1))
    assert all(len(n) == max(len(first), len(str(int(n)))) for n in numbers) or not first.startswith("0")
    assert all(n.startswith(before) and n.endswith(after) for n in names)


@given(st.lists(st.integers(0, 9999), min_size=1, max_size=20), LITERAL)
def test_a_list_is_its_numbers(numbers: list[int], before: str) -> None:
    assert expand(f"{before}[{','.join(map(str, numbers))}]") == [f"{before}{n}" for n in numbers]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_brackets_multiply(counts: list[int]) -> None:
    names = expand("n" + "-".join(f"[1-{c}]" for c in counts))
    expected = 1
    for count in counts:
        expected *= count
    assert len(names) == len(set(names)) == expected
    keys = [tuple(map(int, name[1:].split("-"))) for name in names]
    assert keys == sorted(keys)


@given(st.text("ab[]-,019: ", max_size=14))
def test_any_text_expands_or_is_refused(text: str) -> None:
    try:
        names = expand(text)
    except RangeError:
        names = []
    if not names:
        assert has_range(text)
        return
    assert len(names) <= RANGE_LIMIT
    assert has_range(text) or names == [text]
    assert not has_range(text) or not any("[" in name or "]" in name for name in names)
