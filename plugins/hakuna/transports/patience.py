# SPDX-License-Identifier: Apache-2.0
"""Patience with a busy sshd: how many connections are made at a time, and how long refusals are tried again."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator

#: How long a connection or session that a busy sshd refuses is tried again, in seconds.
PATIENCE = 20.0

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


class BusyError(Exception):
    """The other side hung up before a login: worth another try."""


class Ramp:
    """How many connections may be in the making at one sshd: fewer after each refusal, more after each success.

    sshd's default MaxStartups starts to hang up at 10.
    """

    def __init__(self, limit: int = 8, most: int = 64) -> None:
        self._limit = limit
        self._most = most
        self._making = 0
        self._turn = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may be in the making now."""
        return self._limit

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn. BusyError is a refusal; another error tells nothing about the sshd's load."""
        with self._turn:
            self._turn.wait_for(lambda: self._making < self._limit)
            self._making += 1
        try:
            yield
        except BusyError:
            self._end(max(1, self._limit // 2))
            raise
        except BaseException:
            self._end(self._limit)
            raise
        self._end(min(self._most, self._limit + 1))

    def _end(self, limit: int) -> None:
        with self._turn:
            self._making -= 1
            self._limit = limit
            self._turn.notify_all()


def pauses(patience: float) -> Iterator[float]:
    """Jittered, growing pauses that add up to about ``patience`` seconds; waiting for a turn does not count."""
    spent = 0.0
    pause = _FIRST_PAUSE
    while spent < patience:
        yield pause * random.uniform(0.5, 1.5)  # noqa: S311  # spreads retries, guards nothing
        spent += pause
        pause = min(pause * 2, _LONGEST_PAUSE)
