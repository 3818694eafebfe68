# SPDX-License-Identifier: Apache-2.0
"""What docker, podman and nerdctl say of themselves, of images and of containers."""

from __future__ import annotations

import itertools
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import clean, json_document, json_objects, lines, shaped, shown, unknown


@dataclass(frozen=True)
class EngineVersion:
    """Versions of the engine. ``server`` is None where there is no daemon (podman) or it does not answer.

    ``running`` says whether containers can be started; if not, ``message`` holds the engine's words.
    """

    client: str
    server: str | None = None
    running: bool = True
    message: str = ""


@dataclass(frozen=True)
class ImageInfo:
    """An image on a node; ``id`` None: it is not there."""

    id: str | None
    digests: tuple[str, ...] = ()

    @property
    def digest(self) -> str | None:
        """What tells two nodes' images apart: the registry's digest, else the image's own id; None: not there."""
        if self.digests:
            return min(d.rpartition("@")[2] for d in self.digests)
        return self.id


@dataclass(frozen=True)
class Started:
    """What the engine said to ``run``: the container's id, or in ``message`` why there is none."""

    ok: bool
    id: str = ""
    message: str = ""


@dataclass(frozen=True)
class ContainerRow:
    """One row of ``ps``."""

    id: str
    name: str
    image: str
    state: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ContainerInfo:
    """One container by ``inspect``. ``mounts`` as "source:target", ``devices`` as paths inside, ``env`` names only."""

    id: str
    name: str
    running: bool
    image_id: str
    image_digest: str
    labels: Mapping[str, str]
    privileged: bool
    network_mode: str
    shm_bytes: int | None
    devices: tuple[str, ...]
    mounts: tuple[str, ...]
    entrypoint: str
    env: tuple[str, ...]
    runtime: str = ""

    @property
    def npus(self) -> tuple[int, ...]:
        """The numbers of the NPUs that were handed in one by one; control nodes do not count."""
        return npus_of(self.devices)


def npus_of(devices: tuple[str, ...]) -> tuple[int, ...]:
    """The numbers of the ``/dev/davinciN`` among device paths."""
    found = (re.fullmatch(r"/dev/davinci(\d+)", d) for d in devices)
    return tuple(sorted(int(m.group(1)) for m in found if m))


def plain_mount(mount: str) -> str:
    """``source:target`` without options and trailing slashes."""
    parts = mount.split(":")
    target = parts[1] if len(parts) > 1 else parts[0]
    return f"{posixpath.normpath(parts[0])}:{posixpath.normpath(target)}"


_DAEMON = re.compile(
    r".*(?:cannot connect to the docker daemon|is the docker daemon running|permission denied while trying to connect|"
    r"cannot access containerd socket|cannot connect to podman|rootless containerd not running).*",
    re.IGNORECASE,
)


@shaped
def parse_version(text: str) -> EngineVersion:
    """Read ``ENGINE version --format {{json .}}``; a daemon that does not answer is a fact.

    Raises:
        UnparsedError: neither versions nor a known word about the daemon.
    """
    silent = next((x for x in lines(text) if _DAEMON.match(x)), "")
    try:
        document = json_document("the container engine", text)
    except UnparsedError:
        if silent:
            return EngineVersion("", None, running=False, message=silent)
        raise
    if not isinstance(document, dict) or not isinstance(document.get("Client"), dict):
        raise unknown("the container engine", text)
    client = str(document["Client"].get("Version") or "")
    server = _server_version(document.get("Server"))
    if silent:
        return EngineVersion(client, None, running=False, message=silent)
    docker = "docker" in json.dumps(document["Client"]).lower() or "DefaultAPIVersion" in document["Client"]
    if server is None and docker:
        return EngineVersion(client, None, running=False, message="the Docker daemon does not answer")
    return EngineVersion(client, server)


def _server_version(server: Any) -> str | None:
    if not isinstance(server, dict):
        return None
    if server.get("Version"):
        return str(server["Version"])
    parts = server.get("Components") or ()
    return next((str(p["Version"]) for p in parts if isinstance(p, dict) and p.get("Version")), None)


def _single(what: str, text: str) -> dict[str, Any]:
    document = json_document(what, text)
    rows = document if isinstance(document, list) else [document]
    if len(rows) != 1 or not isinstance(rows[0], dict):
        raise UnparsedError(f"{what}: {len(rows)} objects instead of one")
    return rows[0]


_NO_IMAGE = re.compile(r"no such (?:image|object)|image not known|failed to find image|no image found", re.IGNORECASE)


@shaped
def parse_image(text: str) -> ImageInfo:
    """Read ``ENGINE image inspect``; an image that is not there is a fact.

    Raises:
        UnparsedError: neither an image nor a known word that there is none.
    """
    if any(_NO_IMAGE.search(x) for x in lines(text)):
        return ImageInfo(None)
    image = _single("image inspect", text)
    if not image.get("Id"):
        raise unknown("image inspect", text)
    return ImageInfo(_plain_id(str(image["Id"])), tuple(str(d) for d in image.get("RepoDigests") or ()))


def _plain_id(word: str) -> str:
    """Podman leaves the algorithm out."""
    return f"sha256:{word}" if re.fullmatch(r"[0-9a-f]{64}", word) else word


def parse_run(text: str) -> Started:
    """Read what ``ENGINE run -d`` printed: progress of a pull, then the id, or the engine's error.

    Raises:
        UnparsedError: neither.
    """
    rows = lines(text)
    ids = [x for x in rows if re.fullmatch(r"[0-9a-f]{64}", x)]
    errors = [
        x
        for x in rows
        if re.match(r"(?:docker: |Error\b|time=.*level=(?:fatal|error))|.*error response from daemon", x, re.IGNORECASE)
    ]
    if errors:
        return Started(ok=False, id=ids[-1] if ids else "", message=errors[0])
    if not ids:
        raise unknown("the container engine", text)
    return Started(ok=True, id=ids[-1])


def _labels(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(k): str(v) for k, v in value.items()}
    pairs = (p.partition("=") for p in str(value or "").split(",") if p)
    return {k: v for k, _, v in pairs}


@shaped
def parse_ps(text: str) -> tuple[ContainerRow, ...]:
    """Read ``ps --format {{json .}}`` (one object per line, or podman's array), or the plain table.

    Raises:
        UnparsedError: a line that is neither.
    """
    rows = lines(text)
    if rows and rows[0].startswith("CONTAINER ID"):
        return tuple(_table_row(rows[0], r) for r in rows[1:])
    found = [
        ContainerRow(
            str(r.get("ID") or r.get("Id") or ""),
            ",".join(r["Names"]) if isinstance(r.get("Names"), list) else str(r.get("Names") or "").lstrip("/"),
            str(r.get("Image") or ""),
            str(r.get("State") or r.get("Status") or "").split(" ")[0].lower(),
            _labels(r.get("Labels")),
        )
        for r in json_objects("ps", text)
    ]
    if any(not r.id for r in found) or (rows and not found and rows != ["[]"]):
        raise unknown("ps --format {{json .}}", text)
    return tuple(found)


def _table_row(header: str, row: str) -> ContainerRow:
    """One row of the table, cut at the header's columns (a column may be empty)."""
    starts = [m.start() for m in re.finditer(r"\S+(?: \S+)*", header)]
    names = re.findall(r"\S+(?: \S+)*", header)
    ends = [*starts[1:], len(row) + 1]
    cells = {n: row[a:b].strip() for n, a, b in zip(names, starts, ends, strict=True)}
    status = cells.get("STATUS", "")
    if not re.fullmatch(r"[0-9a-f]{12,64}", cells["CONTAINER ID"]) or not cells.get("NAMES") or not status:
        raise UnparsedError(f"ps: not a container: {shown(row)!r}")
    state = "running" if status.startswith("Up") else status.split(" ")[0].lower()
    return ContainerRow(cells["CONTAINER ID"], cells["NAMES"], cells.get("IMAGE", ""), state)


@shaped
def parse_inspect(text: str) -> ContainerInfo:
    """Read ``ENGINE inspect NAME`` of docker, podman or nerdctl.

    Raises:
        UnparsedError: no container of that name, or a document without an id and a state.
    """
    for row in lines(text):
        if re.search(r"no such (?:object|container)|no container with name", row, re.IGNORECASE):
            raise UnparsedError(f"inspect: {shown(row)}")
    data = _single("inspect", text)
    state, host, config = data.get("State"), data.get("HostConfig") or {}, data.get("Config") or {}
    if not data.get("Id") or not isinstance(state, dict):
        raise unknown("inspect", text)
    entrypoint = config.get("Entrypoint") or ""
    shm = host.get("ShmSize")
    return ContainerInfo(
        id=str(data["Id"]),
        name=str(data.get("Name") or "").lstrip("/"),
        running=bool(state.get("Running")) or str(state.get("Status", "")).lower() == "running",
        image_id=_plain_id(str(data.get("Image") or "")),
        image_digest=str(data.get("ImageDigest") or ""),
        labels=_labels(config.get("Labels")),
        privileged=bool(host.get("Privileged")),
        network_mode=str(host.get("NetworkMode") or ""),
        shm_bytes=int(shm) if shm is not None else None,
        devices=_inspected_devices(host.get("Devices") or (), config.get("CreateCommand") or ()),
        mounts=_inspected_mounts(data.get("Mounts") or (), host.get("Binds") or ()),
        entrypoint=entrypoint if isinstance(entrypoint, str) else " ".join(map(str, entrypoint)),
        env=tuple(str(e).partition("=")[0] for e in config.get("Env") or ()),
        runtime=str(host.get("Runtime") or ""),
    )


def _inspected_devices(listed: Any, words: Any) -> tuple[str, ...]:
    """The devices that were handed in. Podman lists none of a privileged container, but keeps the command line."""
    if listed:
        return tuple(str(d.get("PathInContainer") or d.get("PathOnHost")) for d in listed)
    asked: list[str] = []
    for before, word in itertools.pairwise(("", *map(str, words))):
        if word.startswith("--device="):
            asked.append(word.partition("=")[2])
        elif before == "--device":
            asked.append(word)
    return tuple(plain_mount(device).partition(":")[2] for device in asked)  # SOURCE[:TARGET[:RIGHTS]]


def _inspected_mounts(mounts: Any, binds: Any) -> tuple[str, ...]:
    found = [plain_mount(str(b)) for b in binds]
    for mount in mounts:
        source, target = mount.get("Source"), mount.get("Destination")
        if source and target:
            found.append(plain_mount(f"{source}:{target}"))
    return tuple(dict.fromkeys(found))


def parse_host_config(text: str) -> tuple[str, tuple[str, ...]]:
    """Runtime and devices of a quoted ``"HostConfig": {...}``, as people paste it: a fragment, not a document.

    Raises:
        UnparsedError: it is not such a fragment.
    """
    try:
        host = json.loads("{" + clean(text).strip().rstrip(",") + "}")["HostConfig"]
        return str(host.get("Runtime") or ""), tuple(str(d["PathInContainer"]) for d in host.get("Devices") or ())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unknown("inspect", text) from error
