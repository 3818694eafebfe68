# SPDX-License-Identifier: Apache-2.0
"""The plain tools of a Linux host: cat, find, ls, date, hostname, uname, df, mkdir, sha256sum, tail."""

from __future__ import annotations

import hashlib
import time

from hakuna.simulator.containers import host_path, shm_bytes, visible_devices
from hakuna.simulator.node import SimNode
from hakuna.simulator.state import section
from hakuna.simulator.tools import Call, Result, Tool, say, tool

GIB = 2**30


@tool("cat")
class Cat(Tool):
    def run(self, call: Call) -> Result:
        out, err = b"", ""
        for path in call.argv[1:]:
            content = call.node.file(path, call.container)
            if content is None:
                err += f"cat: {path}: No such file or directory\n"
            else:
                out += content
        return Result(1 if err else 0, out, err.encode())


@tool("tail")
class Tail(Tool):
    """``tail -c BYTES PATH``."""

    def run(self, call: Call) -> Result:
        words = call.argv[1:]
        path = words[-1]
        content = call.node.file(path, call.container)
        if content is None:
            return say("", f"tail: cannot open '{path}' for reading: No such file or directory\n", 1)
        count = int(words[words.index("-c") + 1]) if "-c" in words else len(content)
        return Result(0, content[-count:] if count else b"")


@tool("mkdir")
class Mkdir(Tool):
    """``mkdir -p FOLDER...``; that they are there now is all that is known of them."""

    def run(self, call: Call) -> Result:
        with call.node.state.transaction() as data:
            for folder in (w for w in call.argv[1:] if not w.startswith("-")):
                section(data, "folders", call.node.name)[folder] = True
        return say("")


@tool("sha256sum")
class Sha256sum(Tool):
    def run(self, call: Call) -> Result:
        out, err = "", ""
        for path in call.argv[1:]:
            content = call.node.file(path, call.container)
            if content is None:
                err += f"sha256sum: {path}: No such file or directory\n"
            else:
                out += f"{hashlib.sha256(content).hexdigest()}  {path}\n"
        return say(out, err, 1 if err else 0)


@tool("date")
class Date(Tool):
    """``date +%s.%N``; other formats give what ``date`` alone gives."""

    def run(self, call: Call) -> Result:
        now = time.time_ns() + (30 * 10**9 if call.node.spec.has("clock-skew", call.node.name) else 0)
        if "+%s.%N" in call.argv:
            return say(f"{now // 10**9}.{now % 10**9:09d}\n")
        if "+%s" in call.argv:
            return say(f"{now // 10**9}\n")
        return say(time.strftime("%a %b %e %H:%M:%S UTC %Y\n", time.gmtime(now // 10**9)))


@tool("hostname")
class Hostname(Tool):
    def run(self, call: Call) -> Result:
        words = call.argv[1:]
        if "-I" in words:
            return say(call.node.model.node_ip + " \n")
        if "-i" in words:
            return say(call.node.spec.hostname_address(call.node.name) + "\n")
        return say(call.node.spec.hostname(call.node.name) + "\n")


@tool("uname")
class Uname(Tool):
    """``uname -srm`` (and any single letter of it)."""

    def run(self, call: Call) -> Result:
        parts = {
            "s": "Linux",
            "n": call.node.spec.hostname(call.node.name),
            "r": "5.10.0-216.0.0.115.oe2203sp4.aarch64",
        }
        parts["m"] = "aarch64"
        letters = "".join(w.lstrip("-") for w in call.argv[1:]) or "s"
        return say(" ".join(parts[x] for x in "snrm" if x in letters) + "\n")


@tool("find")
class Find(Tool):
    """The two searches that are ever made: device nodes below /dev, and the files of a directory with their sizes."""

    def run(self, call: Call) -> Result:
        words = [w for w in call.argv[1:] if w not in ("-L", "-H", "-P")]
        top = words[0].rstrip("/") or "/"
        if top == "/dev":
            return say("".join(f"{path}\n" for path in visible_devices(call.node, call.container)))
        rows = directory(call.node, top, call.container)
        if rows is None:
            return say("", f"find: ‘{words[0]}’: No such file or directory\n", 1)  # noqa: RUF001  # GNU find's quotes
        if "-printf" not in words:
            return say("".join(f"{top}/{name}\n" for name in rows))
        return say("".join(f"{name}\t{size}\n" for name, size in rows.items()))


@tool("ls")
class Ls(Tool):
    def run(self, call: Call) -> Result:
        paths = [w for w in call.argv[1:] if not w.startswith("-")] or ["/"]
        out, err = "", ""
        for path in paths:
            rows = directory(call.node, path.rstrip("/"), call.container)
            if path.rstrip("/") == "/dev":
                rows = {p.rpartition("/")[2]: 0 for p in visible_devices(call.node, call.container)}
            if rows is not None:
                out += "".join(f"{name}\n" for name in sorted(rows))
            elif call.node.file(path, call.container) is not None or path in visible_devices(call.node, call.container):
                out += f"{path}\n"
            else:
                err += f"ls: cannot access '{path}': No such file or directory\n"
        return say(out, err, 2 if err else 0)


def directory(node: SimNode, path: str, container: str | None) -> dict[str, int] | None:
    """The files of a directory with their sizes in bytes; None when there is no such directory."""
    if path == node.inventory.server.model_path.rstrip("/") and host_path(node, path, container) is not None:
        files = node.spec.model_files(node.name, inside=container is not None)
        if files is None:
            return None
        config = node.file(f"{path}/config.json", container) or b""
        return {**files, "config.json": len(config)}
    names = node.files_in(path, container)
    return {name: len(node.file(f"{path}/{name}", container) or b"") for name in names} or None


@tool("df")
class Df(Tool):
    """``df -P -B1 PATH...``."""

    def run(self, call: Call) -> Result:
        rows = ["Filesystem        1-blocks          Used     Available Capacity Mounted on"]
        rows += [_df_row(call.node, path, call.container) for path in call.argv[1:] if not path.startswith("-")]
        return say("\n".join(rows) + "\n")


def _df_row(node: SimNode, path: str, container: str | None) -> str:
    if path == "/dev/shm":  # noqa: S108  # it is reported on, not written to
        size = shm_bytes(node, container)
        return f"tmpfs {size} 0 {size} 0% /dev/shm"
    size = 3500 * GIB
    free = GIB if node.spec.has("low-disk", node.name) else 2700 * GIB
    source = "overlay" if container is not None else "/dev/nvme0n1p2"
    used = size - free
    return f"{source} {size} {used} {free} {round(100 * used / size)}% /"
