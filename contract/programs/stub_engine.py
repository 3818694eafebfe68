# SPDX-License-Identifier: Apache-2.0
"""An engine without a model, put under a release's own serving code: always the same sentence, token by token.

It stands where ``lmdeploy.pytorch.engine.Engine`` stands. All above it (command line, configuration, HTTP, tokenizer,
chat template, sessions) is the release's own code.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import inspect
import os
import sys
import types
from collections.abc import AsyncIterator
from typing import Any

SENTENCE = "Hakuna Matata! It means no worries for the rest of your days."
#: What ``CONTRACT_ENGINE`` may say: the engine's state, as the release's own health probe and requests meet it.
STATES = ("healthy", "dead")


class Instance:
    """What serves one request at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def async_stream_infer(
        self, session_id: int, input_ids: Any, gen_config: Any = None, **more: Any
    ) -> AsyncIterator[Any]:
        """The sentence; ended by the stop token, or by the limit."""
        del session_id, input_ids, more
        kinds = self.engine.messages.ResponseType
        if not self.engine.alive:
            yield self._output(kinds.ENGINE_STOP_ERROR, [], 0)
            return
        ids = [*self.engine.sentence, *(gen_config.stop_token_ids or [])[:1]]
        limit = gen_config.max_new_tokens
        ids = ids if limit is None else ids[:limit]
        told: list[int] = []
        for index, token in enumerate(ids):
            await asyncio.sleep(0)
            told.append(token)
            kind = kinds.FINISH if index == len(ids) - 1 else kinds.SUCCESS
            yield self._output(kind, told[:] if self.engine.cumulative else [token], len(told))

    def _output(self, kind: Any, tokens: list[int], count: int) -> Any:
        made = {"status": kind, "token_ids": tokens}
        return self.engine.messages.EngineOutput(**made, **({"num_token": count} if self.engine.cumulative else {}))

    async def async_cancel(self, session_id: int) -> None:
        del session_id

    async def async_end(self, session_id: int) -> None:
        del session_id


class Engine:
    """What AsyncEngine of every release asks of an engine."""

    def __init__(self, model_path: str, tokenizer: Any = None, engine_config: Any = None, **more: Any) -> None:
        del tokenizer, more
        self.messages = importlib.import_module("lmdeploy.messages")
        transformers = importlib.import_module("transformers")
        own = transformers.AutoTokenizer.from_pretrained(model_path)
        self.sentence: list[int] = own.encode(SENTENCE, add_special_tokens=False)
        # Up to 0.10 an output holds all tokens so far, and their number; since then the new ones.
        self.cumulative = "num_token" in {f.name for f in dataclasses.fields(self.messages.EngineOutput)}
        self.alive = os.environ.get("CONTRACT_ENGINE", "healthy") == "healthy"
        self.engine_config = engine_config
        if engine_config.max_batch_size is None:  # the real engine takes it from the device
            engine_config.max_batch_size = 4
        self.model_config = None
        self.tokenizer = own

    @classmethod
    def from_pretrained(cls, model_path: str, *more: Any, engine_config: Any = None, **rest: Any) -> Engine:
        del more, rest
        return cls(model_path, engine_config=engine_config)

    def create_instance(self, *more: Any, **rest: Any) -> Instance:
        del more, rest
        return Instance(self)

    def start_loop(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held."""

    def end_session(self, session_id: int) -> bool:
        del session_id
        return True

    async def get_health_status(self) -> dict[str, Any]:
        """As the ZMQ engine's (0.14.0 on)."""
        if not self.alive:
            message = "PyTorch engine request loop is not alive."
            return {"alive": False, "message": message, "schedule_metrics": None}
        return {"alive": True, "message": "PyTorch engine is healthy.", "schedule_metrics": self._metrics()}

    def _metrics(self) -> Any:
        kind = getattr(self.messages, "ScheduleMetrics", None)
        return kind() if kind is not None else None

    def get_schedule_metrics(self) -> Any:
        return self._metrics()

    async def sleep(self, level: int = 1) -> None:
        del level

    def wakeup(self, tags: list[str] | None = None) -> None:
        del tags


def install() -> type[Engine]:
    """Put the stub in the engine's place, in this process, and empty modules where dlinfer would be.

    Releases up to 0.9.0 leave at once when dlinfer cannot be imported, before they make an engine.
    """
    for name in ("dlinfer", "dlinfer.framework", "dlinfer.framework.lmdeploy_ext"):
        sys.modules.setdefault(name, types.ModuleType(name))
    # What releases up to 0.10 call when they close; a torch without CUDA has it not.
    torch_c = importlib.import_module("torch._C")
    torch_c.__dict__.setdefault("_cuda_clearCublasWorkspaces", lambda: None)
    place = importlib.import_module("lmdeploy.pytorch.engine")
    if not inspect.isclass(place.Engine):
        raise TypeError("lmdeploy.pytorch.engine.Engine is no class any more: the stub must be put elsewhere")
    place.Engine = Engine  # type: ignore[attr-defined]
    return Engine
