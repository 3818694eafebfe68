# SPDX-License-Identifier: Apache-2.0
"""What LMDeploy 0.18.0 asks before it starts, outside any try."""


def ensure_ascend_runtime() -> None:
    """There is no CANN whose version could be wrong."""
