# SPDX-License-Identifier: Apache-2.0
"""``sh`` and ``python3``, which carry scripts and programs by name, and the scripts about the node itself.

What they print is laid down in docs/architecture.md.
"""

from __future__ import annotations

import time
from typing import Any

from hakuna.simulator.files import CANN_INFO
from hakuna.simulator.network_tools import is_listening
from hakuna.simulator.node import SimNode, inner
from hakuna.simulator.state import FIRST_PID, section
from hakuna.simulator.tools import PROGRAMS, SCRIPTS, Call, Result, Tool, say, script, tool

#: From here on the fault tcp-blocked swallows what is sent: the ports of HCCL.
FIRST_BLOCKED_PORT = 60000


@tool("sh", "bash", "dash")
class Shell(Tool):
    """``sh -c TEXT NAME ARG...``: the script is known by its name; the text is not looked at."""

    spawns = True

    def run(self, call: Call) -> Result:
        return _dispatch(SCRIPTS, call)


@tool("python3", "python")
class Python(Tool):
    """``python3 -c TEXT NAME ARG...``, in the same way."""

    spawns = True

    def run(self, call: Call) -> Result:
        return _dispatch(PROGRAMS, call)


def _dispatch(register: dict[str, type[Tool]], call: Call) -> Result:
    if len(call.argv) < 4 or call.argv[1] != "-c":  # noqa: PLR2004  # tool, -c, text, name
        return say("", f"{call.argv[0]}: only scripts of Hakuna run here\n", 2)
    cls = register.get(call.argv[3])
    if cls is None:
        return say("", f"{call.argv[0]}: no script is called {call.argv[3]}\n", 2)
    return cls().run(inner(call, call.argv[3:]))


@script("hakuna-hostname")
class HostnameScript(Tool):
    def run(self, call: Call) -> Result:
        spec, name = call.node.spec, call.node.name
        return say(f"hostname {spec.hostname(name)}\naddress {spec.hostname_address(name)}\nhostname-end\n")


@script("hakuna-which")
class Which(Tool):
    def run(self, call: Call) -> Result:
        rows = [f"{name} {call.node.where_is(name, call.container) or '-'}" for name in call.argv[1:]]
        return say("\n".join([*rows, "which-end"]) + "\n")


@script("hakuna-cann")
class Cann(Tool):
    def run(self, call: Call) -> Result:
        content = call.node.file(CANN_INFO, call.container)
        if content is None:
            return say("cann-end\n")
        return say(f"file {CANN_INFO}\n{content.decode()}\ncann-end\n")


@script("hakuna-tcp")
class Tcp(Tool):
    """``hakuna-tcp SECONDS HOST PORT...``; nothing is waited for."""

    def run(self, call: Call) -> Result:
        _, _, host, *ports = call.argv
        rows = [f"{port} {_connect(call.node, host, int(port))}" for port in ports]
        return say("\n".join([*rows, "tcp-end"]) + "\n")


def _connect(node: SimNode, host: str, port: int) -> str:
    peer = node.spec.node_of_ip(host)
    if peer is None:
        return "error No route to host"
    here, there = node.model.where, node.spec.node(peer).where
    if node.spec.has("dead-host", peer):
        return "timeout"
    if port >= FIRST_BLOCKED_PORT and node.spec.has_pair("tcp-blocked", here, there):
        return "timeout"
    return "open" if is_listening(SimNode(node.spec, node.state, peer), port) else "refused"


@script("hakuna-lease")
class Lease(Tool):
    """``show DIR``, ``acquire DIR HOLDER EXPIRES``, ``release DIR HOLDER``."""

    def run(self, call: Call) -> Result:
        _, action, folder, *rest = call.argv
        if action == "show":
            return say(_shown(_lease(call.node, folder)))
        with call.node.state.transaction() as data:
            leases = section(data, "leases", call.node.name)
            held = _lease(call.node, folder)
            if action == "acquire":
                holder, expires = rest[0], int(rest[1])  # "+60" is from now
                if rest[1].startswith("+"):
                    expires += int(time.time())
                if call.node.spec.has("lease-lost", call.node.name):
                    held = {"holder": "somebody@elsewhere:4242/other", "expires": int(time.time()) + 3600}
                if held is not None and held["holder"] != holder and held["expires"] > time.time():
                    return say(_held(held))
                leases[folder] = {"holder": holder, "expires": expires}
                return say(f"lease acquired {holder} {expires}\n")
            if held is None:
                return say("lease free\n")
            foreign = held["holder"] != rest[0] and not held["holder"].endswith(f"/{rest[0]}")
            if foreign or call.node.spec.has("lease-stays", call.node.name):
                return say(_held(held))
            leases.pop(folder, None)
            return say("lease released\n")


def _lease(node: SimNode, folder: str) -> dict[str, Any] | None:
    if node.spec.has("lease-held", node.name):
        return {"holder": "somebody@elsewhere:4242/20240102-030405-busy", "expires": int(time.time()) + 3600}
    if node.spec.has("lease-taken", node.name) and node.state.read()["next_pid"] > FIRST_PID:
        return {"holder": "somebody@elsewhere:4242/20240102-030405-hasty", "expires": int(time.time()) + 3600}
    found: dict[str, Any] | None = node.state.read()["leases"].get(node.name, {}).get(folder)
    return found


def _shown(lease: dict[str, Any] | None) -> str:
    if lease is None:
        return "lease free\n"
    return _held(lease) if lease["expires"] > time.time() else f"lease expired {lease['holder']} {lease['expires']}\n"


def _held(lease: dict[str, Any]) -> str:
    return f"lease held {lease['holder']} {lease['expires']}\n"
