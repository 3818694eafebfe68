# SPDX-License-Identifier: Apache-2.0
"""The documents that container engines print, as their clients know them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hakuna.simulator.containers import IMAGE_ENV, Record

if TYPE_CHECKING:
    from hakuna.simulator.node import SimNode

_VERSIONS = {"docker": "26.1.4", "podman": "4.9.4", "nerdctl": "1.7.6"}
#: A fixed first pid for what runs in containers: the engines tell one, nobody uses it.
_PID = 3901
_IMAGE_SIZE = 15_403_291_852


def version_document(engine: str, *, daemon: bool = True) -> dict[str, Any]:
    """``version --format {{json .}}``; podman has no daemon, nerdctl tells of containerd."""
    version = _VERSIONS[engine]
    if engine == "podman":
        return {"Client": {"APIVersion": version, "Version": version, "GoVersion": "go1.21.7", "Os": "linux"}}
    platform = {"Name": "Docker Engine - Community"} if engine == "docker" else {"Name": ""}
    client: dict[str, Any] = {
        "Platform": platform,
        "Version": version,
        "ApiVersion": "1.45",
        "DefaultAPIVersion": "1.45",
        "GitCommit": "5650f9b",
        "GoVersion": "go1.21.11",
        "Os": "linux",
        "Arch": "arm64",
    }
    if engine == "nerdctl":
        client = {
            "Version": f"v{version}",
            "GitCommit": "5882c720f4e7f358fb26b759e514b3ae9dd8ea83",
            "Os": "linux",
            "Arch": "arm64",
        }
        server = {"Components": [{"Name": "containerd", "Version": "v1.7.18"}, {"Name": "runc", "Version": "1.1.12"}]}
        return {"Client": client, "Server": server if daemon else None}
    server_document = {
        "Platform": platform,
        "Components": [
            {"Name": "Engine", "Version": version},
            {"Name": "containerd", "Version": "1.6.33"},
            {"Name": "runc", "Version": "1.1.12"},
        ],
        "Version": version,
        "ApiVersion": "1.45",
        "MinAPIVersion": "1.24",
        "Os": "linux",
        "Arch": "arm64",
        "KernelVersion": "5.10.0-216.0.0.115.oe2203sp4.aarch64",
    }
    return {"Client": client, "Server": server_document if daemon else None}


def image_document(node: SimNode, engine: str) -> dict[str, Any]:
    image = node.inventory.container.image
    identity = node.spec.image_id(node.name)
    return {
        "Id": identity.removeprefix("sha256:") if engine == "podman" else identity,
        "RepoTags": [image],
        "RepoDigests": [f"{_repository(image)}@{node.spec.image_digest(node.name)}"],
        "Parent": "",
        "Created": "2025-11-20T08:12:33.41221731Z",
        "Config": {
            "Env": _env(IMAGE_ENV),
            "Cmd": ["/bin/bash"],
            "WorkingDir": "/opt/lmdeploy",
            "Entrypoint": None,
            "Labels": None,
        },
        "Architecture": "arm64",
        "Os": "linux",
        "Size": _IMAGE_SIZE,
    }


def _repository(image: str) -> str:
    """The name without its tag; a port's colon comes before the last slash."""
    head, slash, tail = image.rpartition("/")
    return head + slash + tail.split("@")[0].split(":")[0]


def _env(env: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]


def inspect_document(node: SimNode, record: Record, engine: str) -> dict[str, Any]:
    """``inspect`` of a container: what it was given, in the engine's fields."""
    running = record["running"]
    identity = node.spec.running_image_id(node.name)
    entrypoint = [record["entrypoint"]] if record["entrypoint"] else None
    document = {
        "Id": record["id"],
        "Created": _iso(record["created"]),
        "Path": record["entrypoint"] or "/bin/bash",
        "Args": record["cmd"],
        "State": {
            "Status": "running" if running else "exited",
            "Running": running,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": _PID if running else 0,
            "ExitCode": 0 if running else 137,
            "Error": "",
            "StartedAt": _iso(record["created"]),
            "FinishedAt": "0001-01-01T00:00:00Z",
        },
        "Image": identity.removeprefix("sha256:") if engine == "podman" else identity,
        "Name": record["name"] if engine == "podman" else f"/{record['name']}",
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "HostConfig": {
            "Binds": record["binds"] or None,
            "NetworkMode": record["net"],
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "AutoRemove": False,
            "IpcMode": record.get("ipc", "private"),
            "Privileged": record["privileged"],
            "ShmSize": record["shm"],
            "Runtime": record.get("runtime", "runc"),
            "Devices": [{"PathOnHost": d, "PathInContainer": d, "CgroupPermissions": "rwm"} for d in record["devices"]],
            "Ulimits": None,
        },
        "Mounts": [_mount(bind) for bind in record["binds"]],
        "Config": {
            "Hostname": node.spec.hostname(node.name),
            "User": "",
            "Tty": record["tty"],
            "OpenStdin": record["tty"],
            "Env": _env({**IMAGE_ENV, **record["env"]}),
            "Cmd": record["cmd"] or None,
            "Image": record["image"],
            "WorkingDir": "/opt/lmdeploy",
            "Entrypoint": entrypoint,
            "Labels": record["labels"],
        },
        "NetworkSettings": {"Ports": {}, "Networks": {record["net"]: {"IPAddress": "", "Gateway": ""}}},
    }
    return _as_podman(document, record) if engine == "podman" else document


def _as_podman(document: dict[str, Any], record: Record) -> dict[str, Any]:
    """What podman 4 says otherwise: no devices of a privileged container, but the command line that made it."""
    host, config = document["HostConfig"], document["Config"]
    config |= {"Entrypoint": record["entrypoint"], "CreateCommand": record["words"]}
    host |= {"Runtime": "oci", "Devices": [] if record["privileged"] else host["Devices"]}
    host["Binds"] = [f"{m['Source']}:{m['Destination']}:rw,rprivate,rbind" for m in document["Mounts"]]
    return document


def _mount(bind: str) -> dict[str, Any]:
    source, _, rest = bind.partition(":")
    target, _, mode = rest.partition(":")
    return {
        "Type": "bind",
        "Source": source.rstrip("/") or "/",
        "Destination": (target or source).rstrip("/") or "/",
        "Mode": mode,
        "RW": mode != "ro",
        "Propagation": "rprivate",
    }


def ps_row(record: Record, engine: str, *, whole: bool) -> dict[str, Any]:
    """One object of ``ps --format {{json .}}``."""
    running = record["running"]
    identity = record["id"] if whole else record["id"][:12]
    state = "running" if running else "exited"
    if engine == "podman":
        return {
            "Id": identity,
            "Names": [record["name"]],
            "Image": record["image"],
            "State": state,
            "Status": "Up 2 minutes" if running else "Exited (137) 2 minutes ago",
            "Labels": record["labels"],
            "Created": int(record["created"]),
        }
    return {
        "Command": f'"{record["entrypoint"] or "/bin/bash"}"',
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(record["created"])),
        "ID": identity,
        "Image": record["image"],
        "Labels": ",".join(f"{k}={v}" for k, v in record["labels"].items()),
        "LocalVolumes": "0",
        "Mounts": ",".join(b.split(":")[0] for b in record["binds"])[:60],
        "Names": record["name"],
        "Networks": record["net"],
        "Ports": "",
        "RunningFor": "2 minutes ago",
        "Size": "0B",
        "State": state,
        "Status": "Up 2 minutes" if running else "Exited (137) 2 minutes ago",
    }


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e9):09d}Z"
