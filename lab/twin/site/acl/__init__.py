# SPDX-License-Identifier: Apache-2.0
"""Stand-in for CANN's pyACL: as much of it as Ray asks to find out how many NPUs a node has."""

from __future__ import annotations

import os


def get_soc_name() -> str:
    """The chip's name (``TWIN_CHIP``)."""
    return os.environ.get("TWIN_CHIP", "Ascend910B3")


class rt:  # noqa: N801  # pyACL's own name
    """pyACL's run-time part."""

    @staticmethod
    def get_device_count() -> tuple[int, int]:
        """How many devices there are (``TWIN_DEVICES``), and ACL's success."""
        return int(os.environ.get("TWIN_DEVICES", "8")), 0
