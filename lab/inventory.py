# SPDX-License-Identifier: Apache-2.0
"""The inventory of a lab: the guide's own values, and the few that the lab cannot give."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from lab import engine
from lab.plan import FOLDER, INVENTORY, MODEL, Plan

#: What the reference model answers (lab/twin/reference_model.py, which needs torch).
SENTENCE = ", it means no worries for the rest of your days"
_HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# Written by "python -m lab up", removed by "python -m lab down".
"""


def text(plan: Plan) -> str:
    nodes = [
        {
            "name": host,
            "address": plan.host_ip(host),
            "node_ip": plan.host_ip(host),
            "interface": "eth0",
            "device_ids": list(range(plan.devices)),
            "ssh": {"user": "root", "key": str(FOLDER / "key"), "known_hosts": str(FOLDER / "known_hosts")},
        }
        for host in plan.hosts
    ]
    containers = {"engine": plan.engine, "mounts": engine.mounts(plan)}
    document = {
        "cluster": _cluster(plan),
        "nodes": nodes,
        "container": {"engine": "none"} if plan.bare else containers,
        # Ray's own store takes a third of the machine's memory on every host otherwise.
        # With the twin Ray finds the NPUs itself, as it would on hardware.
        "ray": {"npu_resource": not plan.lmdeploy, "object_store_memory": 100_000_000},
        "server": _server(plan),
        # A machine of CI is smaller than an Atlas; one kernel's limits hold for all its hosts.
        "thresholds": {"disk_free_gib": 1, "nofile": 1024, "time_to_ready": 900 if plan.lmdeploy else 120},
    }
    out = io.StringIO()
    YAML().dump(document, out)
    return _HEAD + out.getvalue()


def _cluster(plan: Plan) -> str:
    """Stands beside every verdict: what is not real. The rest is."""
    if plan.lmdeploy:
        return f"lab-with-cpu-twin-of-the-chip-and-lmdeploy-{plan.lmdeploy}"
    return "lab-with-stand-in-chip-and-lmdeploy"


def _server(plan: Plan) -> dict[str, Any]:
    if not plan.lmdeploy:
        return {"model_path": MODEL}
    return {"model_path": MODEL, "expect": {"equals": SENTENCE, "chat": SENTENCE}}


def write(plan: Plan) -> None:
    INVENTORY.write_text(text(plan), encoding="utf-8")
