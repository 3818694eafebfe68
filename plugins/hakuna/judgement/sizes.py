# SPDX-License-Identifier: Apache-2.0
"""Sizes as container engines write them: ``64m``, ``500g``."""

from __future__ import annotations

import re

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)


def size_in_bytes(text: str) -> int:
    """The bytes of a size; without a unit it is bytes, and k, m, g, t are powers of 1024 as for Docker.

    Raises:
        ValueError: the text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        msg = f"not a size: {text!r} (expected for example 500g)"
        raise ValueError(msg)
    return int(float(match[1]) * _UNITS[match[2].lower()])


def size_in_gib(text: str) -> float:
    """The same in GiB.

    Raises:
        ValueError: the text is not a size.
    """
    return size_in_bytes(text) / (1 << 30)
