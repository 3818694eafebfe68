# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hakuna.reports.text import clean, for_xml, lines, one_line, plural


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain words", "plain words"),
        ("卡 3 正常", "卡 3 正常"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]8;;http://x\x1b\\b", "ab"),
        ("a\x1bPq#0\x1b\\b", "ab"),
        ("a\x9b31mb", "ab"),
        ("a\x1bcb", "ab"),
        ("a\x1b", "a"),
        ("a\x00\x08\x7fb", "ab"),
        ("a\u202eb\u200bc\ufeff", "abc"),
        ("a\ud800b", "ab"),
        ("a\tb\r\nc\rd", "a b\ncd"),
        ("a\u2028b", "a b"),
    ],
)
def test_clean_takes_out_what_a_terminal_obeys(raw, shown):
    assert clean(raw) == shown


@given(st.text(alphabet=st.characters()))
def test_clean_text_is_printable_and_stays_clean(raw):
    shown = clean(raw)
    assert "\x1b" not in shown
    assert not any(ord(c) < 32 and c != "\n" for c in shown)
    assert clean(shown) == shown


@given(st.text(alphabet=st.characters()))
def test_xml_text_is_accepted_by_a_parser(raw):
    text = for_xml(raw)
    element = ET.Element("a")
    element.text = text
    assert (ET.fromstring(ET.tostring(element, encoding="unicode")).text or "") == text


def test_one_line_joins_and_cuts():
    assert one_line(" a\n  b\tc ") == "a b c"
    assert one_line("x" * 20, 10) == "x" * 9 + "…"
    assert one_line("x" * 20) == "x" * 20


def test_lines_keep_their_indentation():
    assert lines("a\n\n  b  \n") == ["a", "  b"]


def test_plural():
    assert (plural(1, "check"), plural(2, "check")) == ("1 check", "2 checks")
