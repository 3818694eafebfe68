# SPDX-License-Identifier: Apache-2.0
"""Live progress: what a run is doing, for a person who waits and for a CI log that must not fall silent."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext

import pytest

from hakuna.stages.run import Run

#: How often something that is waited for is told: in a log, and on a terminal.
HEARTBEAT_SECONDS = 10.0
TERMINAL_SECONDS = 0.5


class Progress:
    """Stage code says what it does; under xdist the workers' words reach the controller through the journal."""

    def __init__(self, config: pytest.Config, run: Run, *, own_work: bool) -> None:
        self.config = config
        self.run = run
        self.own_work = own_work
        self.begun = time.monotonic()
        self._last_wait = self.begun
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if own_work and config.getoption("numprocesses", None):
            self._thread = threading.Thread(target=self._follow, name="hakuna-progress", daemon=True)
            self._thread.start()

    def say(self, text: str) -> None:
        """Tell it now (controller) or write it down for the controller to tell (worker)."""
        self.run.journal.write("progress", text=text)
        if self.own_work and self._thread is None:
            self._print(text)

    def wait(self, text: str) -> None:
        """Tell what is waited for: all the time on a terminal, on one line; else a line now and then."""
        now = time.monotonic()
        if now - self._last_wait < (TERMINAL_SECONDS if self._on_terminal() else HEARTBEAT_SECONDS):
            return
        self._last_wait = now
        if self._on_terminal():
            self._print(text, rewrite=True)
        else:
            self.say(text)

    def _on_terminal(self) -> bool:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        return self.own_work and self._thread is None and reporter is not None and reporter.isatty

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
            self._thread = None

    def _print(self, text: str, *, rewrite: bool = False) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self.config.get_verbosity() < 0:
            return
        capture = self.config.pluginmanager.get_plugin("capturemanager")
        line = f"hakuna {time.monotonic() - self.begun:6.1f} s  {text}"
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            if rewrite:
                reporter.rewrite(line, erase=True)
            else:
                self._write(reporter, line)

    @staticmethod
    def _write(reporter: pytest.TerminalReporter, line: str) -> None:
        reporter.ensure_newline()
        reporter.write_line(line)

    def _follow(self) -> None:
        """Print the workers' progress as it comes into the journal."""
        seen = 0
        while not self._stop.wait(0.5):
            said = [e["text"] for e in self.run.journal.events() if e["event"] == "progress"]
            for text in said[seen:]:
                reporter = self.config.pluginmanager.get_plugin("terminalreporter")
                if reporter is not None:
                    self._write(reporter, f"hakuna {time.monotonic() - self.begun:6.1f} s  {text}")
            seen = len(said)
