# SPDX-License-Identifier: Apache-2.0
"""One release, all points: what its own code does beside what Hakuna and its simulator take for granted."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from contract import environments, exchanges, options, rank_tables
from contract.exchanges import Server
from hakuna.inventory.model import Inventory
from hakuna.judgement.versions import reads_rank_table
from hakuna.probes import programs
from hakuna.probes.lmdeploy import api_server_argv
from hakuna.simulator import lmdeploy_server
from hakuna.simulator.lmdeploy_server_release import Release

PROGRAMS = Path(__file__).parent / "programs"
KEY = "contract-key"
#: Names of models that the releases up to 0.9 know the chat template of by the folder's name alone.
MODEL = "qwen2.5-contract"
POINTS = (
    "command", "eager mode", "options", "rank table", "routes", "health", "answers", "streams", "values", "bodies",
    "key", "pipeline",
)  # fmt: skip
_PATIENCE = 180.0  # seconds for imports on a busy machine


@dataclass
class Contract:
    """What came of one release. ``points`` are what was compared, ``differences`` what is not equal, both by point."""

    version: str
    missing: str = ""
    seconds: float = 0.0
    points: dict[str, str] = field(default_factory=dict)
    differences: dict[str, list[str]] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        return not self.missing and not any(self.differences.values())

    def note(self, point: str, word: str, differences: list[str]) -> None:
        self.points[point] = word
        self.differences[point] = differences


class BrokenError(Exception):
    """The release's own code could not be run here; the text says why."""


def inventory(model: str, *, port: int, version: str = "", **server: Any) -> Inventory:
    """The guide's 2 x 8 with the contract's model, listening on this machine only."""
    extra = ["--server-name", "127.0.0.1", "--log-level", "INFO"]
    nodes = [{"name": f"node-{n}", "address": f"192.0.2.1{i}", "node_ip": f"192.0.2.1{i}"} for i, n in enumerate("ab")]
    settings = {"model_path": model, "port": port, "extra_args": extra, **server}
    document = {"transport": "simulated", "nodes": nodes, "server": settings, "lmdeploy_version": version}
    return Inventory.model_validate({k: v for k, v in document.items() if v})


def compare(version: str, python: Path) -> Contract:
    """Ask the release everything."""
    begun = time.monotonic()
    made = Contract(version)
    try:
        environment = environments.of(version, python)
        with tempfile.TemporaryDirectory(prefix="contract-") as folder:
            _compare(made, environment, Path(folder))
    except (environments.UnavailableError, BrokenError) as error:
        made.missing = str(error)
    made.seconds = time.monotonic() - begun
    return made


def _compare(made: Contract, environment: environments.Environment, folder: Path) -> None:
    model = str(folder / MODEL)
    _run([str(environment.python), str(PROGRAMS / "tiny_model.py"), model], environment.variables)
    ports = dict(zip(Server, _free_ports(len(Server)), strict=True))
    with ExitStack() as stack:
        told = stack.enter_context(_release(environment, folder, model, ports))
        simulated = {s: stack.enter_context(_simulated(made.version, model, s, folder)) for s in Server}
        if told["release"]["version"] != made.version:
            raise BrokenError(f"the wheel calls itself {told['release']['version']}")
        _commands(made, told["commands"])
        _tables(made, told["tables"], model)
        _pipeline(made, told["pipeline"])
        for server, port in ports.items():
            _await(port, folder / f"{server.value}.log")
        _routes(made, ports[Server.PLAIN])
        _exchanges(made, model, ports, simulated)


def _plan(folder: Path, version: str, model: str, ports: Mapping[Server, int]) -> dict[str, Any]:
    """What the release is to do."""
    servers = []
    for server, port in ports.items():
        argv = [*api_server_argv(inventory(model, port=port), eager=True)]
        if server is Server.KEYED:
            argv += ["--api-keys", KEY]  # as hakuna-serve adds it
        state = "dead" if server is Server.DEAD else "healthy"
        servers.append({"argv": argv, "env": {"CONTRACT_ENGINE": state}, "log": str(folder / f"{server.value}.log")})
    cases = rank_tables.cases(inventory(model, port=1))
    tables = []
    for index, (name, text) in enumerate(cases.items()):
        path = folder / f"table-{index}.json"
        path.write_text(text, encoding="utf-8")
        tables.append({"name": name, "path": str(path)})
    ips = [n.node_ip for n in inventory(model, port=1).ordered_nodes]
    source = Path(programs.__file__).with_name("pipeline.py")
    return {
        "servers": servers,
        "commands": [list(argv) for argv in options.commands(model, version)],
        "tables": {"tables": tables, "head": ips[0], "workers": [ip for _ in range(8) for ip in ips]},
        "pipeline": {"program": str(source), "words": ["hakuna-pipeline", model, "1", "Hakuna Matata"]},
    }


@contextmanager
def _release(
    environment: environments.Environment, folder: Path, model: str, ports: Mapping[Server, int]
) -> Iterator[dict[str, Any]]:
    """What the release's program tells, while its servers stand."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps(_plan(folder, environment.version, model, ports)), encoding="utf-8")
    log = folder / "release.log"
    words = [str(environment.python), str(PROGRAMS / "release.py"), str(plan)]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            words,
            cwd=folder,
            env=environment.variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None  # noqa: S101  # for the type checker
        assert process.stdout is not None  # noqa: S101  # same
        told: dict[str, Any] = {}
        try:
            for line in process.stdout:
                if not line.startswith('{"about"'):
                    continue  # something that the release prints while it is imported
                answer = json.loads(line)
                told[answer["about"]] = answer.get("answer", answer)
                if answer["about"] == "standing":
                    break
            if "standing" not in told:
                raise BrokenError(f"its code does not run here: {_last_line(log)}")
            yield told
        finally:
            process.stdin.close()


@contextmanager
def _simulated(version: str, model: str, server: Server, folder: Path) -> Iterator[int]:
    """The port of the simulated server of that release."""
    port_file = folder / f"simulated-{server.value}.port"
    words = [sys.executable, "-I", "-S", lmdeploy_server.__file__, "--lmdeploy-version", version, "--model", model]
    words += ["--port-file", str(port_file), "--no-access-log"]
    if server is Server.DEAD:
        words.append("--engine-stopped")
    env = {lmdeploy_server.KEYS_VARIABLE: KEY if server is Server.KEYED else ""}
    log = folder / f"simulated-{server.value}.log"
    with log.open("wb") as out, subprocess.Popen(words, env=env, stdout=out, stderr=out) as process:
        try:
            end = time.monotonic() + _PATIENCE
            while not (port_file.exists() and b"Uvicorn running" in log.read_bytes()):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"the simulated server did not start: {log.read_text()}")
                time.sleep(0.01)  # a file and a log tell it, and neither can be waited for
            yield int(port_file.read_text(encoding="ascii"))
        finally:
            process.terminate()


def _commands(made: Contract, told: Any) -> None:
    if isinstance(told, dict):
        raise BrokenError(f"its command line does not run here: {told.get('error', '')[-300:]}")
    *answers, last = told
    refused = [f"{' '.join(a['argv'])}: {a['said'].strip()}" for a in answers if not a["accepted"]]
    made.note("command", f"{len(answers)} of {len(answers)}" if not refused else "refused", refused)
    wrong = [
        f"{' '.join(a['argv'])}: {name} is {a['config'][name]!r}, not {wanted!r}"
        for a in answers
        if a["accepted"]
        for name, wanted in options.wanted_config(a["argv"]).items()
        if a["config"][name] != wanted or a["kind"] != "PytorchEngineConfig"
    ]
    made.note("eager mode", "arrives", wrong)
    made.note("options", f"{len(last['options'])}", options.differences(made.version, last["options"]))


def _tables(made: Contract, told: Any, model: str) -> None:
    should = reads_rank_table(made.version).value
    if not told.get("reads"):
        made.note("rank table", "reads none", [f"it reads no rank table: {told}"] if should else [])
        return
    found = rank_tables.verdicts(inventory(model, port=1), made.version, told)
    wrong = [
        f"{v.name}: {'refused: ' + v.words if v.refused else 'taken'}, Hakuna says {'bad' if v.foretold else 'good'}"
        for v in found
        if not v.right
    ]
    if not should:
        wrong.append("it reads a rank table, Hakuna says that it does not")
    refused = sum(v.refused for v in found)
    made.note("rank table", f"takes {len(found) - refused}, refuses {refused}", wrong)


def _pipeline(made: Contract, told: Any) -> None:
    text = told.get("text", "")
    wrong = [] if "Hakuna Matata" in text else [f"hakuna-pipeline printed {told}"]
    made.note("pipeline", "answers", wrong)


def _routes(made: Contract, port: int) -> None:
    with requests.Session() as session:
        session.trust_env = False
        paths = session.get(f"http://127.0.0.1:{port}/openapi.json", timeout=30).json()["paths"]
    real = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    own = {f"{method} {path}" for method, path in Release(made.version).routes}
    wrong = [f"{r} is missing" for r in sorted(real - own)] + [f"{r} is too much" for r in sorted(own - real)]
    made.note("routes", f"{len(real)}", wrong)


def _exchanges(made: Contract, model: str, real: Mapping[Server, int], simulated: Mapping[Server, int]) -> None:
    count: dict[str, int] = {}
    wrong: dict[str, list[str]] = {}
    number = Release(made.version).number
    for exchange in (e for e in exchanges.exchanges(model, KEY) if e.since <= number):
        one = exchanges.ask(exchange, real[exchange.server])
        other = exchanges.ask(exchange, simulated[exchange.server])
        count[exchange.point] = count.get(exchange.point, 0) + 1
        found = [f"{exchange.name}: {d}" for d in one.differences(other)]
        wrong.setdefault(exchange.point, []).extend(found)
    for point, number in count.items():
        made.note(point, f"{number} alike", wrong[point])


def _await(port: int, log: Path) -> None:
    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    _until(listens, lambda: f"its api_server does not come up here: {_last_line(log)}")


def _until(condition: Callable[[], bool], words: Callable[[], str]) -> None:
    end = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise BrokenError(words())
        time.sleep(0.1)  # any condition: there is no event for it


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _run(words: list[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise BrokenError(done.stderr.strip()[-500:])


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
