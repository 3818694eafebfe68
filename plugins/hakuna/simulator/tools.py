# SPDX-License-Identifier: Apache-2.0
"""What a simulated tool is, and the registers that nodes look tools up in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from hakuna.simulator.node import SimNode


@dataclass(frozen=True)
class Result:
    """What a tool did. ``timed_out``: it would never have ended, and was ended at its deadline."""

    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    timed_out: bool = False


def say(out: str = "", err: str = "", exit_code: int = 0) -> Result:
    """A result made of text."""
    return Result(exit_code, out.encode("utf-8", "surrogateescape"), err.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True)
class Call:
    """One call of a tool on ``node``, on the host or inside ``container`` (its name).

    ``argv[0]`` is the tool as it was called; for a script or program it is that one's own name
    ("hakuna-procs"), and the rest are its own arguments. With ``spawn_log`` the tool is to stay behind: only
    tools that say so (``Tool.spawns``) see it.
    """

    node: SimNode
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    container: str | None = None
    spawn_log: str = ""


class Tool:
    """One executable. It keeps nothing itself: what it knows stands in the node's spec and state."""

    name: ClassVar[str] = ""
    #: Whether the tool itself handles a call with ``spawn_log`` and answers with the pid of what it left behind.
    spawns: ClassVar[bool] = False

    def run(self, call: Call) -> Result:
        raise NotImplementedError


TOOLS: dict[str, type[Tool]] = {}
SCRIPTS: dict[str, type[Tool]] = {}
PROGRAMS: dict[str, type[Tool]] = {}

_T = TypeVar("_T", bound=type[Tool])


def tool(*names: str) -> Callable[[_T], _T]:
    """Register an executable under its names on PATH."""
    return _register(TOOLS, names)


def script(name: str) -> Callable[[_T], _T]:
    """Register a node script: ``sh -c TEXT NAME ARG...``."""
    return _register(SCRIPTS, (name,))


def program(name: str) -> Callable[[_T], _T]:
    """Register a Python program: ``python3 -c TEXT NAME ARG...``."""
    return _register(PROGRAMS, (name,))


def _register(register: dict[str, type[Tool]], names: tuple[str, ...]) -> Callable[[_T], _T]:
    def decorate(cls: _T) -> _T:
        cls.name = names[0]
        for name in names:
            register[name] = cls
        return cls

    return decorate
