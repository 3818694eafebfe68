# SPDX-License-Identifier: Apache-2.0
"""Host ranges: ``node[01-16]``, ``node[1-2,5]``, ``10.0.0.[1-16]``, ``rack[1-2]-node[1-4]``."""

from __future__ import annotations

import itertools
import re

#: No inventory has more nodes than this; a longer range is a slip of the finger.
RANGE_LIMIT = 4096
_GROUP = re.compile(r"\[([^\[\]]*)\]")
_PART = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")


class RangeError(ValueError):
    """The text has brackets, but what is in them is not a range. The message says why."""


def has_range(text: str) -> bool:
    """Whether the text is written with brackets (an IPv6 address in brackets is not a range)."""
    return any(c in text for c in "[]") and not re.fullmatch(r"\[[^\[\]]*:[^\[\]]*\](:\d+)?", text)


def expand(text: str) -> list[str]:
    """All names that the text stands for, in order; a text without brackets stands for itself.

    Numbers keep the width that the first one is written with: ``[08-10]`` gives 08, 09, 10. With several
    brackets the last one counts fastest.

    Raises:
        RangeError: a bracket is not closed, empty, holds no numbers, counts down, or stands for too many names.
    """
    if not has_range(text):
        return [text]
    literals = _GROUP.split(text)[::2]
    if any(c in literal for literal in literals for c in "[]"):
        raise RangeError("a bracket without its partner")
    groups = [_numbers(group) for group in _GROUP.split(text)[1::2]]
    total = 1
    for group in groups:
        total *= len(group)
    if total > RANGE_LIMIT:
        raise RangeError(f"stands for {total} names, more than {RANGE_LIMIT}")
    return [
        "".join(itertools.chain.from_iterable(zip(literals, (*numbers, ""), strict=True)))
        for numbers in itertools.product(*groups)
    ]


def _numbers(group: str) -> list[str]:
    numbers: list[str] = []
    for part in group.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise RangeError(f'"{part.strip()}" is not a number or a range of numbers')
        first, last = match.group(1), match.group(2) or match.group(1)
        low, high = int(first), int(last)
        if high < low:
            raise RangeError(f"{first}-{last} counts down")
        if high - low >= RANGE_LIMIT:
            raise RangeError(f"stands for {high - low + 1} names, more than {RANGE_LIMIT}")
        if last.startswith("0") and len(last) != len(first):
            raise RangeError(f"{first}-{last} mixes widths")
        width = len(first) if first.startswith("0") else 0
        numbers += [str(n).zfill(width) for n in range(low, high + 1)]
    return numbers
