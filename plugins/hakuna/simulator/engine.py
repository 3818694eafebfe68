# SPDX-License-Identifier: Apache-2.0
"""``docker``, ``podman`` and ``nerdctl``: run, exec, inspect, ps, rm, stop, version, image inspect.

The words are docker's; podman's differ only where a client depends on them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from hakuna.simulator import containers
from hakuna.simulator.engine_json import image_document, inspect_document, ps_row, version_document
from hakuna.simulator.state import section
from hakuna.simulator.tools import Call, Result, Tool, say, tool

#: Options of ``run`` and ``exec`` that take no value; every other one takes the next word.
_TTY = frozenset({"-t", "-it", "-ti", "-dit", "-itd", "-dt", "-td", "--tty"})
_FLAGS = _TTY | {"-d", "-i", "--detach", "--interactive", "--rm", "--privileged", "--init", "--read-only"}
_LONG = {"-e": "--env", "-v": "--volume", "-l": "--label", "--network": "--net", "-w": "--workdir", "-u": "--user"}
_CANNOT_RUN = 125
_NOT_FOUND = 127


@tool("docker", "podman", "nerdctl")
class ContainerEngine(Tool):
    spawns = True

    def run(self, call: Call) -> Result:
        words = list(call.argv[1:])
        if not words:
            return say("", f"Usage:  {_name(call)} [OPTIONS] COMMAND\n", 1)
        if call.node.spec.has("engine-down", call.node.name):
            return _down(call, words)
        if words[:2] == ["image", "inspect"]:
            return _image_inspect(call, words[2:])
        if words[0] == "container" and len(words) > 1:
            words = words[1:]
        command = _COMMANDS.get(words[0])
        if command is None:
            return say("", f"{_name(call)}: '{words[0]}' is not a docker command.\nSee 'docker --help'\n", 1)
        return command(call, words[1:])


def _name(call: Call) -> str:
    return call.argv[0].rpartition("/")[2]


def _is_podman(call: Call) -> bool:
    return _name(call) == "podman"


_SOCKET = "unix:///var/run/docker.sock"


def _down(call: Call, words: list[str]) -> Result:
    text = f"Cannot connect to the Docker daemon at {_SOCKET}. Is the docker daemon running?\n"
    if words[0] == "version":
        return say(json.dumps(version_document(_name(call), daemon=False)) + "\n", text, 1)
    return say("", ("docker: " if words[0] == "run" else "") + text, _CANNOT_RUN if words[0] == "run" else 1)


def _error(text: str, code: int = 1) -> Result:
    return say("", f"Error response from daemon: {text}\n", code)


def _options(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Options in order, by their long names, and the words after them."""
    found: list[tuple[str, str]] = []
    i = 0
    while i < len(words) and words[i].startswith("-"):
        word, equals, value = words[i].partition("=")
        name = _LONG.get(word, word)
        if equals or word in _FLAGS:
            found.append((name, value if equals else "true"))
        else:
            i += 1
            found.append((name, words[i] if i < len(words) else ""))
        i += 1
    return found, words[i:]


# --- run --------------------------------------------------------------------------------------------------------------


def _run(call: Call, words: list[str]) -> Result:
    options, rest = _options(words)
    if not rest:
        return say("", "docker: 'docker run' requires at least 1 argument.\n", _CANNOT_RUN)
    node = call.node
    record = _wrapped(call, _record(call, options, rest))
    refused = _refusal(call, record)
    with node.state.transaction() as data:
        known = containers.find(node, record["name"])
        if known is not None and _is_podman(call):
            return say(
                "",
                f'Error: creating container storage: the container name "{known["name"]}" is already in use by '
                f"{known['id']}. You have to remove that container to be able to reuse that name: that name is already "
                "in use\n",
                _CANNOT_RUN,
            )
        if known is not None:
            return say(
                "",
                f'docker: Error response from daemon: Conflict. The container name "/{record["name"]}" is already in '
                f'use by container "{known["id"]}". You have to remove (or rename) that container to be able to reuse '
                "that name.\n\n"
                "Run 'docker run --help' for more information\n",
                _CANNOT_RUN,
            )
        record["running"] = not refused and not node.spec.has("container-exits", node.name)
        section(data, "containers", node.name)[record["name"]] = record
    if refused and _is_podman(call):
        return say("", f"Error: {refused}\n", _CANNOT_RUN)
    if refused:
        return say(f"{record['id']}\n", f"docker: Error response from daemon: {refused}\n", _CANNOT_RUN)
    return say(f"{record['id']}\n")


def _record(call: Call, options: list[tuple[str, str]], rest: list[str]) -> containers.Record:
    single = dict(options)
    several: dict[str, list[str]] = {}
    for name, value in options:
        several.setdefault(name, []).append(value)
    created = time.time()
    identity = hashlib.sha256(f"{call.node.name}{created!r}{call.argv}".encode()).hexdigest()
    return {
        "id": identity,
        "name": single.get("--name", f"sim_{identity[:8]}"),
        "words": list(call.argv),
        "image": rest[0],
        "created": created,
        "running": True,
        "net": single.get("--net", "bridge"),
        "labels": _pairs(several.get("--label", [])),
        "env": _pairs(several.get("--env", [])),
        "devices": [d.split(":")[0] for d in several.get("--device", [])],
        "binds": several.get("--volume", []),
        "shm": containers.size_of(single["--shm-size"]) if "--shm-size" in single else containers.DEFAULT_SHM,
        "privileged": single.get("--privileged", "false") == "true",
        "entrypoint": single.get("--entrypoint", ""),
        "cmd": rest[1:],
        "tty": any(name in _TTY for name, _ in options),
        "ipc": single.get("--ipc", "private"),
        "runtime": single.get("--runtime", "runc"),
    }


def _wrapped(call: Call, record: containers.Record) -> containers.Record:
    """What a site's own wrapper, or the daemon, makes of it (faults)."""
    spec, name = call.node.spec, call.node.name
    if spec.has("bridge-network", name):
        record["net"] = "bridge"
    if spec.has("not-privileged", name):
        record["privileged"] = False
    if spec.has("mount-missing", name):
        record["binds"] = [b for b in record["binds"] if not b.startswith("/usr/local/Ascend/driver")]
    return record


def _pairs(words: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (w.partition("=") for w in words)}


def _refusal(call: Call, record: containers.Record) -> str:
    """Why the container can not be started; empty when it can."""
    if call.node.spec.has("container-refused", call.node.name):
        return (
            "failed to create task for container: failed to create shim task: OCI runtime create failed: "
            "runc create failed: unable to start container process: error during container init: unknown"
        )
    there = containers.host_devices(call.node)
    for device in record["devices"]:
        if device not in there:
            if _is_podman(call):
                return f"stat {device}: no such file or directory"
            return (
                f'error gathering device information while adding custom device "{device}": no such file or directory'
            )
    made = call.node.state.read().get("folders", {}).get(call.node.name, {})
    for source in (bind.split(":")[0] for bind in record["binds"]):
        # A machine comes with nothing below /tmp; docker makes what it is to mount, podman does not.
        if _is_podman(call) and source.startswith("/tmp/") and source not in made:  # noqa: S108  # of the model
            return f"statfs {source}: no such file or directory"
    return ""


# --- exec -------------------------------------------------------------------------------------------------------------


def _exec(call: Call, words: list[str]) -> Result:
    options, rest = _options(words)
    if not rest[1:]:
        return say("", "docker: 'docker exec' requires at least 2 arguments.\n", 1)
    name, *argv = rest
    record = containers.find(call.node, name)
    if record is None and _is_podman(call):
        return say("", f'Error: no container with name or ID "{name}" found: no such container\n', _CANNOT_RUN)
    if record is None:
        return _error(f"No such container: {name}")
    if not record["running"]:
        return _error(f"container {record['id']} is not running")
    env = containers.environment(call.node, record["name"]) | _pairs([v for n, v in options if n == "--env"])
    tool_name = argv[0].rpartition("/")[2]
    if call.node.where_is(tool_name, record["name"]) is None:
        text = (
            f'OCI runtime exec failed: exec failed: unable to start container process: exec: "{argv[0]}": '
            "executable file not found in $PATH: unknown\n"
        )
        return say("", text, _NOT_FOUND)
    interactive = any(n in ("-i", "-it", "-ti", "--interactive") for n, _ in options)
    stdin = call.stdin if interactive else b""
    return call.node.execute(tuple(argv), env, stdin, record["name"], call.spawn_log)


# --- the others -------------------------------------------------------------------------------------------------------


def _inspect(call: Call, words: list[str]) -> Result:
    names = [w for w in words if not w.startswith("-")]
    found: list[dict[str, Any]] = []
    err = ""
    for name in names:
        record = containers.find(call.node, name)
        if record is None:
            podman = f'Error: inspecting object: no such object: "{name}"\n'
            err += podman if _is_podman(call) else f"Error: No such object: {name}\n"
        else:
            found.append(inspect_document(call.node, record, _name(call)))
    return say(json.dumps(found, indent=4) + "\n", err, 1 if err else 0)


def _ps(call: Call, words: list[str]) -> Result:
    options, _ = _options([w for w in words if w not in ("-a", "--all", "--no-trunc", "-q", "--quiet")])
    rows = list(containers.all_of(call.node).values())
    if not {"-a", "--all"} & set(words):
        rows = [r for r in rows if r["running"]]
    for value in (v for n, v in options if n in ("--filter", "-f")):
        kind, _, wanted = value.partition("=")
        key, equals, text = wanted.partition("=")
        if kind == "label":
            rows = [r for r in rows if key in r["labels"] and (not equals or r["labels"][key] == text)]
        elif kind == "name":
            rows = [r for r in rows if wanted in r["name"]]
    whole = "--no-trunc" in words
    if {"-q", "--quiet"} & set(words):
        return say("".join(f"{r['id'] if whole else r['id'][:12]}\n" for r in rows))
    made = [ps_row(r, _name(call), whole=whole) for r in rows]
    if _is_podman(call):  # one array, and never one object per line
        return say(json.dumps(made, indent=2) + "\n")
    return say("".join(json.dumps(row) + "\n" for row in made))


def _rm(call: Call, words: list[str]) -> Result:
    forced = "-f" in words or "--force" in words
    out, err = "", ""
    with call.node.state.transaction() as data:
        for name in (w for w in words if not w.startswith("-")):
            record = containers.find(call.node, name)
            if record is None:
                if not forced:
                    err += f"Error response from daemon: No such container: {name}\n"
            elif call.node.spec.has("container-survives", call.node.name):
                err += f"Error response from daemon: container {record['id']}: device or resource busy\n"
            elif record["running"] and not forced:
                err += (
                    f'Error response from daemon: cannot remove container "/{record["name"]}": container is running: '
                    "stop the container before removing or force remove\n"
                )
            else:
                containers.remove(call.node, data, record)
                out += f"{name}\n"
    return say(out, err, 1 if err else 0)


def _stop(call: Call, words: list[str]) -> Result:
    out, err = "", ""
    names = [w for w, before in zip(words, ["", *words], strict=False) if not w.startswith("-") and before != "-t"]
    with call.node.state.transaction() as data:
        for name in names:
            record = containers.find(call.node, name)
            if record is None:
                err += f"Error response from daemon: No such container: {name}\n"
            else:
                containers.stop(call.node, data, record)
                out += f"{name}\n"
    return say(out, err, 1 if err else 0)


def _version(call: Call, words: list[str]) -> Result:
    document = version_document(_name(call))
    if any("json" in w for w in words):
        return say(json.dumps(document) + "\n")
    return say(f"Client:\n Version:           {document['Client']['Version']}\n")


def _image_inspect(call: Call, words: list[str]) -> Result:
    names = [w for w in words if not w.startswith("-")]
    known = call.node.inventory.container.image
    if names != [known] or call.node.spec.has("image-missing", call.node.name):
        if _is_podman(call):
            return say("[]\n", f"Error: inspecting object: {' '.join(names)}: image not known\n", 125)
        return say("[]\n", f"Error response from daemon: No such image: {' '.join(names)}\n", 1)
    return say(json.dumps([image_document(call.node, _name(call))], indent=4) + "\n")


_COMMANDS: Mapping[str, Callable[[Call, list[str]], Result]] = {
    "run": _run,
    "exec": _exec,
    "inspect": _inspect,
    "ps": _ps,
    "rm": _rm,
    "stop": _stop,
    "version": _version,
}
