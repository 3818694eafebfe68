# SPDX-License-Identifier: Apache-2.0
"""The guide's ``lmdeploy serve``, typed by a person in the head's container: without Hakuna."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Timer
from typing import Any

from lab.plan import MODEL

from lab import machine

#: Where Hakuna looks for the server's log, too.
LOG = "/tmp/hakuna/api_server.log"  # on the lab's host, the inventory's default
PORT = 23333
_TROUBLE = re.compile(r"^(?:\([^)]*\)\s*)*(?:\S+ \S+ - \S+ - ERROR - |(?:\w+\.)*\w*(?:Error|Exception)\b)")


@dataclass(frozen=True)
class Alone:
    """What LMDeploy did: seconds until its first line of trouble (None: there was none) and until it ended."""

    said: float | None
    words: str
    ended: float | None
    log: str

    def __str__(self) -> str:
        said = "says nothing" if self.said is None else f"first word of it after {self.said:.0f} s ({self.words[:110]})"
        ended = "runs on" if self.ended is None else f"ended after {self.ended:.0f} s"
        return f"LMDeploy: {said}, {ended}"


def command(lab: Any, tp: int, env: dict[str, str] | None, more: tuple[str, ...]) -> list[str]:
    head = lab.plan.hosts[0]
    given = {"RAY_ADDRESS": f"{lab.plan.host_ip(head)}:6379", **(env or {})}
    words = ["docker", "exec", *(w for k, v in given.items() for w in ("-e", f"{k}={v}")), "hakuna"]
    words += ["sh", "-c", 'echo $$ >/tmp/serve.pid; exec "$@"', "serve", "lmdeploy", "serve", "api_server", MODEL]
    return [*words, "--backend", "pytorch", "--device", "ascend", "--tp", str(tp), *more]


def end(lab: Any) -> None:
    """End it, and the engine's process, which outlives it; then Ray ends the workers."""
    head = lab.plan.hosts[0]
    kill = "kill $(cat /tmp/serve.pid); sleep 2; kill -9 $(ps -eo pid,args | awk '/[m]ultiprocessing|[l]mdeploy serve/ {print $1}')"
    machine.run(lab.host(head).inside("docker", "exec", "hakuna", "sh", "-c", f"({kill}) 2>&1"), check=False)
    for host in lab.plan.hosts:
        machine.wait_for(lambda host=host: not workers(lab, host), f"the workers of {host} to go", 60)


def workers(lab: Any, host: str) -> list[int]:
    """The workers' processes on a host, by the numbers that they have in their container."""
    look = "ps -eo pid,args | grep '[r]ay::RayWorkerWrapper' | awk '{print $1}'"
    said = machine.run(lab.host(host).inside("docker", "exec", "hakuna", "sh", "-c", look), check=False)
    return [int(word) for word in said.split()]


def alone(lab: Any, tp: int, env: dict[str, str] | None = None, seconds: float = 60) -> Alone:
    """Serve until it ends by itself, or for so many seconds."""
    head = lab.host(lab.plan.hosts[0])
    words = head.inside(*command(lab, tp, env, ("--eager-mode",)))
    begun = time.monotonic()
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines: list[str] = []
    said: float | None = None
    trouble = ""
    ended: float | None = None
    with running, _timer(seconds, lambda: end(lab)) as out_of_time:
        for line in running.stdout or ():
            lines.append(line)
            if said is None and _TROUBLE.match(line) and not out_of_time:
                said, trouble = time.monotonic() - begun, line.strip()
    if not out_of_time:
        ended = time.monotonic() - begun
        end(lab)
    return Alone(said, trouble, ended, "".join(lines))


@contextlib.contextmanager
def serving(lab: Any, tp: int, env: dict[str, str] | None = None, *more: str, seconds: float = 300) -> Iterator[float]:
    """A server that answers; the seconds that it took."""
    head = lab.host(lab.plan.hosts[0])
    machine.run(head.inside("mkdir", "-p", LOG.rpartition("/")[0]))
    begun = time.monotonic()
    words = head.inside("sh", "-c", f'exec "$@" >{LOG} 2>&1', "serve", *command(lab, tp, env, more))
    running = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    try:
        machine.wait_for(lambda: running.poll() is not None or _healthy(head), "the server to answer", seconds)
        assert running.poll() is None, machine.run(head.inside("tail", "-n", "30", LOG))
        yield time.monotonic() - begun
    finally:
        end(lab)
        running.wait(60)


def _healthy(head: Any) -> bool:
    ask = f"from urllib.request import urlopen; urlopen('http://127.0.0.1:{PORT}/health', timeout=5)"
    return subprocess.run(head.inside("/usr/bin/python3", "-c", ask), capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def _timer(seconds: float, then: Any) -> Iterator[list[bool]]:
    """Do something when time is over; the list is not empty from then on."""
    over: list[bool] = []

    def act() -> None:
        over.append(True)
        then()

    timer = Timer(seconds, act)
    timer.start()
    try:
        yield over
    finally:
        timer.cancel()
        timer.join()  # what it does is done before anything else begins
