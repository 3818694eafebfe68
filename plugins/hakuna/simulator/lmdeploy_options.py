# SPDX-License-Identifier: Apache-2.0
"""The command line of ``lmdeploy serve api_server``, as LMDeploy 0.11 to 0.18 parse it (lmdeploy/cli/serve.py)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

USAGE = "usage: lmdeploy serve api_server [-h] [--server-name SERVER_NAME] [--server-port SERVER_PORT] ... model_path\n"
DEFAULT_PORT = 23333

_CHOICES = {
    "--backend": ("pytorch", "turbomind"),
    "--device": ("cuda", "ascend", "maca", "camb"),
    "--dtype": ("auto", "float16", "bfloat16"),
    "--distributed-executor-backend": ("uni", "mp", "ray"),
    "--log-level": ("CRITICAL", "FATAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "NOTSET", "REQUEST"),
    "--role": ("Hybrid", "Prefill", "Decode"),
    "--model-format": ("hf", "awq", "gptq", "fp8", "mxfp4"),
}
_DEFAULTS: dict[str, object] = {
    "--server-name": "0.0.0.0",  # noqa: S104  # LMDeploy's own default
    "--backend": "turbomind",
    "--device": "cuda",
    "--log-level": "WARNING",
}
_NUMBERS = {
    "--server-port": None,
    "--tp": 1,
    "--dp": 1,
    "--ep": 1,
    "--nnodes": 1,
    "--node-rank": 0,
    "--session-len": None,
    "--max-batch-size": None,
    "--cache-block-seq-len": 64,
    "--max-prefill-token-num": 8192,
    "--quant-policy": 0,
    "--max-concurrent-requests": None,
    "--max-log-len": None,
    "--num-tokens-per-iter": 0,
    "--max-prefill-iters": 1,
}
_FRACTIONS = ("--cache-max-entry-count", "--rope-scaling-factor")
_WORDS = (
    "--server-name",
    "--model-name",
    "--chat-template",
    "--tool-call-parser",
    "--reasoning-parser",
    "--revision",
    "--download-dir",
    "--proxy-url",
    "--hf-overrides",
    "--migration-backend",
    "--logprobs-mode",
    "--communicator",
)
_LISTS = ("--api-keys", "--allow-origins", "--allow-methods", "--allow-headers", "--adapters")
_FLAGS = (
    "--eager-mode",
    "--disable-metrics",
    "--allow-credentials",
    "--allow-terminate-by-client",
    "--enable-abort-handling",
    "--trust-remote-code",
    "--ssl",
    "--disable-fastapi-docs",
    "--enable-prefix-caching",
    "--enable-microbatch",
    "--enable-eplb",
)
#: Options by the first version that has them.
_SINCE: dict[str, tuple[int, int]] = {
    "--empty-init": (0, 18),
    "--num-gpu-blocks": (0, 18),
    "--kv-transfer-config": (0, 18),
}


class UsageError(Exception):
    """Arguments that LMDeploy refuses; holds what it prints. Its exit code is then 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{USAGE}lmdeploy serve api_server: error: {message}\n")


def parse(words: Sequence[str], version: tuple[int, int, int]) -> argparse.Namespace:
    """Read the words after ``api_server``.

    Raises:
        UsageError: LMDeploy would refuse them.
    """
    parser = _Parser(prog="lmdeploy serve api_server", add_help=False)
    parser.add_argument("model_path")
    for name in _WORDS:
        parser.add_argument(name, default=_DEFAULTS.get(name))
    for name, number in _NUMBERS.items():
        parser.add_argument(name, type=int, default=number)
    for name in _FRACTIONS:
        parser.add_argument(name, type=float)
    for name, choices in _CHOICES.items():
        parser.add_argument(name, choices=choices, default=_DEFAULTS.get(name))
    for name in _LISTS:
        parser.add_argument(name, nargs="*")
    for name in _FLAGS:
        parser.add_argument(name, action="store_true")
    for name, since in _SINCE.items():
        if version >= since:
            parser.add_argument(name)
    return parser.parse_args([_dashed(word) for word in words])


def _dashed(word: str) -> str:
    """LMDeploy's parser takes underscores in option names for dashes."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


def without_secrets(words: Sequence[str]) -> tuple[str, ...]:
    """The same words with every API key shown as ``***``."""
    shown: list[str] = []
    secret = False
    for word in words:
        name, equals, _ = word.partition("=")
        if word.startswith("--"):
            secret = _dashed(name) == "--api-keys"
            shown.append(f"{name}=***" if secret and equals else word)
        else:
            shown.append("***" if secret else word)
    return tuple(shown)
