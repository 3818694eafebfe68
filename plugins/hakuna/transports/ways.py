# SPDX-License-Identifier: Apache-2.0
"""The ways that a batch can take to many machines."""

from __future__ import annotations

import enum


class FanOut(enum.Enum):
    """Who fans a batch out."""

    AUTO = "auto"  # Ray, where it is up and there are many nodes; else ssh
    SSH = "ssh"  # this controller, over its own connections
    RAY = "ray"  # Ray, wherever it is up
