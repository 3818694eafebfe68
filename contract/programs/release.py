# SPDX-License-Identifier: Apache-2.0
"""contract-release PLAN: runs in the environment of one LMDeploy release and shows what that release does.

It imports the release once and forks a child for each part of the plan (a JSON file):

- ``servers``: the release's own command with the stub engine below it; each serves until this program ends;
- ``commands``: what the release's own parser makes of a command, and the engine configuration that comes of it;
- ``pipeline``: Hakuna's own program for section 4.2 of the guide;
- ``tables``: what the release's own rank-table code makes of each table.

One JSON object per line goes to stdout, the last one says that all stands; the end of stdin ends everything.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import stub_engine

Json = dict[str, Any]


def main(plan: Json) -> None:
    """Carry the plan out."""
    version = importlib.import_module("lmdeploy").__version__
    stub_engine.install()
    cli = importlib.import_module("lmdeploy.cli")
    importlib.import_module("lmdeploy.serve.openai.api_server")
    tell({"about": "release", "version": version, "torch": importlib.import_module("torch").__version__})
    children = [fork(lambda s=server: serve(cli, s), Path(server["log"]), server["env"]) for server in plan["servers"]]
    jobs: tuple[tuple[str, Callable[[Any], object]], ...] = (
        ("commands", commands),
        ("tables", tables),
        ("pipeline", pipeline),
    )
    for about, work in jobs:
        tell({"about": about, **in_child(about, lambda w=work, a=about: w(plan[a]))})  # type: ignore[misc]
    tell({"about": "standing"})
    sys.stdin.read()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)


def tell(answer: Json) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def fork(work: Callable[[], object], log: Path, env: Mapping[str, str]) -> int:
    """Do ``work`` in a child, its output in ``log``; gives the child's pid."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ.update(env)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for stream, target in ((null, 0), (out, 1), (out, 2)):
            os.dup2(stream, target)
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001  # a child must end here, whatever happened to it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def in_child(about: str, work: Callable[[], object]) -> Json:
    """What ``work`` gives in a child of its own, as "answer", or its last words as "error"."""
    reader, writer = os.pipe()
    log = Path(sys.argv[1]).with_name(f"{about}.log")

    def told() -> None:
        answer = json.dumps(work())
        with os.fdopen(writer, "w") as pipe:
            pipe.write(answer)

    child = fork(told, log, {})
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return {"answer": json.loads(text)} if text else {"error": log.read_text(errors="replace")[-2000:]}


def serve(cli: Any, server: Json) -> None:
    sys.argv = server["argv"]
    cli.run()


def commands(argvs: list[list[str]]) -> list[Json]:
    """What becomes of each command, and at the end all options."""
    plan = sys.argv
    found: list[Json] = []
    for argv in argvs:
        sys.argv = plan  # in_child finds its place by it
        answer = in_child("command", lambda a=argv: command(a))  # type: ignore[misc]
        found.append(answer.get("answer", {"argv": argv, "accepted": False, "said": answer.get("error")}))
    return [*found, {"options": options()}]


def command(argv: list[str]) -> Json:
    """Whether the release's parser takes the command, and its PytorchEngineConfig."""
    found: Json = {"argv": argv, "accepted": False}

    def caught(*more: Any, **given: Any) -> None:
        del more
        config = given["backend_config"]
        found["config"] = {n: getattr(config, n) for n in ("tp", "device_type", "eager_mode")}
        found.update(accepted=True, kind=type(config).__name__)

    importlib.import_module("lmdeploy.serve.openai.api_server").serve = caught  # type: ignore[attr-defined]
    said = io.StringIO()
    sys.argv = argv
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        importlib.import_module("lmdeploy.cli").run()
    return {**found, "said": said.getvalue()[-400:]}


def options() -> Json:
    """The api_server's options, each with how many words it takes: 0, 1 or "*"."""
    serve_cli = importlib.import_module("lmdeploy.cli.serve").SubCliServe
    serve_cli.add_parsers()
    parser = serve_cli.subparsers.choices["api_server"]
    found: Json = {}
    for action in parser._actions:  # noqa: SLF001  # argparse has no public way to ask for what it knows
        words: int | str = 1 if action.nargs is None else action.nargs
        if isinstance(action, argparse._HelpAction):  # noqa: SLF001  # same
            continue
        found |= {name: words for name in action.option_strings if name.startswith("--")}
    return found


def pipeline(job: Json) -> Json:
    """The last line that ``hakuna-pipeline`` prints."""
    said = io.StringIO()
    sys.argv = ["-c", *job["words"]]
    with contextlib.redirect_stdout(said):
        runpy.run_path(job["program"], run_name="__main__")
    last: Json = json.loads(said.getvalue().strip().splitlines()[-1])
    return last


class _Call:
    def __init__(self, work: Callable[..., Any]) -> None:
        self.remote = work


class _Worker:
    """What the executor asks of a worker: where it is; and what it tells it: which device is its own."""

    def __init__(self, node_ip: str) -> None:
        self.node_ip = node_ip
        self.device: int | None = None
        self.get_node_ip = _Call(lambda: node_ip)
        self.set_device = _Call(lambda device: setattr(self, "device", device))
        self.set_env = _Call(lambda _: None)


def tables(job: Json) -> Json:
    """What the release's own code makes of each table: the devices in order of ranks, or its error."""
    try:
        executor = importlib.import_module("lmdeploy.pytorch.engine.executor.ray_executor")
    except ImportError as missing:
        return {"reads": False, "why": str(missing)}
    if not hasattr(executor, "get_ascend_device_rank_mapping"):
        return {"reads": False, "why": "no get_ascend_device_rank_mapping"}
    executor.ray = SimpleNamespace(get=lambda answers: answers)
    return {"reads": True, "tables": {t["name"]: _placed(executor, job, t["path"]) for t in job["tables"]}}


def _placed(executor: Any, job: Json, path: str) -> Json:
    os.environ["ASCEND_RANK_TABLE_FILE_PATH"] = path
    if hasattr(executor, "_envs"):
        executor._envs.ascend_rank_table_file = path  # noqa: SLF001  # read once at import
    made = object.__new__(executor.RayExecutor)
    made.rank_offset = 0
    made.workers = [_Worker(ip) for ip in job["workers"]]
    try:
        if hasattr(made, "_init_ascend_distributed_environment"):
            made._init_ascend_distributed_environment(job["head"])  # what RayExecutor itself calls
        else:  # 0.8.0 does the same within __init__
            mapping, ips, _ = executor.get_ascend_device_rank_mapping(job["head"])
            made.workers = made._sort_workers_by_ip(ips, made.workers)  # same
            for rank, worker in enumerate(made.workers):
                worker.set_device.remote(mapping[rank])
    except Exception as error:  # noqa: BLE001  # its kind and words are the answer
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    return {"devices": [[worker.node_ip, worker.device] for worker in made.workers]}


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
