# SPDX-License-Identifier: Apache-2.0
"""The command line of ``lmdeploy serve api_server``, as LMDeploy 0.7.2 to 0.18 parse it (lmdeploy/cli/serve.py).

`make contract` holds it against each release's own parser.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

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
    "--dp-rank": 0,
    "--cp": 1,
    "--async": None,
    "--vision-max-batch-size": 1,
    "--kernel-block-size": None,
    "--dllm-block-length": None,
    "--dllm-denoising-steps": None,
    "--prefix-cache-decode-state-interval": None,
    "--prefix-cache-state-budget": None,
    "--speculative-num-draft-tokens": None,
    "--speculative-dflash-block-size": None,
    "--num-gpu-blocks": None,
    "--piecewise-cudagraph-max-tokens": None,
}
_FRACTIONS = ("--cache-max-entry-count", "--rope-scaling-factor", "--dllm-confidence-threshold")
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
    "--dist-init-addr",
    "--dllm-unmasking-strategy",
    "--generation-config",
    "--kv-transfer-config",
    "--moe-a2a-backend",
    "--speculative-algorithm",
    "--speculative-draft-model",
)
#: Options that take several words: "*" any number, "+" one at least.
_LISTS = {
    "--api-keys": "*",
    "--adapters": "*",
    "--allow-origins": "+",
    "--allow-methods": "+",
    "--allow-headers": "+",
    "--allowed-media-domains": "+",
    "--cudagraph-capture-batch-sizes": "+",
}
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
    "--enable-metrics",
    "--enable-return-routed-experts",
    "--disable-vision-encoder",
    "--language-model-only",
    "--empty-init",
)
_NEVER = (99, 0, 0)
#: From here on the parser takes underscores in option names for dashes.
_UNDERSCORES_SINCE = (0, 9, 2)
#: Options that not every release has: from which one on, and before which one it went.
_SPANS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "--allow-terminate-by-client": ((0, 9, 0), _NEVER),
    "--allowed-media-domains": ((0, 15, 0), _NEVER),
    "--async": ((0, 12, 0), _NEVER),
    "--cp": ((0, 11, 0), _NEVER),
    "--cudagraph-capture-batch-sizes": ((0, 14, 0), _NEVER),
    "--disable-metrics": ((0, 11, 0), _NEVER),
    "--disable-vision-encoder": ((0, 9, 2), (0, 15, 0)),
    "--dist-init-addr": ((0, 12, 0), _NEVER),
    "--distributed-executor-backend": ((0, 11, 0), _NEVER),
    "--dllm-block-length": ((0, 10, 1), _NEVER),
    "--dllm-confidence-threshold": ((0, 10, 1), _NEVER),
    "--dllm-denoising-steps": ((0, 10, 1), _NEVER),
    "--dllm-unmasking-strategy": ((0, 10, 1), _NEVER),
    "--dp": ((0, 8, 0), _NEVER),
    "--dp-rank": ((0, 8, 0), (0, 9, 0)),
    "--empty-init": ((0, 18, 0), _NEVER),
    "--enable-abort-handling": ((0, 11, 0), _NEVER),
    "--enable-eplb": ((0, 9, 0), _NEVER),
    "--enable-metrics": ((0, 9, 2), (0, 11, 0)),
    "--enable-microbatch": ((0, 8, 0), _NEVER),
    "--enable-return-routed-experts": ((0, 11, 0), _NEVER),
    "--ep": ((0, 8, 0), _NEVER),
    "--generation-config": ((0, 15, 0), _NEVER),
    "--hf-overrides": ((0, 9, 2), _NEVER),
    "--kernel-block-size": ((0, 13, 0), _NEVER),
    "--kv-transfer-config": ((0, 17, 0), _NEVER),
    "--language-model-only": ((0, 15, 0), _NEVER),
    "--logprobs-mode": ((0, 10, 0), _NEVER),
    "--migration-backend": ((0, 9, 0), _NEVER),
    "--moe-a2a-backend": ((0, 17, 0), _NEVER),
    "--nnodes": ((0, 9, 0), _NEVER),
    "--node-rank": ((0, 9, 0), _NEVER),
    "--num-gpu-blocks": ((0, 18, 0), _NEVER),
    "--piecewise-cudagraph-max-tokens": ((0, 18, 0), _NEVER),
    "--prefix-cache-decode-state-interval": ((0, 14, 0), _NEVER),
    "--prefix-cache-state-budget": ((0, 14, 0), _NEVER),
    "--role": ((0, 9, 0), _NEVER),
    "--speculative-algorithm": ((0, 11, 0), _NEVER),
    "--speculative-dflash-block-size": ((0, 18, 0), _NEVER),
    "--speculative-draft-model": ((0, 11, 0), _NEVER),
    "--speculative-num-draft-tokens": ((0, 11, 0), _NEVER),
    "--trust-remote-code": ((0, 13, 0), _NEVER),
}


def _has(name: str, version: tuple[int, int, int]) -> bool:
    since, until = _SPANS.get(name, (version, _NEVER))
    return since <= version < until


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
    kinds: list[tuple[str, dict[str, Any]]] = [(n, {"default": _DEFAULTS.get(n)}) for n in _WORDS]
    kinds += [(n, {"type": int, "default": number}) for n, number in _NUMBERS.items()]
    kinds += [(n, {"type": float}) for n in _FRACTIONS]
    kinds += [(n, {"choices": choices, "default": _DEFAULTS.get(n)}) for n, choices in _CHOICES.items()]
    kinds += [(n, {"nargs": words}) for n, words in _LISTS.items()]
    kinds += [(n, {"action": "store_true"}) for n in _FLAGS]
    for name, settings in kinds:
        if _has(name, version):
            parser.add_argument(name, **settings)
    return parser.parse_args([_dashed(word) if version >= _UNDERSCORES_SINCE else word for word in words])


def words_taken(version: tuple[int, int, int]) -> dict[str, int | str]:
    """How many words each option of a release takes: 0, 1, "*" or "+"."""
    found: dict[str, int | str] = dict.fromkeys((*_WORDS, *_NUMBERS, *_FRACTIONS, *_CHOICES), 1)
    found |= _LISTS | dict.fromkeys(_FLAGS, 0)
    return {name: words for name, words in found.items() if _has(name, version)}


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
