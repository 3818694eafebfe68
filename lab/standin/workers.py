# SPDX-License-Identifier: Apache-2.0
"""One Ray worker per device, in processes that are called like lmdeploy's own."""

from __future__ import annotations

import importlib
import os
from typing import Any


class RayWorkerWrapper:
    """Holds one NPU of the cluster."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def where(self) -> tuple[int, str]:
        """Rank and host."""
        return self.rank, os.uname().nodename


def start(tp: int) -> list[Any]:
    """Start ``tp`` workers on the running cluster and wait until each has answered."""
    ray = importlib.import_module("ray")
    ray.init(address="auto", logging_level="ERROR", log_to_driver=False, ignore_reinit_error=True)
    remote = ray.remote(num_cpus=0, resources={"NPU": 1})(RayWorkerWrapper)
    group = [remote.remote(rank) for rank in range(tp)]
    ray.get([worker.where.remote() for worker in group], timeout=300)
    return group


def end(group: list[Any]) -> None:
    """End the workers and leave the cluster."""
    ray = importlib.import_module("ray")
    for worker in group:
        ray.kill(worker)
    ray.shutdown()
