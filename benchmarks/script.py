# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # beside the scripts that use it
"""What the benchmarks' scripts have in common: their end, and what one process of theirs used."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Used:
    """What one process took: wall and CPU seconds (user and system), MiB at most, and what it printed."""

    seconds: float
    cpu: float
    mib: float
    said: str


def used(argv: list[str], ends: tuple[int, ...] = (0,)) -> Used:
    """Run one process in the project's folder to its end.

    Raises:
        RuntimeError: it ended with none of ``ends``.
    """
    with tempfile.TemporaryFile("w+") as out:
        begun = time.perf_counter()
        process = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        out.seek(0)
        said = out.read()
    if os.waitstatus_to_exitcode(status) not in ends:
        raise RuntimeError(said[-2000:])
    return Used(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


def finish(main: Callable[[], int]) -> NoReturn:
    """End the script with what ``main`` returns; what it could not do is told in words."""
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(f"benchmark: {error}")
