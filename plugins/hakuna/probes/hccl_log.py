# SPDX-License-Identifier: Apache-2.0
"""HCCL's errors in any log: by their code where it is written, by their known words where it is not."""

from __future__ import annotations

from dataclasses import dataclass

from hakuna.probes.hccl_codes import OTHER, code_of
from hakuna.probes.log_places import own_rank
from hakuna.probes.texts import clean, shown

__all__ = ["OTHER", "HcclError", "parse_hccl_log"]


@dataclass(frozen=True)
class HcclError:
    """One error; ``code`` as CANN numbers it ("EI0006"), or :data:`OTHER`. ``rank`` where the line names it."""

    code: str
    text: str
    rank: int | None = None


def parse_hccl_log(text: str) -> tuple[HcclError, ...]:
    """Every different error in a log, in its order; nothing for a log without errors.

    An error without a known code is told as :data:`OTHER`, and only if no code explains the log.
    """
    found: dict[tuple[str, int | None], HcclError] = {}
    others: list[HcclError] = []
    for raw in clean(text).split("\n"):
        line = raw.strip().partition("Solution:")[0]
        code = code_of(line)
        if not code:
            continue
        error = HcclError(code, shown(line, 400), own_rank(line))
        if code == OTHER:
            others.append(error)
        else:
            found.setdefault((code, error.rank), error)
    return tuple(found.values()) or tuple(others[:1])
