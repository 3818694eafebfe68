# SPDX-License-Identifier: Apache-2.0
"""Runs batch scripts under the shells of this machine, without ssh."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from hakuna.evidence import Batch, Command, Outcome
from hakuna.transports.framing import Decoder, new_nonce, script

SHELLS = {
    "sh": ["/bin/sh"],
    "dash": ["dash"],
    "bash": ["bash", "--posix"],
    "busybox": ["busybox", "sh"],
}


def _is_usable(name: str) -> bool:
    """Present, and not a busybox that prefers its own applets to PATH: no machine has such a /bin/sh."""
    words = SHELLS[name]
    if not shutil.which(words[0]):
        return False
    probe = subprocess.run([*words, "-c", "PATH=/nowhere cat /dev/null"], check=False, capture_output=True)
    return probe.returncode != 0


#: Each program once: /bin/sh is one of the others on most machines.
PRESENT = list(
    {Path(shutil.which(words[0]) or "").resolve(): name for name, words in SHELLS.items() if _is_usable(name)}.values()
)


def stream(commands: list[Command], shell: list[str], env: dict[str, str] | None = None) -> tuple[Batch, str, bytes]:
    batch, nonce = Batch(tuple(commands)), new_nonce()
    done = subprocess.run(
        [*shell, "-s"],
        input=script(batch, nonce),
        capture_output=True,
        timeout=60,
        env={**os.environ, **(env or {})},
        check=False,  # how the script itself ends is told by its frames
    )
    return batch, nonce, done.stdout


def decode(commands: list[Command], shell: list[str], env: dict[str, str] | None = None) -> Decoder:
    batch, nonce, data = stream(commands, shell, env)
    decoder = Decoder(batch, nonce)
    decoder.feed(data)
    return decoder


def run(commands: list[Command], shell: list[str]) -> dict[str, Outcome]:
    decoder = decode(commands, shell)
    assert decoder.complete, decoder.problem
    return dict(decoder.outcomes())


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def sleeping(seconds: str) -> bool:
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words.read_bytes() == f"sleep\0{seconds}\0".encode():
                return True
        except OSError:  # noqa: PERF203  # processes come and go
            continue
    return False


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state[state.rindex(")") + 2] != "Z"
