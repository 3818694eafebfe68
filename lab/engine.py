# SPDX-License-Identifier: Apache-2.0
"""The hosts' container engine: a dockerd each, or podman, and what the lab's containers are made of."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

from lab import host, image, podman
from lab.machine import Process, run
from lab.plan import CACHE, CGROUP, IN_HOST, Plan

VENV = CACHE / "venv"
REQUIREMENTS = ("ray>=2.40,<3", "numpy")
RUNTIME = f"{IN_HOST}/oci-runtime"
ARCHIVE = str(CACHE / "image.tar")
LOG = "/var/log/dockerd.log"


def prepare(say: Callable[[str], None]) -> None:
    """Make Ray's virtual environment and the image, both in the cache, unless they are there."""
    stamp = VENV / ".hakuna-lab"
    wanted = f"{platform.machine()} {' '.join(REQUIREMENTS)}\n"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        say(f"installing {', '.join(REQUIREMENTS)} into {VENV}")
        run(["/usr/bin/python3", "-m", "venv", str(VENV)])
        run([str(VENV / "bin/pip"), "install", "-q", "--disable-pip-version-check", *REQUIREMENTS])
        stamp.write_text(wanted, encoding="utf-8")
    image.build(VENV)


def start(plan: Plan, name: str, init: Process) -> None:
    """Start the host's engine and give it the image."""
    wrapper = Path(__file__).with_name("oci_runtime.py")
    host.put(init, RUNTIME, wrapper.read_bytes())
    host.put(init, f"{IN_HOST}/cgroup", f"/{CGROUP}/{name}".encode())
    run(init.inside("chmod", "755", RUNTIME))
    if plan.engine == "podman":
        podman.start(init, ARCHIVE)
    else:
        _dockerd(name, init)


def _dockerd(name: str, init: Process) -> None:
    words = ["dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=overlay2"]
    words += [f"--add-runtime=lab={RUNTIME}", "--default-runtime=lab", f"--cgroup-parent=/{CGROUP}/{name}"]
    host.spawn(init, words, LOG)
    host.await_file(init, "/run/docker.sock", LOG)
    run(init.inside("docker", "load", "-q", "-i", ARCHIVE))
