# SPDX-License-Identifier: Apache-2.0
"""Which of two shapes the attention operators have."""

from __future__ import annotations


def speaks_of_lengths(version: str) -> bool:
    """Whether this LMDeploy gives a prefill its lengths and starts, and not the ends of its sequences.

    Tried with 0.14.0 (lengths) and 0.18.0 (ends); releases between them were not looked at.
    """
    major, minor = (int(word) for word in version.split(".")[:2])
    return (major, minor) < (0, 15)
