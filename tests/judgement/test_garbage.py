# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hakuna.judgement.garbage import why_garbage


@pytest.mark.parametrize(
    "text",
    [
        "Hakuna Matata! It means no worries.",
        "Yes",
        "42",
        "哈库呐玛塔塔，意思是没有烦恼！（来自《狮子王》）",
        "```python\nprint([x ** 2 for x in range(10)])\n```",
        "No no no, that is not it at all.",
        "«Bonjour» – ça va ? … Oui !",
        "1. Eins\n2. Zwei\n3. Drei",
        "C'est la vie 😀😀",
    ],
)
def test_sensible_texts_pass(text):
    assert why_garbage(text) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("ab\ufffdcd", "undecodable"),
        ("ab\x00\x01cd", "control"),
        ("☃☄★☆☇☈☉☊☋ a", "symbols"),
        ("!!!!!!!!!!!!", "no letters"),
        ("the the the the the the the the the", "over and over"),
        ("aaaaaaaaaaaaaaaa", "over and over"),
        ("abc где 漢字 ひら عرب ไทย", "scripts"),
    ],
)
def test_garbage_is_told_with_its_reason(text, why):
    assert why in why_garbage(text)
