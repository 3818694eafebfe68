# SPDX-License-Identifier: Apache-2.0
"""hakuna-fan-out SECONDS: runs one script on each of many nodes as Ray tasks, pinned to them, all at once.

Standard input: base64 of zlib of ``{"node IP": "script for /bin/sh -s"}``. One line per node as soon as it has ended:
``node_ip <IP> <base64 of zlib of what the script printed>``, or ``node_ip <IP> ! <words>`` where it could not be run;
last ``fan-out-end <nodes>``. A task takes no NPU and no CPU of Ray's, so a service that holds all of them is not in
its way.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import subprocess
import sys
import time
import zlib
from typing import Any


def carry(script: str, seconds: float) -> bytes:
    """On the node: run the script; what it printed, packed.

    What has been printed when the time is over is given too: the script's own marks tell how far it came.
    """
    text = script.encode("utf-8", "surrogateescape")
    try:
        printed = subprocess.run(
            ["/bin/sh", "-s"], input=text, capture_output=True, timeout=seconds, check=False
        ).stdout
    except subprocess.TimeoutExpired as error:
        printed = error.stdout or b""
    return zlib.compress(printed, 1)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def words_of(error: BaseException) -> str:
    """One line of what Ray says."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {(str(cause).strip() or '-').splitlines()[0]}"


def main(scripts: dict[str, str], seconds: float) -> int:
    """Send every script to its node and tell what comes back; how many nodes were told of."""
    ray = importlib.import_module("ray")
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    ray.init(address=os.environ.get("RAY_ADDRESS", "auto"), logging_level="ERROR", log_to_driver=False)
    members = {n["NodeManagerAddress"]: n["NodeID"] for n in ray.nodes() if n["Alive"]}
    task = ray.remote(num_cpus=0, max_retries=0)(carry)
    waiting: dict[Any, str] = {}
    for address, script in scripts.items():
        if address not in members:
            say(f"node_ip {address} ! it is no live member of the Ray cluster")
            continue
        pinned = strategies.NodeAffinitySchedulingStrategy(members[address], soft=False)
        waiting[task.options(scheduling_strategy=pinned).remote(script, seconds)] = address
    end = time.monotonic() + seconds + 30.0  # a worker process has to be started first
    while waiting:
        done, _ = ray.wait(list(waiting), num_returns=1, timeout=max(0.0, end - time.monotonic()))
        if not done:
            break
        address = waiting.pop(done[0])
        try:
            packed = ray.get(done[0])
        except Exception as error:  # noqa: BLE001  # whatever Ray raises, it belongs to this node
            say(f"node_ip {address} ! {words_of(error)}")
        else:
            say(f"node_ip {address} {base64.b64encode(packed).decode()}")
    for address in waiting.values():
        say(f"node_ip {address} ! no answer in {seconds + 30:.0f} s")
    return len(scripts)


if __name__ == "__main__":
    try:
        wanted = json.loads(zlib.decompress(base64.b64decode(sys.stdin.read())))
        say(f"fan-out-end {main(wanted, float(sys.argv[2]))}")
        status = 0
    except Exception as error:  # noqa: BLE001  # whatever it is, the controller reports it
        say(f"fan-out-failed {words_of(error)}")
        status = 1
    # Ray's own farewell takes a second and nothing is left to be told.
    os._exit(status)
