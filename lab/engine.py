# SPDX-License-Identifier: Apache-2.0
"""The hosts' container engine: a dockerd each, or podman, and what the lab's containers are made of."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

from lab import host, image, podman
from lab.machine import Process, run
from lab.plan import CACHE, CGROUP, IN_HOST, MODEL, Plan
from lab.twin import packages as twin

VENV = CACHE / "venv"
REQUIREMENTS = ("ray>=2.40,<3", "numpy")
RUNTIME = f"{IN_HOST}/oci-runtime"
LOG = "/var/log/dockerd.log"


def venv(plan: Plan) -> Path:
    """The virtual environment that the containers of this lab see."""
    return twin.VENV if plan.lmdeploy else VENV


def mounts(plan: Plan) -> list[str]:
    """What the lab's containers get besides the guide's own mounts."""
    folders = [str(venv(plan))]
    if plan.lmdeploy:
        folders += [str(twin.release(plan.lmdeploy)), image.TWIN]
    return [*(f"{folder}:{folder}:ro" for folder in folders), "/models:/models"]


def prepare(plan: Plan, say: Callable[[str], None]) -> None:
    """Make the virtual environment and the image, both in the cache, unless they are there."""
    if plan.lmdeploy:
        twin.prepare(plan.lmdeploy, say)
        image.build(twin.VENV, image.Twin(twin.release(plan.lmdeploy), plan.devices))
        return
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
    archive = str(image.path(twin=bool(plan.lmdeploy)))
    if plan.lmdeploy:
        _furnish_twin(init)
    if plan.engine == "podman":
        podman.start(init, archive)
    else:
        dockerd(name, init)
        run(init.inside("docker", "load", "-q", "-i", archive))


def dockerd(name: str, init: Process) -> None:
    """Start the host's dockerd and wait until it listens."""
    words = ["dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=overlay2"]
    words += [f"--add-runtime=lab={RUNTIME}", "--default-runtime=lab", f"--cgroup-parent=/{CGROUP}/{name}"]
    host.spawn(init, words, LOG)
    host.await_file(init, "/run/docker.sock", LOG)


def _furnish_twin(init: Process) -> None:
    """The stand-ins and the model, each host's own, so that each can lose them."""
    for source, place in ((twin.SITE, image.TWIN), (twin.MODEL, MODEL)):
        run(init.inside("sh", "-c", 'rm -rf "$2" && cp -r "$1" "$2"', "copy", str(source), place))
