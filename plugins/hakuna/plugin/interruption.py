# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: the first ends the checks; every later one is answered, not obeyed, during the teardown."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: A first signal that had no effect in this time (somebody swallowed it) is followed by the next one.
SWALLOWED = 30.0


class Interruption:
    """Stands in for both signals' handlers as long as the session lasts."""

    def __init__(self, say: Callable[[str], None], seconds: float) -> None:
        self._say = say
        self._seconds = seconds
        self._first: float | None = None
        self._ending = False
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._hear)

    def end(self) -> None:
        """The run is being ended: nothing interrupts that."""
        self._ending = True

    def remove(self) -> None:
        """Give both signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        now = time.monotonic()
        if not self._ending and (self._first is None or now - self._first > SWALLOWED):
            self._first = now
            raise KeyboardInterrupt(signal.Signals(number).name)
        words = f"taking down what this run started; it ends by itself, within {self._seconds:.0f} s"
        # In a thread: this may have come in the middle of a line that is being written.
        threading.Thread(target=self._say, args=(words,), daemon=True).start()
