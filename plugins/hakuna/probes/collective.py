# SPDX-License-Identifier: Apache-2.0
"""The all-reduce over all ranks: the program that does it and what it reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hakuna.evidence import Command
from hakuna.probes.programs import program
from hakuna.probes.reading import UnparsedError

DEADLINE = 300.0


@dataclass(frozen=True)
class Round:
    """One all-reduce of ``bytes`` per rank; ``gbps`` is the algorithm's bandwidth in Gbit/s."""

    bytes: int
    seconds: float
    gbps: float
    wrong_ranks: tuple[int, ...]


@dataclass(frozen=True)
class Rank:
    """Where a rank ran."""

    rank: int
    node_ip: str
    device: int


@dataclass(frozen=True)
class Collective:
    """``error`` is the program's own word when it could not do it; the rest is empty then."""

    backend: str = ""
    world_size: int = 0
    ranks: tuple[Rank, ...] = ()
    rounds: tuple[Round, ...] = ()
    error: str = ""


def collective(sizes: Sequence[int], world_size: int, env: Mapping[str, str]) -> Command:
    """All-reduce of each size in bytes over ``world_size`` ranks of the running Ray cluster."""
    command = program("hakuna-collective", str(world_size), *map(str, sizes), id="collective", deadline=DEADLINE)
    return replace(command, env={**command.env, **env}, mutates=True)


def parse_collective(text: str) -> Collective:
    """Read the program's JSON, the last line that is some.

    Raises:
        UnparsedError: there is no such line, or it lacks a field.
    """
    for line in reversed(text.splitlines()):
        if line.lstrip().startswith("{"):
            break
    else:
        raise UnparsedError("no JSON in the output of hakuna-collective")
    try:
        data = json.loads(line)
        if "error" in data:
            return Collective(error=str(data["error"]))
        return Collective(
            backend=data["backend"],
            world_size=data["world_size"],
            ranks=tuple(Rank(r["rank"], r["node_ip"], r["device"]) for r in data["ranks"]),
            rounds=tuple(Round(r["bytes"], r["seconds"], r["gbps"], tuple(r["wrong_ranks"])) for r in data["rounds"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UnparsedError(f"hakuna-collective's JSON is not as expected: {error!r}") from error
