# SPDX-License-Identifier: Apache-2.0
"""A model of a cluster: what it is like (spec), what happens on it (state), and one small class per tool."""

from __future__ import annotations

import importlib

#: Modules that register tools, scripts and programs when they are imported.
TOOL_MODULES = (
    "hccn_tool",
    "ping_lane",
    "npu_smi",
    "host_tools",
    "network_tools",
    "engine",
    "node_scripts",
    "process_scripts",
    "programs",
    "ray",
    "lmdeploy",
)


def load_tools() -> None:
    """Import every module of tools; the first node of a simulated cluster needs them, nobody else does."""
    for name in TOOL_MODULES:
        importlib.import_module(f"hakuna.simulator.{name}")
