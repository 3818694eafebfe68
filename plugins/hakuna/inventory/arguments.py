# SPDX-License-Identifier: Apache-2.0
"""Extra arguments that say again, or against, what the inventory has a setting for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from hakuna.inventory.model import Inventory

#: Flags of `lmdeploy serve api_server` that the inventory sets itself, and the setting.
SERVER_FLAGS: Mapping[str, str] = {
    "--tp": "server.tp",
    "--eager-mode": "server.eager_mode",
    "--backend": "server.backend",
    "--device": "server.device",
    "--server-port": "server.port",
    "--model-name": "server.served_name",
    "--api-keys": "server.api_key_env or server.api_key_file",
}
#: Flags of `docker run` that the inventory sets itself, and the setting ("" when there is no choice).
CONTAINER_FLAGS: Mapping[str, str] = {
    "--name": "container.name",
    "--privileged": "container.privileged",
    "--entrypoint": "container.entrypoint",
    "--shm-size": "container.shm_size",
    "--net": "",
    "--network": "",
    "--detach": "",
    "--interactive": "",
    "--tty": "",
    "--rm": "",
}
_DETACHED = re.compile(r"-[dit]+(=.*)?")


class Add(Protocol):
    """How a problem is told: the setting's path, what is wrong, what to do."""

    def __call__(self, path: str, message: str, hint: str, *, value: object = "") -> None: ...


def check_arguments(inventory: Inventory, add: Add) -> None:
    """Complain about every flag of both ``extra_args`` that the inventory has a setting for."""
    server, container = inventory.server.extra_args, inventory.container.extra_args
    _check("server.extra_args", server, SERVER_FLAGS, add, underscores=True)
    _check("container.extra_args", container, CONTAINER_FLAGS, add, underscores=False)
    for index, word in enumerate(container):
        before = container[index - 1] if index else ""
        label = word if before in ("--label", "-l") else word.partition("=")[2] if word.startswith("--label=") else ""
        if label.partition("=")[0] == "hakuna.run":
            add(
                f"container.extra_args[{index}]",
                "the label by which a run knows its containers",
                "remove it",
                value=word,
            )


def _check(path: str, words: Sequence[str], flags: Mapping[str, str], add: Add, *, underscores: bool) -> None:
    for index, word in enumerate(words):
        where = f"{path}[{index}]"
        if not word.startswith("-"):
            continue
        flag = re.split(r"[=\s]", word, maxsplit=1)[0]
        name = flag.replace("_", "-") if underscores else flag  # LMDeploy's parser takes both
        if name in flags or (not underscores and _DETACHED.fullmatch(flag)):
            setting = flags.get(name, "")
            hint = f"remove it and set {setting}" if setting else "remove it: the run decides this itself"
            add(where, "the inventory sets this flag itself", hint, value=flag)
        elif re.match(r"--?[\w-]+\s", word):
            add(where, "several words in one entry", "give each word an entry of its own", value=flag)
