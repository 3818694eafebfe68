# SPDX-License-Identifier: Apache-2.0
"""Strict JSON with lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakuna.judgement.rank_table_json import DefectKind, Element, Kind, read_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def plain(element: Element):
    if element.kind is Kind.OBJECT:
        return {k: plain(v) for k, v in element.members.items()}
    if element.kind is Kind.ARRAY:
        return [plain(v) for v in element.items]
    return element.text if element.kind is Kind.STRING else json.loads(element.text)


@given(values, st.sampled_from([None, 0, 2]), st.booleans())
def test_what_json_writes_is_read_the_same(value, indent, ascii_only):
    document = read_json(json.dumps(value, indent=indent, ensure_ascii=ascii_only))
    assert document.defects == ()
    assert plain(document.root) == value


@given(st.text(alphabet=' \n\t{}[]",:\\u0001/*#.ntf-e5', max_size=40))
def test_any_text_is_accepted_or_explained_as_json_does(text):
    try:
        expected = json.loads(text, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        assert read_json(text).defects
        return
    document = read_json(text)
    assert plain(document.root) == expected
    assert {d.kind for d in document.defects} <= {DefectKind.DUPLICATE_KEY}


def test_values_know_their_lines():
    root = read_json('{\n  "a": "x",\r\n  "b": [\n    1,\n    {"c": null}\n  ]\n}').root
    assert (root.line, root.column) == (1, 1)
    assert (root.get("a").line, root.get("a").column) == (2, 8)
    assert [e.line for e in root.get("b").items] == [4, 5]
    assert root.get("b").items[1].get("c").line == 5


@pytest.mark.parametrize(
    ("text", "kind", "line", "column", "words"),
    [
        ('{"a": "1", // why\n "b": "2"}', DefectKind.COMMENT, 1, 12, "// why"),
        ('{\n/* many\nlines */ "a": "1"}', DefectKind.COMMENT, 2, 1, "many"),
        ('{"a": "1"\n# note\n}', DefectKind.COMMENT, 2, 1, "note"),
        ('{"a": ["1",\n "2",\n]}', DefectKind.TRAILING_COMMA, 2, 5, "]"),
        ('{"a": "1",}', DefectKind.TRAILING_COMMA, 1, 10, "}"),
        ('{"a": "1",\n"a": "2"}', DefectKind.DUPLICATE_KEY, 2, 1, "first in line 1"),
        ('\ufeff{"a": "1"}', DefectKind.BYTE_ORDER_MARK, 1, 1, "byte order mark"),
    ],
)
def test_harmless_defects_are_noted_and_reading_goes_on(text, kind, line, column, words):
    document = read_json(text)
    (defect,) = document.defects
    assert (defect.kind, defect.line, defect.column) == (kind, line, column)
    assert words in defect.message
    assert defect.fix
    assert "a" in document.root.members


@pytest.mark.parametrize(
    ("text", "kind", "line", "words"),
    [
        ("", DefectKind.UNFINISHED, 1, "empty"),
        ("{\n", DefectKind.UNFINISHED, 2, "ends"),
        ('{"a": "1', DefectKind.UNFINISHED, 1, "not closed"),
        ('["a",\n...\n"b"]', DefectKind.ELISION, 2, "left out"),
        ('{"a": [{"b": "c"}, {\n...\n}]}', DefectKind.ELISION, 2, "left out"),
        ("{'a': '1'}", DefectKind.SYNTAX, 1, "double quotes"),
        ('{"a" "1"}', DefectKind.SYNTAX, 1, "colon"),
        ('{"a": "1"\n"b": "2"}', DefectKind.SYNTAX, 2, "comma"),
        ('{"a": NaN}', DefectKind.SYNTAX, 1, "NaN"),
        ('{"a": 01}', DefectKind.SYNTAX, 1, "01"),
        ('{"a": "\\x"}', DefectKind.SYNTAX, 1, "JSON string"),
        ('{"a": "\t"}', DefectKind.SYNTAX, 1, "JSON string"),
        ('{"a": "1"} x', DefectKind.SYNTAX, 1, "after the end"),
        ("hccl.json:\n----\n{}", DefectKind.SYNTAX, 1, "hccl.json"),
        ("[" * 100_000, DefectKind.SYNTAX, 1, "nested"),
    ],
)
def test_text_that_cannot_be_read_is_explained(text, kind, line, words):
    document = read_json(text)
    assert document.root is None
    defect = document.defects[-1]
    assert (defect.kind, defect.line) == (kind, line)
    assert words in defect.message
    assert defect.fix


def test_untrusted_text_is_bounded_and_escaped_in_messages():
    (defect,) = read_json("\x1b[31m" + "A" * 10_000).defects
    assert "\x1b" not in defect.message
    assert len(defect.message) < 200
