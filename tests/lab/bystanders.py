# SPDX-License-Identifier: Apache-2.0
"""What others have on a host, of the same names and kinds as a run's own: it must outlive every run and clean-up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.plan import CACHE

from hakuna.inventory.model import GUIDE_IMAGE
from lab import host, machine

HOST = "lab-b"
_RAY = [
    *("ray", "start", "--head", "--port=6400", "--num-cpus=0", "--include-dashboard=false"),
    *("--object-store-memory=80000000", "--min-worker-port=30000", "--max-worker-port=30100"),
    *("--dashboard-agent-listen-port=30300", "--dashboard-agent-grpc-port=30301", "--runtime-env-agent-port=30302"),
    *("--metrics-export-port=30303", "--disable-usage-stats"),
]
_CONTAINER = ["docker", "run", "-d", "--name", "hakuna-2", "--net=host", "--entrypoint", "/bin/sleep"]
#: A process that is called as a run's are, of another run's label.
_PROCESS = "import signal; signal.pause()"
_ARGUMENTS = ["lmdeploy", "serve", "api_server", "/models/model", "raylet/raylet", "gcs_server"]


def on(lab, name, *words):
    return machine.run(lab.host(name).inside(*words))


@dataclass(frozen=True)
class Bystanders:
    """``container`` is its id; ``processes`` those of Ray and of nobody, each with its start time."""

    container: str
    processes: frozenset[tuple[int, int]]

    def untouched(self, lab):
        assert on(lab, HOST, "docker", "ps", "-q", "--no-trunc", "--filter", "name=hakuna-2").split() == [
            self.container
        ], "the neighbour's container"
        gone = self.processes - _living(lab)
        assert not gone, f"the neighbour's processes {gone}"


def settle(lab):
    """Start them all, and remember what makes them themselves."""
    container = on(lab, HOST, *_CONTAINER, GUIDE_IMAGE, "86400").strip()
    on(lab, HOST, f"{CACHE}/venv/bin/ray", *_RAY[1:], f"--node-ip-address={lab.plan.host_ip(HOST)}")
    host.spawn(lab.host(HOST), ["/usr/bin/python3", "-c", _PROCESS, *_ARGUMENTS], "/var/log/bystander.log")
    return Bystanders(container, frozenset(_living(lab)))


def _living(lab):
    """The host's own raylet, GCS and stand-in (not those in containers), by process id and start time."""
    init = lab.host(HOST).pid
    host_processes = Path(f"/proc/{init}/ns/pid").readlink()
    found = set()
    for pid in _machine():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            here = Path(f"/proc/{pid}/ns/pid").readlink() == host_processes
        except OSError:
            continue  # it has just ended
        if here and any(w.endswith(("raylet/raylet", "gcs_server")) for w in words):
            found.add((pid, machine.start_of(pid)))
    return found


def _machine():
    return [int(p.name) for p in Path("/proc").glob("[0-9]*")]


def traces(lab, run):
    """What is left of a run anywhere in the lab, in words; nothing is what is wanted."""
    found = [f"process {p}" for p in machine.marked(f"HAKUNA_RUN={run}")]
    for name in lab.hosts:
        ids = on(lab, name, "docker", "ps", "-aq", "--filter", f"label=hakuna.run={run}").split()
        found += [f"{name}: container {i}" for i in ids]
        lease = on(lab, name, "sh", "-c", "cat /tmp/hakuna-lease/lease 2>/dev/null || true")
        found += [f"{name}: lease {lease}"] if run in lease else []
    return found


def files(lab):
    """Files of any run, and scratch folders of batches that were cut off."""
    look = "ls -d /tmp/hakuna* /dev/shm/hakuna* 2>/dev/null || true"
    return [f"{name}: {path}" for name in lab.hosts for path in on(lab, name, "sh", "-c", look).split()]
