# SPDX-License-Identifier: Apache-2.0
"""Stage ``generation``: "Hakuna Matata" through every door of the server, twice where it must be the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hakuna.evidence import Batch, HttpAnswer
from hakuna.judgement.stage import Stage
from hakuna.probes import containers, lmdeploy, lmdeploy_http
from hakuna.probes import reference as alone
from hakuna.probes.reading import Reading, UnparsedError
from hakuna.stages.container import ContainerFacts
from hakuna.stages.run import Run
from hakuna.stages.server import ServerFacts
from hakuna.stages.server_logs import IN_REQUEST, Logs, read_again

MAX_TOKENS = 48
OK = 200
#: How long the requests may have taken together, in seconds: logs are read back to before the first.
_WORTH = 900.0


@dataclass(frozen=True)
class GenerationFacts:
    """Raw HTTP answers by what was asked, the pipeline's answer if it was tried, and that of one process on the CPU.

    ``no_reference`` says why that was not asked for; only then ``reference`` is None.
    """

    prompt: str
    completion: Reading[HttpAnswer]
    again: Reading[HttpAnswer]
    chat: Reading[HttpAnswer]
    chat_again: Reading[HttpAnswer]
    stream: Reading[HttpAnswer]
    unknown_model: Reading[HttpAnswer]
    bad_temperature: Reading[HttpAnswer]
    broken_json: Reading[HttpAnswer]
    without_key: Reading[HttpAnswer] | None
    health_after: Reading[HttpAnswer]
    pipeline: Reading[lmdeploy.PipelineAnswer] | None
    version: str | None
    reference: Reading[alone.Reference] | None
    no_reference: str
    #: Read only where a request failed (and, in a replay, where they were read then).
    logs: Logs | None = None


def collect(run: Run) -> GenerationFacts:
    """Ask one after the other, so that latency means something."""
    inventory = run.inventory
    server: ServerFacts = run.facts(Stage.SERVER)
    prompt = inventory.server.expect.prompt
    http = lmdeploy_http
    secured = bool(inventory.server.api_key_env or inventory.server.api_key_file)

    def complete(name: str) -> Reading[HttpAnswer]:
        return run.hear(http.completion(inventory, f"generation.{name}", prompt, max_tokens=MAX_TOKENS))

    def chat(name: str, *, stream: bool = False) -> Reading[HttpAnswer]:
        return run.hear(http.chat(inventory, f"generation.{name}", prompt, max_tokens=MAX_TOKENS, stream=stream))

    why, reference = _reference(run)
    facts = GenerationFacts(
        prompt=prompt,
        completion=complete("completion"),
        again=complete("completion.again"),
        chat=chat("chat"),
        chat_again=chat("chat.again"),
        stream=chat("stream", stream=True),
        unknown_model=run.hear(http.unknown_model(inventory, "generation.unknown_model")),
        bad_temperature=run.hear(http.bad_temperature(inventory, "generation.bad_temperature")),
        broken_json=run.hear(http.broken_json(inventory, "generation.broken_json")),
        without_key=run.hear(http.without_key(inventory, "generation.without_key")) if secured else None,
        health_after=run.hear(http.health(inventory, "generation.health_after")),
        pipeline=server.pipeline,
        version=server.version,
        reference=reference,
        no_reference=why,
    )
    if _failed(facts) and run.asked_or_live(IN_REQUEST):
        return replace(facts, logs=read_again(run, server.waited + _WORTH, server.logs.world))
    return facts


def _failed(facts: GenerationFacts) -> bool:
    """Whether a request that was in order did not get its answer, or the engine says that it is gone."""
    asked = (facts.completion, facts.again, facts.chat, facts.chat_again, facts.stream, facts.health_after)
    answers = [r.fact for r in asked]  # no check looks at them here
    if any(a is None or a.status != OK for a in answers):
        return True
    completion, again, chat, chat_again, stream, _ = (a for a in answers if a is not None)
    return any(
        _ended_in_error(answer, parse)
        for answer, parse in (
            (completion, lmdeploy_http.parse_completion),
            (again, lmdeploy_http.parse_completion),
            (chat, lmdeploy_http.parse_chat),
            (chat_again, lmdeploy_http.parse_chat),
            (stream, lmdeploy_http.parse_stream),
        )
    )


def _ended_in_error(answer: HttpAnswer, parse: Callable[[HttpAnswer], Any]) -> bool:
    """Whether an answer of status 200 tells of an engine that stopped, as releases up to 0.15.0 do."""
    try:
        told = parse(answer)
    except UnparsedError:
        return True
    return bool(getattr(told, "error", "")) or told.finish_reason == "error"


def _reference(run: Run) -> tuple[str, Reading[alone.Reference] | None]:
    """The same prompt, asked in one process of the head's container: without ranks there is no rank to lose."""
    inventory = run.inventory
    head = inventory.head_node
    container: ContainerFacts = run.facts(Stage.CONTAINER)
    files = container.model_files.readings.get(head.where)
    why = alone.why_not(files.fact if files else None, inventory.thresholds.reference_gib)
    if why:
        return why, None
    if not run.asked_or_live("generation.reference"):
        return "it was not asked for when this run was recorded", None
    run.progress("generation: asking the model in a single process")
    command = containers.inside(inventory, alone.reference(inventory, run.label, MAX_TOKENS))
    answers = run.send("generation.reference", {head.name: Batch((command,))})
    return "", answers.reading(head.name, "reference", alone.parse_reference)
