# SPDX-License-Identifier: Apache-2.0  # noqa: INP001  # a script, run by its path
"""What a run costs by the size of the cluster: time, CPU and memory of simulated runs, and the parser's throughput.

python benchmarks/sizes.py --json FILE [--large]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import script

from hakuna.evidence import Ending, Outcome
from hakuna.probes.mesh import PingMesh
from hakuna.where import Where

#: Nodes and words of each run.
RUNS = {"2 x 8, all stages": (2, ()), "64 x 8, all stages": (64, ())}
LARGE = {"1024 x 8, preflight, rail mesh": (1024, ("--preflight", "--mesh=rail"))}
#: What a green run may end with: 1 says that something is not green, which an overloaded machine can bring about.
ENDS = (0, 1)


def one(folder: Path, nodes: int, words: tuple[str, ...]) -> dict[str, float | str]:
    """One run in a process of its own."""
    rows = "".join(
        f"  - {{name: n{n:04d}, address: n{n:04d}, node_ip: 10.{100 + n // 60000}.{n // 250}.{n % 250 + 1}}}\n"
        for n in range(nodes)
    )
    path = folder / f"{nodes}.yaml"
    path.write_text(f"cluster: c{nodes}\ntransport: simulated\nray: {{join_timeout: 30}}\nnodes:\n{rows}")
    argv = [sys.executable, "-m", "pytest", f"--inventory={path}", f"--reports={folder / 'reports'}", "-q", "--tb=no"]
    found = script.used([*argv, *words], ENDS)
    return {
        "seconds": round(found.seconds, 1),
        "cpu seconds": round(found.cpu, 1),
        "MiB": round(found.mib),
        "verdict": next((v for v in ("NOT READY", "INCONCLUSIVE", "READY") if f"\n{v}" in found.said), "none"),
    }


def parser(count: int = 1023, times: int = 40) -> float:
    """Pings read per CPU second, from a device's answer to column."""
    ips = [f"10.20.{n // 250}.{n % 250 + 1}" for n in range(count)]
    packets = "".join(f"recv seq={n},time=0.{n + 1}00000ms\n" for n in range(3))
    end = "3 packets transmitted, 3 received, 0.00% packet loss\n\nhakuna-status 0\n"
    text = "".join(f"hakuna-ping {ip}\ndevice 0 PING {ip}\n{packets}{end}" for ip in ips) + "pings-end\n"
    outcome = Outcome("hccn.pings/0", Ending.EXITED, 0, text.encode())
    place, targets = Where("a", 0), [Where("b", n) for n in range(count)]
    begun = time.process_time()
    for _ in range(times):
        mesh = PingMesh()
        mesh.read(mesh.open(place, targets), place, ips, outcome, "")
    return round(count * times / (time.process_time() - begun))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--large", action="store_true", help="1024 x 8 too: minutes, and 3 GB of disk in TMPDIR")
    chosen = options.parse_args()
    out: dict[str, object] = {"parser, pings per CPU second": parser()}
    for name, (nodes, words) in (RUNS | (LARGE if chosen.large else {})).items():
        with tempfile.TemporaryDirectory(prefix="hakuna-bench-") as folder:
            out[name] = one(Path(folder), nodes, words)
            sys.stderr.write(f"{name}: {json.dumps(out[name])}\n")
    chosen.json.write_text(json.dumps(out, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    script.finish(main)
