# SPDX-License-Identifier: Apache-2.0
"""Hakuna: acceptance harness for LMDeploy served across several Ascend machines.

A site's own check needs one file and ``from hakuna import rule``; see docs/writing-checks.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hakuna.judgement.rules import rule
    from hakuna.where import Where

__version__ = "0.1.0"
__all__ = ["Where", "__version__", "rule"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are asked for: an installed but unused plugin costs nothing."""
    if name == "rule":
        from hakuna.judgement.rules import rule

        return rule
    if name == "Where":
        from hakuna.where import Where

        return Where
    msg = f"module 'hakuna' has no attribute {name!r}"
    raise AttributeError(msg)
