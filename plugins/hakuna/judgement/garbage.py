# SPDX-License-Identifier: Apache-2.0
"""Whether a generated text is garbage: what a lost rank or a broken collective makes a model say."""

from __future__ import annotations

import unicodedata
from collections import Counter

#: Texts shorter than this are not judged by their mixture: one odd token is not a pattern.
SHORT = 8
#: At most this share of a sensible text is neither letters, digits, blanks nor common punctuation.
MAX_ODD_SHARE = 0.3
#: At most this share of a longer text's words is one and the same word.
MAX_REPEAT_SHARE = 0.6
MIN_WORDS = 8
MAX_SCRIPTS = 4
_ASCII = set(".,;:!?'\"()[]{}<>-/\\*#`_=+%&@|~$^")


def _is_odd(character: str) -> bool:
    """Neither letter, digit, blank nor punctuation of any script."""
    if character.isalnum() or character.isspace() or character in _ASCII:
        return False
    return not unicodedata.category(character).startswith("P")


def why_garbage(text: str) -> str:
    """Why ``text`` cannot be a model's sensible answer, in a few words; empty if nothing speaks against it."""
    stripped = text.strip()
    reasons = (_bytes, _symbols, _repetition, _scripts)
    if not stripped:
        return "empty"
    return next((why for reason in reasons if (why := reason(stripped))), "")


def _bytes(text: str) -> str:
    if "\ufffd" in text:
        return "undecodable bytes"
    if any(unicodedata.category(c) in ("Cc", "Co", "Cn") and c not in "\n\r\t" for c in text):
        return "control or unassigned characters"
    return ""


def _symbols(text: str) -> str:
    if len(text) < SHORT:
        return ""
    if sum(map(_is_odd, text)) > MAX_ODD_SHARE * len(text):
        return "mostly symbols"
    return "" if any(c.isalpha() for c in text) else "no letters"


def _repetition(text: str) -> str:
    words = text.split()
    if len(words) >= MIN_WORDS:
        word, count = Counter(words).most_common(1)[0]
        if count > MAX_REPEAT_SHARE * len(words):
            return f"{word!r} over and over"
    letters = [c for c in text if c.isalpha()]
    if len(letters) >= MIN_WORDS and len(set(letters)) <= 2:  # noqa: PLR2004  # "aaaaaaaa", "abababab"
        return "one or two letters over and over"
    return ""


def _scripts(text: str) -> str:
    scripts = {unicodedata.name(c, "?").partition(" ")[0] for c in text if c.isalpha()}
    return f"{len(scripts)} scripts mixed" if len(scripts) > MAX_SCRIPTS else ""
