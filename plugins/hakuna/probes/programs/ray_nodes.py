# SPDX-License-Identifier: Apache-2.0
"""hakuna-ray-nodes: prints the members of the Ray cluster as Ray's own API tells them."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from typing import Any


def members() -> dict[str, Any]:
    """What docs/architecture.md says that this program prints."""
    ray = importlib.import_module("ray")
    # RAY_ADDRESS, if set, names the cluster; "auto" alone never starts a private one.
    ray.init(address=os.environ.get("RAY_ADDRESS", "auto"), logging_level="ERROR", log_to_driver=False)
    nodes = [
        {
            "id": n["NodeID"],
            "alive": bool(n["Alive"]),
            "address": n["NodeManagerAddress"],
            "hostname": n.get("NodeManagerHostname", ""),
            "resources": n.get("Resources", {}),
        }
        for n in ray.nodes()
    ]
    gcs = ray.get_runtime_context().gcs_address
    return {"ray": ray.__version__, "python": platform.python_version(), "gcs": gcs, "nodes": nodes}


if __name__ == "__main__":
    try:
        answer = members()
    except Exception as error:  # noqa: BLE001  # whatever it is, the controller reports it
        answer = {"error": "%s: %s" % (type(error).__name__, str(error).strip())}  # noqa: UP031  # plain for 3.8
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    # Ray's own farewell takes a second and nothing is left to be told.
    os._exit(1 if "error" in answer else 0)
