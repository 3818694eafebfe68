# SPDX-License-Identifier: Apache-2.0
"""Live progress: what a run is doing, for a person who waits and for a CI log that must not fall silent."""

from __future__ import annotations

import threading
import time

import pytest

from hakuna.stages.run import Run


class Progress:
    """Stage code says what it does; under xdist the workers' words reach the controller through the journal."""

    def __init__(self, config: pytest.Config, run: Run, *, own_work: bool) -> None:
        self.config = config
        self.run = run
        self.own_work = own_work
        self.begun = time.monotonic()
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

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
            self._thread = None

    def _print(self, text: str) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self.config.get_verbosity() < 0:
            return
        capture = self.config.pluginmanager.get_plugin("capturemanager")
        line = f"hakuna {time.monotonic() - self.begun:6.1f} s  {text}"
        if capture is None:
            self._write(reporter, line)
            return
        with capture.global_and_fixture_disabled():
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
