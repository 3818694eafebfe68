# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from hakuna.evidence import HttpAnswer
from hakuna.inventory.model import Inventory, Node, Server
from hakuna.probes import hccl_log, lmdeploy, lmdeploy_log
from hakuna.probes import lmdeploy_http as http
from hakuna.probes.reading import UnparsedError

SAMPLES = Path(__file__).parent / "samples"
NODES = tuple(Node(name=n, address=n, node_ip=f"10.0.0.{i}") for i, n in enumerate("ab", start=1))
INVENTORY = Inventory(nodes=NODES)


# --- the command and what a process runs with -------------------------------------------------------------------------


def test_the_guides_command_word_for_word():
    command = lmdeploy.api_server(INVENTORY, {"X": "1"}, eager=True)
    assert command.argv == (
        "lmdeploy",
        "serve",
        "api_server",
        "/models/model",
        "--backend",
        "pytorch",
        "--device",
        "ascend",
        "--eager-mode",
        "--tp",
        "16",
    )
    assert command.spawn_log == "/tmp/hakuna/api_server.log"
    assert command.env["RAY_ADDRESS"] == "10.0.0.1:6379"
    assert command.mutates


def test_what_the_inventory_adds_comes_after_it():
    server = Server(port=8000, served_name="m", extra_args=("--log-level", "INFO"), tp=8)
    argv = lmdeploy.api_server_argv(Inventory(nodes=NODES, server=server), eager=False)
    assert argv[4:] == (
        "--backend",
        "pytorch",
        "--device",
        "ascend",
        "--tp",
        "8",
        "--server-port",
        "8000",
        "--model-name",
        "m",
        "--log-level",
        "INFO",
    )


@pytest.mark.parametrize(
    "words",
    [
        "lmdeploy serve api_server /m --backend pytorch --device ascend --eager-mode --tp 16 --server-port 9",
        "/usr/bin/python3 /usr/local/bin/lmdeploy serve api_server --backend=pytorch --device=ascend --eager_mode --tp=16 /m --server_port=9",
        "python3 -c x hakuna-serve lmdeploy serve api_server --api-keys a b --tp 16 /m --eager-mode --backend pytorch --device ascend --server-port 9",
    ],
)
def test_arguments_in_any_spelling(words):
    argv = words.split()
    if "--api-keys" in argv:  # nargs="*": what follows the keys must be an option
        argv.remove("/m")
        argv.insert(argv.index("api_server") + 1, "/m")
    found = lmdeploy.parse_arguments(argv)
    assert (found.model, found.backend, found.device, found.tp, found.eager_mode, found.port) == (
        "/m",
        "pytorch",
        "ascend",
        16,
        True,
        9,
    )
    assert found.has_api_key == ("--api-keys" in argv)
    assert "a b" not in found.values.values()


def test_defaults_are_lmdeploys():
    found = lmdeploy.parse_arguments(["lmdeploy", "serve", "api_server", "/m"])
    assert (found.backend, found.device, found.tp, found.eager_mode, found.port) == (
        "turbomind",
        "cuda",
        1,
        False,
        23333,
    )


@pytest.mark.parametrize(
    "words", ["lmdeploy chat /m", "lmdeploy serve api_server", "lmdeploy serve api_server /m --tp many", ""]
)
def test_other_processes_are_no_api_server(words):
    with pytest.raises(UnparsedError):
        lmdeploy.parse_arguments(words.split())


# --- HTTP -------------------------------------------------------------------------------------------------------------


def answer(body: object, status: int = 200, **more) -> HttpAnswer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer("x", status, body=data, **more)


def test_requests():
    request = http.completion(INVENTORY, "generation.completion", "Hakuna Matata", max_tokens=48)
    assert (request.id, request.node, request.port, request.method, request.path) == (
        "generation.completion",
        "a",
        23333,
        "POST",
        "/v1/completions",
    )
    assert json.loads(request.body) == {
        "model": "/models/model",
        "max_tokens": 48,
        "temperature": 0,
        "top_k": 1,
        "prompt": "Hakuna Matata",
    }
    chat = http.chat(INVENTORY, "x", "Hi", max_tokens=1, stream=True)
    assert chat.stream
    assert json.loads(chat.body)["messages"] == [{"role": "user", "content": "Hi"}]
    assert (http.health(INVENTORY, "x").method, http.models(INVENTORY, "x").path) == ("GET", "/v1/models")
    assert not http.without_key(INVENTORY, "x").authorize
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(http.broken_json(INVENTORY, "x").body)
    assert json.loads(http.bad_temperature(INVENTORY, "x").body)["temperature"] == 3
    assert json.loads(http.unknown_model(INVENTORY, "x").body)["model"] != INVENTORY.model_name


def test_health_of_two_eras():
    assert http.parse_health(answer(b"")) == http.Health(True)
    healthy = http.parse_health(answer({"status": "healthy", "message": "PyTorch engine is healthy."}))
    assert (healthy.ok, healthy.status) == (True, "healthy")
    assert not http.parse_health(answer({"status": "unhealthy", "message": "dead"}, 503)).ok
    with pytest.raises(UnparsedError):
        http.parse_health(answer(b"<html>", 502))


def test_models():
    assert http.parse_models(answer({"data": [{"id": "a"}, {"id": "b"}]})).ids == ("a", "b")
    for bad in ({}, {"data": [{}]}, {"data": {"id": "a"}}, []):
        with pytest.raises(UnparsedError):
            http.parse_models(answer(bad))


def test_completion_and_chat():
    usage = {"prompt_tokens": 7, "total_tokens": 33, "completion_tokens": 26}
    completion = http.parse_completion(answer({"choices": [{"text": ", it", "finish_reason": "stop"}], "usage": usage}))
    assert completion == http.Completion(", it", "stop", 7, 26, 33)
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    chat = http.parse_chat(answer({"choices": [{"message": message, "finish_reason": "tool_calls"}]}))
    assert (chat.text, chat.finish_reason, chat.tool_calls, chat.prompt_tokens) == ("", "tool_calls", 1, None)
    for bad in ({"choices": []}, {"choices": [{}]}, {"message": "The model does not exist."}):
        for parse in (http.parse_completion, http.parse_chat):
            with pytest.raises(UnparsedError):
                parse(answer(bad))


def events(*objects: object) -> bytes:
    return b"".join(
        b"data: " + (o if isinstance(o, bytes) else json.dumps(o, ensure_ascii=False).encode()) + b"\n\n"
        for o in objects
    )


def delta(**fields: object) -> dict[str, object]:
    return {"choices": [{"delta": fields, "finish_reason": None}]}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_cut_anywhere(size):
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    body = events(
        delta(role="assistant"),
        delta(content="哈库"),
        delta(content="na"),
        last,
        {"choices": [], "usage": {}},
        b"[DONE]",
    )
    chunks = tuple((0.001 * i, body[i : i + size]) for i in range(0, len(body), size))
    stream = http.parse_stream(answer(body, chunks=chunks))
    assert (stream.text, stream.deltas, stream.done, stream.finish_reason) == ("哈库na", ("哈库", "na"), True, "stop")
    at = body.index(b"\n", body.index("哈".encode()))
    assert stream.first_token == pytest.approx(0.001 * (at // size * size))


def test_a_stream_that_fails_or_breaks_off():
    failed = http.parse_stream(answer(events(delta(content="x"), {"error": {"message": "engine died"}}, b"[DONE]")))
    assert (failed.error, failed.done) == ("engine died", True)
    assert not http.parse_stream(answer(events(delta(content="x")))).done
    for bad in (b"", b'{"choices": []}', b"data: {broken\n\n"):
        with pytest.raises(UnparsedError):
            http.parse_stream(answer(bad))


@pytest.mark.parametrize(
    ("status", "body", "message", "kind"),
    [
        (
            404,
            {"message": "The model 'x' does not exist.", "type": "not_found_error", "code": 404},
            "The model 'x' does not exist.",
            "not_found_error",
        ),
        (
            422,
            {"detail": [{"loc": ["body", "model"], "msg": "Field required"}], "body": {}},
            "body.model: Field required",
            "",
        ),
        (404, {"detail": "Not Found"}, "Not Found", ""),
        (
            401,
            {"detail": {"error": {"message": "Please request with valid api key!", "type": "invalid_request_error"}}},
            "Please request with valid api key!",
            "invalid_request_error",
        ),
        (503, {"error": {"message": "asleep", "type": "server_error"}}, "asleep", "server_error"),
    ],
)
def test_refusals_of_all_eras(status, body, message, kind):
    assert http.parse_error(answer(body, status)) == http.ErrorBody(status, message, kind)


def test_what_is_no_refusal():
    for bad in (answer({"message": "x"}), answer(b"<html>", 502), answer({}, 500)):
        with pytest.raises(UnparsedError):
            http.parse_error(bad)


# --- logs -------------------------------------------------------------------------------------------------------------


def log(name: str) -> lmdeploy_log.ServerLog:
    return lmdeploy_log.parse_log((SAMPLES / name).read_text(encoding="utf-8"))


def test_the_cause_is_above_the_wrappers():
    found = log("server_no_rank_table.log")
    assert found.cause == "AssertionError: Master address does not match rank table"
    assert found.milestones[:2] == ("Build <ray> executor", "Init ray cluster")
    assert not found.ready
    assert any("RPCServerDeadError" in e for e in found.errors)


@pytest.mark.parametrize(
    ("text", "cluster"),
    [
        ("", None),
        ("x INFO worker.py:1841 -- Connecting to existing Ray cluster at address: 10.0.0.1:6379...", "10.0.0.1:6379"),
        (
            "-- Connecting to existing Ray cluster at address: a:1...\nConnecting to existing Ray cluster at address: b:2...",
            "b:2",
        ),
        (
            "INFO worker.py:2014 -- Started a local Ray instance. View the dashboard at 127.0.0.1:8265",
            lmdeploy_log.PRIVATE,
        ),
    ],
)
def test_the_cluster_that_it_joined(text, cluster):
    assert lmdeploy_log.parse_log(text).cluster == cluster


def test_hccls_own_code_tells_most():
    found = log("server_hccl.log")
    assert found.cause is not None
    assert found.cause.startswith("EI0006: [PID: 545]")
    errors = hccl_log.parse_hccl_log((SAMPLES / "server_hccl.log").read_text(encoding="utf-8"))
    assert [e.code for e in errors] == ["EI0006"]  # the advice below it names other codes


def test_noise_is_no_error():
    found = log("server_ready.log")
    assert (found.ready, found.errors, found.cause) == (True, (), None)
    assert found.milestones[-1] == "Uvicorn running on"
    assert hccl_log.parse_hccl_log((SAMPLES / "server_ready.log").read_text(encoding="utf-8")) == ()


def test_a_server_that_waits_says_for_what():
    found = log("server_waits.log")
    assert found.cause is not None
    assert "required NPUs exceeds" in found.cause


def test_an_empty_log_is_a_beginning():
    assert lmdeploy_log.parse_log("") == lmdeploy_log.ServerLog((), False, (), None)
    assert lmdeploy_log.tail("/x.log", 100).argv == ("tail", "-c", "100", "/x.log")


def test_only_a_wrapper_is_better_than_nothing():
    text = "lmdeploy.pytorch.engine.mp_engine.zmq_rpc.RPCServerDeadError: PyTorch ZMQ engine process is not alive.\n"
    assert lmdeploy_log.parse_log(text).cause == text.strip()


def test_wrong_arguments():
    text = "usage: lmdeploy serve api_server [-h]\nlmdeploy serve api_server: error: argument --device: invalid choice: 'npu' (choose from 'cuda', 'ascend')\n"
    assert "invalid choice: 'npu'" in (lmdeploy_log.parse_log(text).cause or "")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('Value Disable for config "tls" is invalid.', "EI0016"),
        ("topo exchange server get socket timeout! timeout[120 s]", "EI0015"),
        ("[ERROR] HCCL(1,x):2026 [a.cc:1] something new", "HCCL"),
        ("RuntimeError: HCCL function error: HcclGetRootInfo(&hcclID), error code is 7", "HCCL"),
        ("EI0004: The ranktable or rank is invalid. Reason: x", "EI0004"),
        ("error code EZ9999: Inner Error", "EZ9999"),
    ],
)
def test_codes_by_their_words(text, code):
    assert [e.code for e in hccl_log.parse_hccl_log(text)] == [code]
    assert hccl_log.parse_hccl_log("[INFO] HCCL(1,x):2026 Getting socket times out") == ()


RACE = """\
Process mp_engine_proc:
Traceback (most recent call last):
  File "/usr/lib/python3.11/multiprocessing/process.py", line 314, in _bootstrap
    self.run()
  File "/opt/lmdeploy/pytorch/engine/mp_engine/zmq_engine.py", line 132, in _mp_proc
    with condition:
  File "/usr/lib/python3.11/multiprocessing/managers.py", line 1058, in __exit__
    return self._callmethod('release')
  File "/usr/lib/python3.11/multiprocessing/connection.py", line 382, in _recv
    raise EOFError
EOFError
2026-11-24 20:11:00,396 - lmdeploy - ERROR - zmq_rpc.py:62 - PyTorch ZMQ engine process is not alive.
lmdeploy.pytorch.engine.mp_engine.zmq_rpc.RPCServerDeadError: PyTorch ZMQ engine process is not alive.
"""


def test_lmdeploys_own_race_at_its_start_is_told_as_one():
    cause = lmdeploy_log.parse_log(RACE).cause
    assert cause is not None
    assert cause.startswith("EOFError: its engine process lost a race")
    assert lmdeploy_log.parse_log(RACE.replace("zmq_engine.py", "other.py")).cause == "EOFError"


def test_a_death_without_a_word_is_told_with_the_last_lines():
    log = lmdeploy_log.parse_log("one\n\ntwo\nthree  \nfour\n\n")
    assert log.cause is None
    assert log.last == ("two", "three", "four")
    assert lmdeploy_log.parse_log("").last == ()
