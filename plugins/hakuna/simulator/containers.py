# SPDX-License-Identifier: Apache-2.0
"""Containers as the state keeps them, and what is seen inside: devices, shared memory, mounts, environment."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from hakuna.simulator import processes
from hakuna.simulator.state import Data, section

if TYPE_CHECKING:
    from hakuna.simulator.node import SimNode

#: What the fault leftover-container leaves: a container of a run that was never taken down.
LEFTOVER = "hakuna-left"
LEFTOVER_RUN = "20240102-030405-dead"

Record = dict[str, Any]

CONTROL_NODES = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
DEFAULT_SHM = 64 * 2**20
#: What a container's image sets.
IMAGE_ENV = {
    "PATH": "/usr/local/python3.11.10/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "ASCEND_TOOLKIT_HOME": "/usr/local/Ascend/ascend-toolkit/latest",
}


def all_of(node: SimNode) -> dict[str, Record]:
    """The node's containers by name; not to be changed."""
    data = node.state.read()
    found: dict[str, Record] = data["containers"].get(node.name, {})
    if node.spec.has("leftover-container", node.name) and not data.get("removed", {}).get(node.name):
        return {LEFTOVER: _leftover(node), **found}
    if node.spec.has("name-taken", node.name):
        name = node.inventory.container.name
        return {**found, name: {**_leftover(node), "name": name, "labels": {}}}
    return found


def find(node: SimNode, word: str) -> Record | None:
    """A container by its name or the beginning of its id."""
    known = all_of(node)
    if word in known:
        return known[word]
    if re.fullmatch(r"[0-9a-f]{4,64}", word):
        return next((c for c in known.values() if c["id"].startswith(word)), None)
    return None


def remove(node: SimNode, data: Data, record: Record) -> None:
    """Take a container away (inside a transaction) with its processes and its own files."""
    stop(node, data, record)
    for i in node.spec.faulty_devices("npu-not-freed", node.name):
        row = {"npu": i, "pid": 88001 + i, "name": "ray::RayWorkerWrapper", "memory_mb": 57671}
        section(data, "npu_processes", node.name).append(row)
    name = record["name"]
    section(data, "containers", node.name).pop(name, None)
    section(data, "files", node.name).pop(f"container:{name}", None)
    if name == LEFTOVER:
        section(data, "removed", node.name)[LEFTOVER] = True


def stop(node: SimNode, data: Data, record: Record) -> None:
    """End everything that runs in a container (inside a transaction); the container stays."""
    for process in list(data["processes"].get(node.name, {}).values()):
        if process["container"] == record["name"]:
            processes.end(data, node.name, process["pid"])
    stored = section(data, "containers", node.name).get(record["name"])
    if stored is not None:
        stored["running"] = False


def _leftover(node: SimNode) -> Record:
    return {
        "id": "dead" * 16,
        "name": LEFTOVER,
        "image": node.inventory.container.image,
        "created": 1704164645,
        "running": True,
        "net": "host",
        "labels": {"hakuna.run": LEFTOVER_RUN, "hakuna.holder": "somebody@elsewhere"},
        "env": {},
        "devices": [],
        "binds": [],
        "shm": DEFAULT_SHM,
        "privileged": True,
        "entrypoint": "/bin/bash",
        "cmd": [],
        "tty": True,
    }


def size_of(word: str) -> int:
    """``500g`` in bytes, as the engines count.

    Raises:
        ValueError: it is no size.
    """
    match = re.fullmatch(r"(\d+)([bkmgt]?)b?", word.strip().lower())
    if not match:
        raise ValueError(word)
    return int(match.group(1)) * _UNITS[match.group(2) or "b"]


# --- the view from inside ---------------------------------------------------------------------------------------------


def host_devices(node: SimNode) -> tuple[str, ...]:
    """The Ascend device nodes below /dev of the host."""
    # A card that falls off the bus leaves its device node behind until the driver is loaded again.
    missing = node.spec.faulty_devices("device-node-missing", node.name)
    control = CONTROL_NODES[:-1] if node.spec.has("control-node-missing", node.name) else CONTROL_NODES
    return (*(f"/dev/davinci{i}" for i in node.model.device_ids if i not in missing), *control)


def visible_devices(node: SimNode, container: str | None) -> tuple[str, ...]:
    """The Ascend device nodes on the host, or those that a container was given (all, when it is privileged)."""
    seen = host_devices(node)
    if container is None:
        return seen
    record = find(node, container)
    if record is None:
        return ()
    hidden = {f"/dev/davinci{i}" for i in node.spec.faulty_devices("device-not-in-container", node.name)}
    return tuple(d for d in seen if d not in hidden and (record["privileged"] or d in record["devices"]))


def shm_bytes(node: SimNode, container: str | None) -> int:
    """The size of /dev/shm."""
    if container is None:
        return 755 * 2**30
    if node.spec.has("shm-small", node.name):
        return DEFAULT_SHM
    record = find(node, container)
    return int(record["shm"]) if record else DEFAULT_SHM


def host_path(node: SimNode, path: str, container: str | None) -> str | None:
    """Where a path inside a container is on the host; None when it is not on a mount. On the host: itself."""
    if container is None:
        return path
    record = find(node, container)
    best = ""
    source = ""
    for bind in record["binds"] if record else ():
        parts = bind.split(":")
        target = posixpath.normpath(parts[1] if len(parts) > 1 else parts[0])
        inside = path == target or path.startswith(target.rstrip("/") + "/")
        if inside and len(target) > len(best):
            best, source = target, posixpath.normpath(parts[0])
    return source + path[len(best) :] if best else None


def environment(node: SimNode, container: str) -> dict[str, str]:
    """What a process started in a container finds in its environment."""
    record = find(node, container)
    return {**IMAGE_ENV, **(record["env"] if record else {})}
