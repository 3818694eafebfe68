# SPDX-License-Identifier: Apache-2.0
"""The container engine: section 1 of the guide as a command, whatever runs inside, and the facts by one name."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hakuna.evidence import Command
from hakuna.inventory.model import Engine, Inventory, Node
from hakuna.probes.container_facts import (
    ContainerInfo,
    ContainerRow,
    EngineVersion,
    ImageInfo,
    Started,
    parse_image,
    parse_inspect,
    parse_ps,
    parse_run,
    parse_version,
    plain_mount,
)

__all__ = [
    "ContainerInfo",
    "ContainerRow",
    "EngineVersion",
    "ImageInfo",
    "Started",
    "asked_mounts",
    "folders",
    "image",
    "inside",
    "inspect",
    "parse_image",
    "parse_inspect",
    "parse_ps",
    "parse_run",
    "parse_version",
    "ps_labelled",
    "remove",
    "run",
    "version",
]

RUN_LABEL = "hakuna.run"


def _engine(inventory: Inventory) -> str:
    return inventory.container.engine.value


def _mounts(inventory: Inventory) -> tuple[str, ...]:
    """The guide's mounts, the site's, and what Hakuna itself needs: the model, and the folders of table and log."""
    container = inventory.container
    wanted = [*container.guide_mounts, *container.mounts]
    covered = [posixpath.normpath(m.split(":")[1] if ":" in m else m) for m in wanted]
    for folder in (posixpath.normpath(inventory.server.model_path), *_own_folders(inventory)):
        if folder == "/" or any(folder == c or folder.startswith(f"{c.rstrip('/')}/") for c in covered):
            continue
        wanted.append(f"{folder}:{folder}")
        covered.append(folder)
    return tuple(wanted)


def _own_folders(inventory: Inventory) -> tuple[str, ...]:
    """The folders of the host that Hakuna itself writes to."""
    files = (inventory.rank_table.path, inventory.server.log)
    return tuple(dict.fromkeys(posixpath.normpath(posixpath.dirname(f)) for f in files))


def folders(inventory: Inventory) -> Command:
    """Make Hakuna's own folders on the host before they are mounted: docker would do so itself, podman refuses."""
    argv = ("mkdir", "-p", *_own_folders(inventory))
    return Command("container.folders", argv, lane="engine", mutates=True, sudo=True)


def asked_mounts(inventory: Inventory) -> tuple[str, ...]:
    """The mounts that the container is given, written as ``inspect`` tells them (``source:target``)."""
    return tuple(plain_mount(m) for m in _mounts(inventory))


def run(inventory: Inventory, node: Node, labels: Mapping[str, str]) -> Command:
    """The guide's ``docker run``, flag for flag and in its order, detached, named and labelled.

    ``labels`` are those of the run's processes: ``HAKUNA_RUN`` becomes ``hakuna.run``.
    """
    container = inventory.container
    # nerdctl 1.x refuses -d together with -i; nothing is ever typed into this container.
    detached = ("-d", "-t") if container.engine is Engine.NERDCTL else ("-d", "-it")
    devices = [f"/dev/davinci{i}" for i in node.device_ids] + list(container.control_devices)
    argv = [_engine(inventory), "run", *detached, "--name", container.name]
    for name, value in labels.items():
        argv += ["--label", f"{name.lower().replace('_', '.', 1)}={value}"]
    argv += ["--net=host", "--entrypoint", container.entrypoint, f"--shm-size={container.shm_size}"]
    argv += [f"--device={d}" for d in devices]
    if container.privileged:
        argv.append("--privileged=true")
    for mount in _mounts(inventory):
        argv += ["-v", mount]
    argv += [*container.extra_args, container.image]
    # The image may have to be pulled first: some ten gigabytes.
    return Command("container.run", tuple(argv), deadline=1800.0, lane="engine", mutates=True, sudo=True)


def inspect(inventory: Inventory) -> Command:
    argv = (_engine(inventory), "inspect", inventory.container.name)
    return Command("container.inspect", argv, lane="engine", sudo=True, query=True)


def remove(inventory: Inventory, ids: Sequence[str]) -> Command:
    """Remove containers by their ids: a name may belong to somebody else's."""
    argv = (_engine(inventory), "rm", "-f", *ids)
    return Command("container.remove", argv, deadline=120.0, lane="engine", mutates=True, sudo=True)


def version(inventory: Inventory) -> Command:
    argv = (_engine(inventory), "version", "--format", "{{json .}}")
    return Command("engine.version", argv, lane="engine", sudo=True, query=True)


def image(inventory: Inventory) -> Command:
    argv = (_engine(inventory), "image", "inspect", inventory.container.image)
    return Command("engine.image", argv, lane="engine", sudo=True, query=True)


def ps_labelled(inventory: Inventory) -> Command:
    """All containers, also stopped ones, that any run of Hakuna started."""
    argv = (_engine(inventory), "ps", "-a", "--no-trunc", "--filter", f"label={RUN_LABEL}", "--format", "{{json .}}")
    return Command("engine.containers", argv, lane="engine", sudo=True, query=True)


def either_way(command: Command) -> Command:
    """A command of the host whose answer is the same inside the container: it may travel as a Ray task."""
    return replace(command, bare=replace(command, sudo=False))


def inside(inventory: Inventory, command: Command, interactive: bool = False, container: str = "") -> Command:
    """The same command inside the node's container; with engine ``none``, as it is.

    Its environment moves into the container, and stdin is passed on if there is some. The log of a spawned
    command stays a file of the host. ``container`` is the id of another container than the inventory's.
    """
    if inventory.container.engine is Engine.NONE:
        return replace(command, bare=command)
    argv = [_engine(inventory), "exec"]
    if interactive or command.stdin:
        argv.append("-i")
    for name, value in command.env.items():
        argv += ["-e", f"{name}={value}"]
    argv += [container or inventory.container.name, *command.argv]
    return replace(command, argv=tuple(argv), env={}, sudo=True, bare=replace(command, sudo=False))
