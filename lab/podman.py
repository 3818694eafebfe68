# SPDX-License-Identifier: Apache-2.0
"""Podman on a lab host: rootful, without a daemon, in the host's own namespaces."""

from __future__ import annotations

from lab import host
from lab.machine import Process, run
from lab.plan import IN_HOST

CONFIG = f"""\
[containers]
cgroups = "no-conmon"  # the monitor stays where the lab's process 1 can end it; its group would outlive the lab
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "lab"
[engine.runtimes]
lab = ["{IN_HOST}/oci-runtime"]
"""
STORAGE = """\
[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


def start(init: Process, archive: str) -> None:
    """Set podman up and give it the image; there is nothing to leave running."""
    for name, text in (("containers.conf", CONFIG), ("storage.conf", STORAGE), ("policy.json", POLICY)):
        host.put(init, f"/etc/containers/{name}", text.encode())
    run(init.inside("podman", "load", "-q", "-i", archive))
