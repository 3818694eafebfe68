# SPDX-License-Identifier: Apache-2.0
"""A simulated node: it answers argument lists as the real machine would, on the host or inside a container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hakuna.inventory.model import Inventory, Node
from hakuna.simulator import load_tools, processes
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.files import simulated_file
from hakuna.simulator.state import ClusterState, section
from hakuna.simulator.tools import TOOLS, Call, Result, say


class SimNode:
    """The node ``name`` of a simulated cluster."""

    def __init__(self, spec: ClusterSpec, state: ClusterState, name: str) -> None:
        load_tools()
        self.spec = spec
        self.state = state
        self.name = name
        self.model: Node = spec.inventory.node(name)

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
        if cls is None or self.lacks(name):
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

    def lacks(self, tool: str) -> bool:
        """Whether a fault took this tool from the node."""
        return tool == "hccn_tool" and self.spec.has("tool-missing", self.name)

    # --- files --------------------------------------------------------------------------------------------------------

    def file(self, path: str, container: str | None = None) -> bytes | None:
        """A file's content: what was written there, or what the machine comes with; None when there is none."""
        written = self.state.read()["files"].get(self.name, {}).get(_scope(container), {})
        if path in written:
            text: str = written[path]
            return text.encode("utf-8", "surrogateescape")
        return simulated_file(self, path, container)

    def written_files(self, container: str | None = None) -> tuple[str, ...]:
        """The paths of what was written by commands."""
        return tuple(self.state.read()["files"].get(self.name, {}).get(_scope(container), {}))

    def write(self, path: str, content: bytes, container: str | None = None) -> None:
        with self.state.transaction() as data:
            scope = section(data, "files", self.name).setdefault(_scope(container), {})
            scope[path] = content.decode("utf-8", "surrogateescape")

    def append(self, path: str, content: bytes, container: str | None = None) -> None:
        with self.state.transaction():
            self.write(path, (self.file(path, container) or b"") + content, container)

    def remove(self, path: str, container: str | None = None) -> bool:
        """Remove a written file; False when there was none."""
        if path not in self.written_files(container):
            return False
        with self.state.transaction() as data:
            scope = section(data, "files", self.name).get(_scope(container), {})
            return scope.pop(path, None) is not None


def _scope(container: str | None) -> str:
    return "host" if container is None else f"container:{container}"


def inner(call: Call, argv: tuple[str, ...]) -> Call:
    """The same call with another argument list."""
    return replace(call, argv=argv)
