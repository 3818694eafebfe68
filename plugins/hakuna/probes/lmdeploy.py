# SPDX-License-Identifier: Apache-2.0
"""LMDeploy's two doors, the ``api_server`` (guide, 4.1) and ``pipeline`` (4.2), and what a process runs with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hakuna.evidence import Command
from hakuna.inventory.model import Inventory
from hakuna.probes.programs import program
from hakuna.probes.ray import KEEP_ENVIRON, head_address
from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import program_answer, shaped, shown

#: Where LMDeploy listens unless it is told otherwise (serve.py).
DEFAULT_PORT = 23333


@dataclass(frozen=True)
class ServerArguments:
    """What an api_server was given, LMDeploy's defaults filled in. ``has_api_key`` tells no more than that.

    ``values`` holds every option as it stands, by its long name without dashes ("log-level"); flags are "".
    """

    model: str
    backend: str = "turbomind"
    device: str = "cuda"
    tp: int = 1
    dp: int = 1
    eager_mode: bool = False
    port: int = DEFAULT_PORT
    host: str = "0.0.0.0"  # noqa: S104  # LMDeploy's default, to be reported
    model_name: str = ""
    has_api_key: bool = False
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineAnswer:
    """What ``pipeline`` answered. ``error`` is set, and the text empty, where it failed.

    ``closed`` is false where its engine did not end within a minute of the answer and the process was ended instead.
    """

    text: str = ""
    seconds: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str = ""
    closed: bool = True


def api_server_argv(inventory: Inventory, *, eager: bool) -> tuple[str, ...]:
    """The guide's command, and after it what the inventory adds. Never an API key."""
    server = inventory.server
    argv = ["lmdeploy", "serve", "api_server", server.model_path]
    argv += ["--backend", server.backend, "--device", server.device]
    if eager:
        argv.append("--eager-mode")
    argv += ["--tp", str(inventory.tp)]
    if server.port != DEFAULT_PORT:
        argv += ["--server-port", str(server.port)]
    if server.served_name:
        argv += ["--model-name", server.served_name]
    return (*argv, *server.extra_args)


def api_server(inventory: Inventory, env: Mapping[str, str], *, eager: bool) -> Command:
    """Start the server, detached, with its log on the node.

    With an API key it is ``hakuna-serve`` that runs the same words and reads the key from stdin: LMDeploy takes
    keys from its command line only, which everybody on the node could read.
    """
    argv = api_server_argv(inventory, eager=eager)
    whole = _with_cluster(inventory, env)
    log = inventory.server.log
    key = inventory.api_key.get_secret_value()
    if not key:
        return Command("server.start", argv, deadline=30.0, env=whole, mutates=True, spawn_log=log)
    carrier = program("serve", *argv, id="server.start", deadline=30.0, env=whole, stdin=f"{key}\n".encode())
    return Command(
        carrier.id, carrier.argv, carrier.deadline, env=whole, stdin=carrier.stdin, mutates=True, spawn_log=log
    )


def pipeline(inventory: Inventory, env: Mapping[str, str], *, eager: bool) -> Command:
    """Section 4.2 of the guide on the head."""
    words = [inventory.server.model_path, str(inventory.tp), inventory.server.expect.prompt]
    if not eager:
        words.append("graph")
    deadline = inventory.thresholds.time_to_ready + 120.0
    return program(
        "pipeline", *words, id="pipeline", deadline=deadline, env=_with_cluster(inventory, env), mutates=True
    )


def _with_cluster(inventory: Inventory, env: Mapping[str, str]) -> dict[str, str]:
    """Without RAY_ADDRESS LMDeploy may join another cluster of the machine, or start one of its own."""
    return {"RAY_ADDRESS": head_address(inventory), **KEEP_ENVIRON, **env}


def is_api_server(argv: Sequence[str]) -> bool:
    """Whether a process's arguments are those of an api_server, behind whatever interpreter or wrapper."""
    return _start(argv) is not None


def _start(argv: Sequence[str]) -> int | None:
    """Where the server's own arguments begin."""
    for i in range(len(argv) - 1):
        if argv[i] == "serve" and argv[i + 1] in ("api_server", "api-server"):
            return i + 2
    return None


#: Options that take no value, and those that take several (lmdeploy/cli/serve.py, utils.py).
_FLAGS = frozenset(
    (
        "eager-mode",
        "allow-credentials",
        "enable-prefix-caching",
        "trust-remote-code",
        "allow-terminate-by-client",
        "enable-abort-handling",
        "disable-metrics",
        "enable-metrics",
        "disable-fastapi-docs",
        "ssl",
        "disable-vision-encoder",
        "enable-microbatch",
        "enable-eplb",
        "enable-return-routed-experts",
        "empty-init",
        "language-model-only",
        "disable-cuda-graph",
        "debug",
    )
)
_SEVERAL = frozenset(
    (
        "api-keys",
        "allow-origins",
        "allow-methods",
        "allow-headers",
        "adapters",
        "allowed-media-domains",
        "cudagraph-capture-batch-sizes",
    )
)


def words_taken(option: str) -> int | str:
    """How many words the option takes, by its long name without dashes: 0, 1, or "*" for as many as follow."""
    return 0 if option in _FLAGS else "*" if option in _SEVERAL else 1


def parse_arguments(argv: Sequence[str]) -> ServerArguments:
    """Read a running api_server's arguments: ``--opt value``, ``--opt=value``, underscores for dashes.

    Raises:
        UnparsedError: they are not an api_server's, or no model is named.
    """
    start = _start(argv)
    if start is None:
        raise UnparsedError(f"not an api_server: {shown(' '.join(argv))!r}")
    values: dict[str, str] = {}
    models: list[str] = []
    words = list(argv[start:])
    while words:
        word = words.pop(0)
        if not re.match(r"--[A-Za-z]", word):
            models.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        name = name.replace("_", "-")
        if equals or name in _FLAGS:
            values[name] = value
            continue
        taken: list[str] = []
        while words and not re.match(r"--[A-Za-z]", words[0]) and (name in _SEVERAL or not taken):
            taken.append(words.pop(0))
        values[name] = " ".join(taken)
    if not models and "model-path" in values:
        models.append(values["model-path"])
    if not models:
        raise UnparsedError("an api_server without a model")
    return _arguments(models[0], values)


def _arguments(model: str, values: Mapping[str, str]) -> ServerArguments:
    default = ServerArguments(model)
    return ServerArguments(
        model=model,
        backend=values.get("backend", default.backend),
        device=values.get("device", default.device),
        tp=_number(values, "tp", 1),
        dp=_number(values, "dp", 1),
        eager_mode="eager-mode" in values,
        port=_number(values, "server-port", DEFAULT_PORT),
        host=values.get("server-name", default.host),
        model_name=values.get("model-name", ""),
        has_api_key="api-keys" in values,
        values={k: "***" if k == "api-keys" else v for k, v in values.items()},
    )


def _number(values: Mapping[str, str], name: str, default: int) -> int:
    word = values.get(name, str(default))
    if not word.isdecimal():
        raise UnparsedError(f"an api_server with --{name} {word!r}")
    return int(word)


@shaped
def parse_pipeline(text: str) -> PipelineAnswer:
    """Read what ``hakuna-pipeline`` printed.

    Raises:
        UnparsedError: it printed no answer of its own.
    """
    answer = program_answer("hakuna-pipeline", text)
    if answer.get("error"):
        return PipelineAnswer(error=str(answer["error"]))
    return PipelineAnswer(
        str(answer["text"]),
        float(answer["seconds"]),
        None if answer.get("input_tokens") is None else int(answer["input_tokens"]),
        None if answer.get("output_tokens") is None else int(answer["output_tokens"]),
        closed=answer.get("closed") is not False,
    )
