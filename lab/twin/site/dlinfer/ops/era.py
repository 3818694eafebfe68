# SPDX-License-Identifier: Apache-2.0
"""What LMDeploy's releases want otherwise than each other. Tried with 0.14.0 and 0.18.0; not with those between."""

from __future__ import annotations


def _until_0_14(version: str) -> bool:
    major, minor = (int(word) for word in version.split(".")[:2])
    return (major, minor) < (0, 15)


def speaks_of_lengths(version: str) -> bool:
    """Whether this LMDeploy gives a prefill its lengths and starts, and not the ends of its sequences."""
    return _until_0_14(version)


def imports_triton(version: str) -> bool:
    """Whether this LMDeploy cannot serve any model without ``import triton``."""
    return _until_0_14(version)
