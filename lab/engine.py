# SPDX-License-Identifier: Apache-2.0
"""The hosts' container engine."""

from __future__ import annotations

from collections.abc import Callable

from lab.machine import Process


def prepare(say: Callable[[str], None]) -> None:
    del say


def start(host: str, init: Process) -> None:
    del host, init
