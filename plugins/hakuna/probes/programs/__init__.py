# SPDX-License-Identifier: Apache-2.0
"""Python programs that run on the nodes, each a file of this folder, sent as ``python3 -c TEXT hakuna-NAME ARG...``.

They run with the node's own Python (3.8 or newer) and import what is installed there, only when they need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from hakuna.evidence import Command


@cache
def source(name: str) -> str:
    """The text of the program ``hakuna-NAME``."""
    file = resources.files(__name__).joinpath(f"{name.replace('-', '_')}.py")
    return file.read_text(encoding="utf-8")


def program(
    name: str,
    *args: str,
    id: str,  # noqa: A002  # the field of Command
    deadline: float = 60.0,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    lane: str = "",
    mutates: bool = False,
) -> Command:
    """The command that runs the program ``hakuna-NAME`` with ``args``."""
    argv = ("python3", "-c", source(name), f"hakuna-{name}", *args)
    return Command(id, argv, deadline=deadline, lane=lane, env=dict(env or {}), stdin=stdin, mutates=mutates)
