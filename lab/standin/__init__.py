# SPDX-License-Identifier: Apache-2.0
"""The lab's stand-in for lmdeploy, as the containers import it: real Ray workers, a real HTTP server, no model."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__version__ = "0.14.0"


@dataclass(frozen=True)
class PytorchEngineConfig:
    """What the guide's section 4.2 sets."""

    tp: int = 1
    device_type: str = "cuda"
    eager_mode: bool = False


@dataclass(frozen=True)
class Response:
    """One answer of :class:`Pipeline`."""

    text: str
    input_token_len: int
    generate_token_len: int
    finish_reason: str


class Pipeline:
    """Answers prompts with the simulator's text."""

    def __call__(self, prompt: str, **_: Any) -> Response:
        text = importlib.import_module("lmdeploy_server_text")
        made = text.generate(prompt, __version__, limit=16)
        return Response(made.text, len(text.split_tokens(prompt)), len(made.pieces), made.reason)


@contextlib.contextmanager
def pipeline(model_path: str, backend_config: PytorchEngineConfig) -> Iterator[Pipeline]:
    """One Ray worker for each device, as long as the pipeline lives."""
    del model_path
    workers = importlib.import_module("lmdeploy.workers")
    group = workers.start(backend_config.tp)
    try:
        yield Pipeline()
    finally:
        workers.end(group)
