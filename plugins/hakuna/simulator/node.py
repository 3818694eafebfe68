# SPDX-License-Identifier: Apache-2.0
"""A simulated node: it answers argument lists as the real machine would, on the host or inside a container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hakuna.inventory.model import Engine, Inventory, Node
from hakuna.simulator import containers, load_tools, processes
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.files import simulated_file
from hakuna.simulator.state import ClusterState, section
from hakuna.simulator.tools import TOOLS, Call, Result, say

#: Tools of the driver: inside a container only where the guide's mounts put them.
_ASCEND_TOOLS = {"hccn_tool": "/usr/local/Ascend/driver/tools/hccn_tool", "npu-smi": "/usr/local/sbin/npu-smi"}
_ENGINES = frozenset(e.value for e in Engine)
_IMAGE_TOOLS = frozenset({"ray", "lmdeploy", "python3", "python"})


#: A written file that begins with this stands for a real file of this machine, whose path follows: the log of a
#: simulated server, which is a process of its own.
LINK = "\0file:"


class SimNode:
    """The node ``name`` of a simulated cluster."""

    def __init__(self, spec: ClusterSpec, state: ClusterState, name: str) -> None:
        load_tools()
        self.spec: ClusterSpec = spec
        self.state: ClusterState = state
        self.name: str = name
        self.model: Node = spec.node(name)

    @property
    def inventory(self) -> Inventory:
        return self.spec.inventory

    def execute(
        self,
        argv: tuple[str, ...],
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        container: str | None = None,
        spawn_log: str = "",
    ) -> Result:
        """Run one command. ``container`` is the name of the container it runs in; None is the host.

        With ``spawn_log`` the command is left behind: stdout is then its pid, and what it says goes to that file
        of the host.
        """
        name = argv[0].rpartition("/")[2]
        cls = TOOLS.get(name)
        if cls is None or self._lacks(name):
            result = say(err=f"sh: 1: {argv[0]}: not found\n", exit_code=127)
        elif spawn_log and not cls.spawns:
            result = cls().run(Call(self, argv, env or {}, stdin, container))
        else:
            return cls().run(Call(self, argv, env or {}, stdin, container, spawn_log))
        if not spawn_log:
            return result
        self.append(spawn_log, result.stdout + result.stderr)
        with self.state.transaction() as data:
            return say(f"{processes.next_pid(data)}\n")

    def where_is(self, tool: str, container: str | None = None) -> str | None:
        """The path of an executable, on the host or in a container; None when it is not there."""
        hidden = tool == "ray" and container is not None and self.spec.has("tools-not-inside", self.name)
        if tool not in TOOLS or hidden or self._lacks(tool):
            return None
        if tool in _ASCEND_TOOLS:
            path = _ASCEND_TOOLS[tool]
            return path if containers.host_path(self, path, container) is not None else None
        if tool in _ENGINES:
            return f"/usr/bin/{tool}" if container is None else None
        if tool in _IMAGE_TOOLS and container is not None:
            return f"/usr/local/python3.11.10/bin/{tool}"
        if tool in ("ray", "lmdeploy"):
            return f"/usr/local/bin/{tool}" if self.inventory.container.engine is Engine.NONE else None
        return f"/usr/bin/{tool}"

    def _lacks(self, tool: str) -> bool:
        if tool == "hccn_tool":
            return self.spec.has("tool-missing", self.name)
        return tool in _ENGINES and tool != self.inventory.container.engine.value

    # --- files --------------------------------------------------------------------------------------------------------

    def file(self, path: str, container: str | None = None) -> bytes | None:
        """A file's content: what was written there, or what the machine comes with; None when there is none."""
        scope, place = self._place(path, container)
        written = self.state.read()["files"].get(self.name, {}).get(scope, {})
        if place in written:
            text: str = written[place]
            if text.startswith(LINK):
                real = Path(text.removeprefix(LINK))
                return real.read_bytes() if real.is_file() else b""
            return text.encode("utf-8", "surrogateescape")
        return simulated_file(self, path, container)

    def files_in(self, folder: str, container: str | None = None) -> tuple[str, ...]:
        """The names of the files that were written into a folder."""
        scope, place = self._place(folder, container)
        written = self.state.read()["files"].get(self.name, {}).get(scope, {})
        return tuple(p.rpartition("/")[2] for p in written if p.rpartition("/")[0] == place)

    def write(self, path: str, content: bytes, container: str | None = None) -> None:
        scope, place = self._place(path, container)
        with self.state.transaction() as data:
            files = section(data, "files", self.name).setdefault(scope, {})
            files[place] = content.decode("utf-8", "surrogateescape")

    def append(self, path: str, content: bytes, container: str | None = None) -> None:
        with self.state.transaction():
            self.write(path, (self.file(path, container) or b"") + content, container)

    def remove(self, path: str, container: str | None = None) -> bool:
        """Remove a written file; False when there was none."""
        scope, place = self._place(path, container)
        with self.state.transaction() as data:
            return section(data, "files", self.name).get(scope, {}).pop(place, None) is not None

    def _place(self, path: str, container: str | None) -> tuple[str, str]:
        """Where a file is kept: what lies on a mount is the host's."""
        on_host = containers.host_path(self, path, container)
        return ("host", on_host) if on_host is not None else (f"container:{container}", path)


def inner(call: Call, argv: tuple[str, ...]) -> Call:
    """The same call with another argument list."""
    return replace(call, argv=argv)
