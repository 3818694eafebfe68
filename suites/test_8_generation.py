# SPDX-License-Identifier: Apache-2.0
"""Stage 8, "Hakuna Matata": the model answers, sensibly, the same each time, through every door (guide, 4.1, 4.2)."""

from hakuna import Where, rule
from hakuna.judgement import versions
from hakuna.judgement.garbage import why_garbage
from hakuna.probes import lmdeploy_http as http
from hakuna.releases import Behaviour

OK = 200


def text_of(reading, parse, findings, head):
    """The generated text, or None after reporting why there is none."""
    answer = reading.value
    if answer.status != OK:
        findings.fail(head, expected="HTTP 200", observed=f"HTTP {answer.status} {answer.text[:160]}")
        return None
    parsed = parse(answer)
    if not parsed.text.strip():
        findings.fail(head, expected="an answer", observed=f"an empty one (finish_reason {parsed.finish_reason})")
        return None
    return parsed


@rule("GEN801", guide="4.1", rests_on=("SRV701", "GEN814"))
def test_completions_answers(generation, inventory, findings):
    """The plainest door: a prompt in, text out.

    Judged on POST /v1/completions with "Hakuna Matata": HTTP 200 and a text that is not empty.

    Fix: read the server's log; the engine may have died after it was ready
    Source: dlinfer docs/ascend_multinodes.md 4.1; lmdeploy #3354
    """
    parsed = text_of(generation.completion, http.parse_completion, findings, inventory.model.head_node)
    if parsed:
        findings.note(f"{generation.prompt!r} -> {parsed.text.strip()!r}")


@rule("GEN802", guide="4.1", rests_on=("SRV701", "GEN801", "GEN814"))
def test_chat_answers(generation, inventory, findings):
    """The door that most clients use; it goes through the model's chat template.

    Judged on POST /v1/chat/completions: HTTP 200, role assistant, a text that is not empty.

    Fix: read the server's log; check the chat template in tokenizer_config.json
    Source: lmdeploy/serve/openai/api_server.py (/v1/chat/completions)
    """
    text_of(generation.chat, http.parse_chat, findings, inventory.model.head_node)


@rule("GEN803", guide="4.1", rests_on=("GEN802", "GEN805", "GEN806", "GEN814"))
def test_streaming_gives_the_same_answer(generation, inventory, findings):
    """A stream must hold the answer in pieces, end with [DONE], and say the same as the unstreamed one.

    Judged on POST /v1/chat/completions with stream: true against the greedy answer without.

    Fix: look for an error object in the stream: {observed}
    Source: OpenAI API reference (streaming ends with [DONE])
    """
    head = inventory.model.head_node
    whole = text_of(generation.chat, http.parse_chat, findings, head)
    answer = generation.stream.value
    if answer.status != OK:
        findings.fail(head, expected="HTTP 200", observed=f"HTTP {answer.status} {answer.text[:160]}")
        return
    stream = http.parse_stream(answer)
    if stream.error:
        findings.fail(head, expected="a stream", observed=stream.error)
    elif not stream.done:
        findings.fail(head, expected="[DONE] at the end", observed="the stream broke off")
    elif whole and stream.text.strip() != whole.text.strip():
        findings.fail(head, expected=whole.text.strip(), observed=stream.text.strip())


@rule("GEN804", guide="4.2", rests_on=("GEN805",), marks=("slow",))
def test_pipeline_answers(generation, inventory, findings):
    """The guide's second way to use the deployment: pipeline() in Python, tp=16, eager mode.

    Judged on the guide's own example, run on the head before the server took the devices. An engine that answers and
    then does not end is a warning: the answer counts, but a program of yours would hang there.

    Fix: run it by hand in the container on the head; {observed}
    Source: dlinfer docs/ascend_multinodes.md 4.2; lmdeploy #3712
    """
    if not inventory.model.server.pipeline:
        findings.skip("the inventory says server.pipeline: false")
    if generation.pipeline is None:
        findings.skip("the devices belong to the running service; pipeline would need them")
    answer = generation.pipeline.value
    if answer.error or not answer.text.strip():
        observed = answer.error or "an empty answer"
        findings.fail(inventory.model.head_node, expected="an answer", observed=observed)
    elif not answer.closed:
        observed = "it answered, and had to be killed as it did not end within a minute"
        findings.warn(inventory.model.head_node, expected="an answer, and its end", observed=observed)


@rule("GEN805", guide="4.1", rests_on=("GEN801", "GEN802", "GEN814"))
def test_the_answer_is_not_garbage(generation, inventory, findings):
    """A lost rank, a broken collective or a wrong weight shard does not fail: it babbles.

    Judged on the answers' text: replacement characters, a symbol soup, one token over and over.

    Fix: run the collective stage; compare the model files of the nodes; look for --eager-mode
    Source: lmdeploy #3354, #3637
    """
    head = inventory.model.head_node
    for name, reading, parse in (
        ("completions", generation.completion, http.parse_completion),
        ("chat", generation.chat, http.parse_chat),
    ):
        answer = reading.value
        if answer.status == OK and (why := why_garbage(parse(answer).text)):
            findings.fail(head, expected="a sensible text", observed=f"{name}: {why}: {parse(answer).text[:80]!r}")


@rule("GEN806", guide="4.1", rests_on=("GEN801", "GEN802", "GEN805", "GEN814"))
def test_greedy_answers_are_the_same_each_time(generation, inventory, findings):
    """Greedy decoding has one answer: if it changes, ranks race or a device computes wrongly.

    Judged on the same request twice, through both doors, with temperature 0.

    Fix: run the collective stage several times; check device health and ECC counters
    Source: lmdeploy #3354
    """
    head = inventory.model.head_node
    for first, second, parse in (
        (generation.completion, generation.again, http.parse_completion),
        (generation.chat, generation.chat_again, http.parse_chat),
    ):
        a, b = text_of(first, parse, findings, head), text_of(second, parse, findings, head)
        if a and b and a.text != b.text:
            findings.fail(head, expected=a.text, observed=b.text)


@rule("GEN807", guide="4.1", rests_on=("GEN801", "GEN814"), gates=False, releases=(Behaviour.REFUSAL,))
def test_bad_input_gets_an_error(generation, inventory, findings):
    """A server that answers 200, or dies, on bad input is not ready for users.

    Judged on an unknown model (404), temperature 3 and broken JSON (400, or 422 before 0.16.0), and on /health after.

    Fix: read the server's log: {observed}
    Source: lmdeploy/serve/openai (422 up to 0.15.0, 400 from 0.16.0); lmdeploy #3637
    """
    head = inventory.model.head_node
    refusal = versions.validation_error_status(generation.version)
    for name, reading, expected in (
        ("an unknown model", generation.unknown_model, {404}),
        ("temperature 3", generation.bad_temperature, {400, refusal.value}),
        ("broken JSON", generation.broken_json, {400, refusal.value}),
    ):
        status = reading.value.status
        if status not in expected:
            findings.fail(head, expected=f"{name}: HTTP {sorted(expected)}", observed=f"HTTP {status}")
    if generation.health_after.value.status != OK:
        observed = f"HTTP {generation.health_after.value.status}"
        findings.fail(head, expected="healthy after bad input", observed=observed)


@rule("GEN808", rests_on=("GEN801",), releases=(Behaviour.KEY,))
def test_the_api_key_is_demanded(generation, inventory, findings):
    """A key that is configured but not asked for protects nothing.

    Judged on /v1/models without the key: 401.

    Fix: start the server with --api-keys
    Source: lmdeploy 0.12.2 (authentication for every route)
    """
    if generation.without_key is None:
        findings.skip("the inventory names no API key")
    status = generation.without_key.value.status
    if status != 401:  # noqa: PLR2004  # HTTP Unauthorized
        findings.fail(inventory.model.head_node, expected="HTTP 401", observed=f"HTTP {status}")


@rule("GEN809", guide="4.1", rests_on=("GEN801", "GEN803"), gates=False)
def test_the_first_token_comes_soon(generation, inventory, findings):
    """Time to first token is what users feel.

    Judged on the stream against thresholds.time_to_first_token.

    Fix: compare with the last good run; look at latency in the mesh and at other load
    Source: LMDeploy benchmark docs (first token latency)
    """
    limit = inventory.model.thresholds.time_to_first_token
    stream = http.parse_stream(generation.stream.value)
    findings.note(f"first token after {stream.first_token:.3f} s")
    if stream.first_token > limit:
        observed = f"{stream.first_token:.2f} s"
        findings.fail(inventory.model.head_node, expected=f"{limit:g} s", observed=observed)


@rule("GEN810", guide="4.1", rests_on=("GEN801",), gates=False, marks=("hardware",))
def test_tokens_come_fast_enough(generation, inventory, findings):
    """Throughput of a single request, as a figure to compare nights by.

    Judged on completion tokens per second against thresholds.tokens_per_second (0: only recorded).

    Fix: compare with the last good run
    Source: LMDeploy benchmark docs (token throughput)
    """
    answer = generation.completion.value
    tokens = http.parse_completion(answer).completion_tokens or 0
    rate = tokens / answer.seconds if answer.seconds else 0.0
    limit = inventory.model.thresholds.tokens_per_second
    findings.note(f"{rate:.1f} tokens per second")
    if rate < limit:
        findings.fail(inventory.model.head_node, expected=f"{limit:g} per second", observed=f"{rate:.1f}")


@rule("GEN811", guide="4.1", rests_on=("GEN801", "GEN802", "GEN805"))
def test_the_answer_is_the_expected_one(generation, inventory, findings):
    """Where the right answer is known, nothing else proves as much.

    Judged on server.expect: equals and contains against the greedy completion, chat against the greedy chat and
    pipeline's answer.

    Fix: compare the model files of the nodes and the ranks' order; then mend server.expect if the model changed
    Source: dlinfer docs/ascend_multinodes.md 4.1; msprechecker compares SHA-256 of weights
    """
    expect = inventory.model.server.expect
    if not (expect.equals or expect.contains or expect.chat):
        findings.skip("the inventory gives no expected answer")
    text = http.parse_completion(generation.completion.value).text
    if expect.equals and text.strip() != expect.equals.strip():
        findings.fail(Where.cluster(), expected=expect.equals, observed=text)
    elif expect.contains and expect.contains not in text:
        findings.fail(Where.cluster(), expected=f"... {expect.contains} ...", observed=text)
    if expect.chat:
        said = {"chat": http.parse_chat(generation.chat.value).text}
        if generation.pipeline is not None and generation.pipeline.readable:
            said["pipeline"] = generation.pipeline.value.text
        for door, answer in said.items():
            if answer.strip() != expect.chat.strip():
                findings.fail(Where.cluster(), expected=f"{door}: {expect.chat}", observed=answer)


@rule("GEN812", guide="4.1", rests_on=("GEN801", "GEN802"), gates=False)
def test_the_usage_adds_up(generation, inventory, findings):
    """Billing and quotas rest on usage; a prompt of zero tokens means a lost chat template.

    Judged on prompt, completion and total tokens of the completion and the chat answer.

    Fix: check the tokenizer files of the model on the head
    Source: OpenAI API reference (usage)
    """
    head = inventory.model.head_node
    for reading, parse in ((generation.completion, http.parse_completion), (generation.chat, http.parse_chat)):
        parsed = parse(reading.value)
        parts = (parsed.prompt_tokens or 0, parsed.completion_tokens or 0)
        if min(parts) < 1 or sum(parts) != parsed.total_tokens:
            observed = f"{parts[0]} + {parts[1]} = {parsed.total_tokens}"
            findings.fail(head, expected="prompt + completion = total, none of them 0", observed=observed)
    bare = http.parse_completion(generation.completion.value).prompt_tokens or 0
    chat = http.parse_chat(generation.chat.value).prompt_tokens or 0
    if 0 < chat <= bare:
        findings.fail(head, expected=f"more than the {bare} tokens of the bare prompt in a chat", observed=chat)


@rule("GEN814", guide="4.1", rests_on=("SRV701",), releases=(Behaviour.STOPPED,))
def test_no_worker_failed_in_a_request(generation, inventory, findings):
    """A server that came up and then answers 500 or 503 says nothing of why: one of its workers has failed, on a node
    and in a log of its own, and all others wait for it.

    Judged when a request that was in order got no answer (or one with finish_reason "error", as releases up to 0.15.0
    give it), or /health is not 200 afterwards, as SRV710 is: on the logs
    of every node, the server's, Ray's worker logs and raylet.out, and CANN's plog. Who failed first is blamed.

    Fix: on {where}, what the code asks for:
    a broken link (EI0013): hccn_tool -i N -link_stat -g and -optical -g on both ends
    memory: lower --cache-max-entry-count or --session-len; npu-smi info -t usages
    without a code: read the log that is named
    Source: lmdeploy #3354, #3637; hicann/hccl task_exec_stage.md (EI0013)
    """
    if generation.logs is None:
        findings.skip("every request got its answer, so no logs were read")
    cause = generation.logs.first_failure(inventory.model.head_node.where)
    if cause is not None:
        findings.fail(cause.where, expected="workers that live", **cause.words)


@rule("GEN815", guide="4.1", rests_on=("GEN801", "GEN802", "GEN805"), needs=("GEN811",))
def test_the_answer_is_that_of_one_process(generation, findings):
    """The same model, in one process without ranks, decoding greedily: what tensor parallelism adds must be nothing.

    Judged on the greedy answers of completions and chat against transformers on the head's CPU, as far as each of its
    tokens is well ahead of the next best (a device's 16 bits may tip the others); for models up to
    thresholds.reference_gib that transformers can load.

    Fix: run the collective stage; compare the model files of the nodes and the ranks' order
    Source: lmdeploy #3354, #3637; transformers generate()
    """
    if generation.reference is None:
        findings.skip(generation.no_reference)
    reference = generation.reference.value
    if reference.error:
        findings.skip(f"transformers gives no reference: {reference.error[:160]}")
    for door, said, reading, parse in (
        ("completions", reference.completion, generation.completion, http.parse_completion),
        ("chat", reference.chat, generation.chat, http.parse_chat),
    ):
        text = parse(reading.value).text
        if said is not None and not said.agrees(text):
            findings.fail(Where.cluster(), expected=f"{door}: {said.text}", observed=text)
