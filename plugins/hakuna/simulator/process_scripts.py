# SPDX-License-Identifier: Apache-2.0
"""The node scripts that look for processes, end them, and write and remove files."""

from __future__ import annotations

import re
import signal as signals

from hakuna.simulator import processes
from hakuna.simulator.containers import host_path
from hakuna.simulator.files import nofile
from hakuna.simulator.log_stories import logs
from hakuna.simulator.state import section
from hakuna.simulator.table_faults import rewritten
from hakuna.simulator.tools import Call, Result, Tool, say, script

_LABEL = "HAKUNA_RUN="
_SHOWN = re.compile(
    r"^(GLOO_|TP_SOCKET|HCCL_|RAY_|ASCEND_|RANK_TABLE|LMDEPLOY_|HAKUNA_|PYTORCH_NPU|LD_PRELOAD|OMP_NUM)"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)


@script("hakuna-procs")
class Procs(Tool):
    """Processes by their arguments or label. Inside a container only its own are seen."""

    def run(self, call: Call) -> Result:
        patterns = call.argv[1:]
        found = [
            p
            for p in processes.of_node(call.node.state.read(), call.node.name)
            if call.container in (None, p["container"]) and any(_matches(p, q) for q in patterns)
        ]
        rows: list[str] = []
        found += _strangers(call, patterns)
        for p in found:
            rows.append(f"process {p['pid']} {p['start']} {p['ppid']}")
            rows += [f"arg {_line(a)}" for a in p["argv"]]
            rows += [
                f"env {name}={_line(value)}"
                for name, value in p["env"].items()
                if _SHOWN.match(name) and not _SECRET.search(name)
            ]
            limit = p.get("nofile", nofile(call.node, inside=p["container"] is not None))
            rows += [f"limit nofile {limit}", "end"]
        rows.append(f"procs-end {len(found)}")
        return say("\n".join(rows) + "\n")


def _strangers(call: Call, patterns: tuple[str, ...]) -> list[processes.Process]:
    """Processes that the state does not hold: another run's, another cluster's, one that cannot be killed (faults)."""
    spec, name = call.node.spec, call.node.name
    label = next((p for p in patterns if p.startswith(_LABEL)), "")
    found: list[processes.Process] = []

    def process(argv: str, env: dict[str, str]) -> processes.Process:
        return {"pid": 77001 + len(found), "start": 4242, "ppid": 1, "argv": [argv], "env": env, "container": None}

    if call.container is None and label == _LABEL and spec.has("leftover-process", name):
        found.append(process("ray::IDLE", {"HAKUNA_RUN": "20240102-030405-dead"}))
    if label not in ("", _LABEL) and spec.has("process-survives", name):
        found.append(process("ray::RayWorkerWrapper", {"HAKUNA_RUN": label.removeprefix(_LABEL)}))
    if spec.has("stale-ray", name) and any("raylet" in p for p in patterns):
        found.append(process("/opt/other/ray/core/src/ray/raylet/raylet", {}))
    return found


def _matches(process: processes.Process, pattern: str) -> bool:
    if pattern.startswith(_LABEL):
        return any(f"{name}={value}".startswith(pattern) for name, value in process["env"].items())
    return pattern in "\n".join(_line(a) for a in process["argv"])


def _line(text: str) -> str:
    return text.replace("\n", " ")


@script("hakuna-alive")
class Alive(Tool):
    def run(self, call: Call) -> Result:
        found = processes.find(call.node.state.read(), call.node.name, int(call.argv[1]))
        return say("alive\n" if found else "gone\n")


@script("hakuna-kill")
class Kill(Tool):
    """``hakuna-kill RUN SIGNAL PID...``: only processes that carry the run's label are ended."""

    def run(self, call: Call) -> Result:
        _, run, name, *pids = call.argv
        signal = getattr(signals, f"SIG{name.removeprefix('SIG')}", signals.SIGTERM)
        rows: list[str] = []
        with call.node.state.transaction() as data:
            for word in pids:
                process = processes.find(data, call.node.name, int(word))
                if process is None:
                    rows.append(f"gone {word}")
                elif process["env"].get("HAKUNA_RUN") != run:
                    rows.append(f"foreign {word}")
                else:
                    processes.end(data, call.node.name, int(word), signal=signal)
                    rows.append(f"killed {word}")
        return say("\n".join([*rows, "kill-end"]) + "\n")


@script("hakuna-write")
class Write(Tool):
    """``hakuna-write PATH``. On the rank table's path a site's own script may write something else (a fault)."""

    def run(self, call: Call) -> Result:
        path = call.argv[1]
        content = call.stdin
        if path == call.node.inventory.rank_table.path:
            if call.node.spec.has("table-missing", call.node.name):
                return say(f"wrote {path} {len(content)}\n")  # the site's script says so, and did it elsewhere
            content = rewritten(call.node.spec, call.node.name, content)
        call.node.write(path, content, call.container)
        return say(f"wrote {path} {len(call.stdin)}\n")


@script("hakuna-remove")
class Remove(Tool):
    def run(self, call: Call) -> Result:
        rows: list[str] = []
        with call.node.state.transaction() as data:
            for path in call.argv[1:]:
                if section(data, "folders", call.node.name).pop(path, None):
                    rows.append(f"removed {path}")
                elif call.node.spec.has("file-survives", call.node.name):
                    rows.append(f"left {path}")
                elif call.node.remove(path, call.container):
                    rows.append(f"removed {path}")
                elif host_path(call.node, path, call.container) and call.node.file(path, call.container) is not None:
                    rows.append(f"left {path}")
                else:
                    rows.append(f"absent {path}")
        return say("\n".join([*rows, "remove-end"]) + "\n")


@script("hakuna-logs")
class Logs(Tool):
    """``hakuna-logs MINUTES BYTES``: what the workers of the last start left, all of it whole."""

    def run(self, call: Call) -> Result:
        rows: list[str] = []
        for path, text in sorted(logs(call.node.spec, call.node.name).items()):
            rows += [f"file {len(text.encode())} whole {path}", *(f"|{line}" for line in text.splitlines()), ""]
        return say("\n".join([*rows, "logs-end"]) + "\n")
