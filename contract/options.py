# SPDX-License-Identifier: Apache-2.0
"""The commands that a release's parser must take, and the options that Hakuna's own readers must know of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hakuna.inventory.model import Inventory
from hakuna.probes.lmdeploy import api_server_argv, parse_arguments, words_taken
from hakuna.simulator import lmdeploy_options
from hakuna.simulator.lmdeploy_server_release import Release

_NODES = [{"name": f"node-{n}", "address": f"192.0.2.1{i}", "node_ip": f"192.0.2.1{i}"} for i, n in enumerate("ab")]


def commands(model: str, version: str) -> tuple[tuple[str, ...], ...]:
    """What Hakuna makes of inventories: the guide's command, graph mode, another port and name, more options, a key."""
    batch = "--max_batch_size" if Release(version).number >= (0, 9, 2) else "--max-batch-size"
    settings: tuple[tuple[dict[str, Any], bool], ...] = (
        ({}, True),
        ({}, False),
        ({"port": 8000, "served_name": "hakuna"}, True),
        ({"extra_args": ["--log-level", "INFO", "--session-len", "4096", "--cache-max-entry-count", "0.6"]}, True),
        ({"extra_args": [batch, "64", "--max-prefill-token-num=4096", "--server-name", "::1"]}, True),
    )
    found = []
    for server, eager in settings:
        document = {"transport": "simulated", "nodes": _NODES, "server": {"model_path": model, **server}}
        found.append(api_server_argv(Inventory.model_validate(document), eager=eager))
    found.append((*found[0], "--api-keys", "one-key"))  # as hakuna-serve adds it
    return tuple(found)


def wanted_config(argv: Sequence[str]) -> dict[str, Any]:
    """What must arrive in the release's engine configuration, as Hakuna reads the command."""
    read = parse_arguments(argv)
    return {"tp": read.tp, "device_type": read.device, "eager_mode": read.eager_mode}


def differences(version: str, real: Mapping[str, int | str]) -> list[str]:
    """Options that the simulated command line or Hakuna's reader of command lines takes for something else."""
    found: list[str] = []
    simulated = lmdeploy_options.words_taken(Release(version).number)
    for name in sorted({*real, *simulated}):
        if name not in simulated:
            found.append(f"{name} (takes {real[name]}) is not simulated")
        elif name not in real:
            found.append(f"{name} is simulated, {version} has it not")
        elif real[name] != simulated[name]:
            found.append(f"{name} takes {real[name]}, simulated {simulated[name]}")
        if name in real and words_taken(name.removeprefix("--")) != _plain(real[name]):
            found.append(f"{name} takes {real[name]}, Hakuna reads {words_taken(name.removeprefix('--'))}")
    return found


def _plain(words: int | str) -> int | str:
    return "*" if words in ("*", "+") else words
