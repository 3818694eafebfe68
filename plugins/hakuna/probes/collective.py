# SPDX-License-Identifier: Apache-2.0
"""The all-reduce over all ranks: the command and what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hakuna.evidence import Command
from hakuna.probes.programs import program
from hakuna.probes.texts import program_answer, shaped


@dataclass(frozen=True)
class Rank:
    """Where one rank ran."""

    rank: int
    node_ip: str
    device: int


@dataclass(frozen=True)
class Round:
    """One all-reduce of ``bytes``; ``gbps`` in Gbit/s; ``wrong_ranks`` did not hold the sum afterwards.

    What is missing from a wrong sum is exactly what the ranks of ``lost_ranks`` put in.
    """

    bytes: int
    seconds: float
    gbps: float
    wrong_ranks: tuple[int, ...]
    lost_ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Collective:
    """The whole run. ``backend`` is hccl, gloo or ray-numpy, ``library`` whose it is.

    ``error`` is set where it broke off, ``failed_rank`` where one rank was the first to fail (-1: none was).
    ``left_out`` are sizes in bytes that the backend was not asked for.
    """

    backend: str = ""
    world_size: int = 0
    ranks: tuple[Rank, ...] = ()
    rounds: tuple[Round, ...] = ()
    error: str = ""
    library: str = ""
    failed_rank: int = -1
    left_out: tuple[int, ...] = ()

    def place(self, rank: int) -> Rank | None:
        """Where a rank ran, as far as it is known."""
        return next((r for r in self.ranks if r.rank == rank), None)


def collective(sizes: Iterable[int], world_size: int, label: Mapping[str, str]) -> Command:
    """One all-reduce per size in bytes, over all NPUs of the cluster; ``world_size`` only stretches the deadline."""
    words = [str(s) for s in sizes]
    return program("collective", *words, id="collective", deadline=360.0 + 2.0 * world_size, env=label, mutates=True)


@shaped
def parse_collective(text: str) -> Collective:
    """Read what ``hakuna-collective`` printed.

    Raises:
        UnparsedError: it printed something else.
    """
    answer = program_answer("hakuna-collective", text)
    error = str(answer.get("error", ""))
    if error and "backend" not in answer:
        return Collective(error=error)
    return Collective(
        str(answer["backend"]),
        int(answer["world_size"]),
        tuple(Rank(int(r["rank"]), str(r["node_ip"]), int(r["device"])) for r in answer["ranks"]),
        tuple(
            Round(
                int(r["bytes"]),
                float(r["seconds"]),
                float(r["gbps"]),
                tuple(int(w) for w in r["wrong_ranks"]),
                tuple(int(w) for w in r.get("lost_ranks", ())),
            )
            for r in answer["rounds"]
        ),
        error,
        str(answer.get("library", "")),
        int(answer.get("failed_rank", -1)),
        tuple(int(size) for size in answer.get("left_out", ())),
    )
