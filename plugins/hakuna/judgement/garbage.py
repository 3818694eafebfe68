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
_COMMON = set(".,;:!?'\"()[]{}<>-–—…/\\*#`_=+%&@|~$^“”‘’、。，；：！？（）《》「」【】·")


def why_garbage(text: str) -> str:
    """Why ``text`` cannot be a model's sensible answer, in a few words; empty if nothing speaks against it."""
    stripped = text.strip()
    if not stripped:
        return "empty"
    if "�" in stripped:
        return "undecodable bytes"
    control = sum(unicodedata.category(c) in ("Cc", "Co", "Cn") and c not in "\n\r\t" for c in stripped)
    if control:
        return "control or unassigned characters"
    words = stripped.split()
    if len(stripped) < SHORT:
        return ""
    odd = sum(not (c.isalnum() or c.isspace() or c in _COMMON) for c in stripped)
    if odd > MAX_ODD_SHARE * len(stripped):
        return "mostly symbols"
    if not any(c.isalpha() for c in stripped):
        return "no letters"
    if len(words) >= MIN_WORDS:
        word, count = Counter(words).most_common(1)[0]
        if count > MAX_REPEAT_SHARE * len(words):
            return f"{word!r} over and over"
    letters = [c for c in stripped if c.isalpha()]
    if len(set(letters)) <= 2 < MIN_WORDS <= len(letters):  # noqa: PLR2004  # "aaaaaaaa", "abababab"
        return "one or two letters over and over"
    scripts = {unicodedata.name(c, "?").partition(" ")[0] for c in letters}
    if len(scripts) > MAX_SCRIPTS:
        return f"{len(scripts)} scripts mixed"
    return ""
