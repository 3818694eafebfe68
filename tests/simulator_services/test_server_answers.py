# SPDX-License-Identifier: Apache-2.0
"""LMDeploy's HTTP surface by version, asked over real connections."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from hakuna.simulator import lmdeploy_server, lmdeploy_server_text

MODEL = "/models/model"
SCRIPT = Path(lmdeploy_server.__file__)
CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"


class Server:
    """One server process; ``get`` and ``post`` ask it."""

    def __init__(self, folder, version="0.14.0", *options, key=""):
        port_file = folder / f"port-{version}-{len(options)}"
        words = [sys.executable, "-I", "-S", str(SCRIPT), "--lmdeploy-version", version, "--port-file", str(port_file)]
        self.log = folder / f"log-{version}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*words, *options], env={"HAKUNA_SIM_API_KEYS": key}, stdout=log, stderr=subprocess.STDOUT
            )
        self.session = requests.Session()
        self.session.trust_env = False
        self.port = self._port(port_file)

    def _port(self, file):
        end = time.monotonic() + 10
        while not (file.exists() and b"Uvicorn running" in self.log.read_bytes()):
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.01)
        return int(file.read_text())

    def ask(self, method, path, **more):
        return self.session.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=10, **more)

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body, **more):
        return self.ask("POST", path, json=body, **more)

    def close(self):
        self.session.close()
        self.process.terminate()
        assert self.process.wait(5) == 0


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Servers by version, one each for the module."""
    folder = tmp_path_factory.mktemp("servers")
    made = {}

    def at(version, *options, key=""):
        name = (version, options, key)
        if name not in made:
            made[name] = Server(folder, version, *options, key=key)
        return made[name]

    yield at
    for server in made.values():
        server.close()


@pytest.fixture
def server(servers):
    return servers("0.14.0")


def chat(text="Hakuna Matata", **more):
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def prompt(text="Hakuna Matata", **more):
    return {"model": MODEL, "prompt": text, **more}


@pytest.mark.parametrize(
    ("version", "body"), [("0.11.1", None), ("0.13.0", None), ("0.14.0", "healthy"), ("0.18.0", "healthy")]
)
def test_health_is_empty_before_0_14(servers, version, body):
    answer = servers(version).get("/health")
    assert answer.status_code == 200
    if body is None:
        assert answer.content == b""
    else:
        assert answer.json() == {"status": body, "message": "PyTorch engine is healthy."}


def test_models_lists_the_model(server):
    data = server.get("/v1/models").json()
    assert data["object"] == "list"
    (card,) = data["data"]
    assert (card["id"], card["object"], card["owned_by"], card["root"]) == (MODEL, "model", "lmdeploy", MODEL)
    assert card["permission"][0]["object"] == "model_permission"


def test_a_completion_says_that_it_was_simulated(server):
    data = server.post(TEXT, prompt()).json()
    assert data["object"] == "text_completion"
    assert isinstance(data["id"], str)
    (choice,) = data["choices"]
    assert choice["text"] == (
        "Hakuna Matata! It means no worries for the rest of your days. (simulated LMDeploy 0.14.0)"
    )
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, "stop", None)
    usage = data["usage"]
    assert (usage["prompt_tokens"], usage["total_tokens"], usage["completion_tokens"]) == (2, 17, 15)


def test_a_chat_completion(server):
    data = server.post(CHAT, chat()).json()
    assert data["object"] == "chat.completion"
    assert data["id"].isdigit(), "the session's number, up to 0.14.0"
    (choice,) = data["choices"]
    assert choice["message"]["role"] == "assistant"
    assert "no worries" in choice["message"]["content"]
    usage = data["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > 2, "the chat template adds tokens"


def test_content_parts_are_text_too(server):
    parts = [{"type": "text", "text": "Hakuna"}, {"type": "text", "text": "Matata"}]
    body = {"model": MODEL, "messages": [{"role": "user", "content": parts}]}
    assert "no worries" in server.post(CHAT, body).json()["choices"][0]["message"]["content"]


def events(answer):
    lines = [line for line in answer.text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]


@pytest.mark.parametrize("usage", [False, True])
def test_streams_join_to_the_whole_answer(server, usage):
    more = {"stream": True, "stream_options": {"include_usage": True}} if usage else {"stream": True}
    answer = server.post(CHAT, chat(**more))
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events(answer)
    if usage:
        last = found.pop()
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] == len(found) - 2, "the stop token and the end are events as well"
        assert all(e["usage"] is None for e in found)
    assert {e["object"] for e in found} == {"chat.completion.chunk"}
    whole = server.post(CHAT, chat()).json()["choices"][0]["message"]["content"]
    assert "".join(e["choices"][0]["delta"]["content"] for e in found) == whole
    reasons = [e["choices"][0].get("finish_reason") for e in found]
    assert reasons == [None] * (len(found) - 1) + ["stop"]


def test_a_text_stream(server):
    found = events(server.post(TEXT, prompt(stream=True)))
    assert "".join(e["choices"][0]["text"] for e in found) == server.post(TEXT, prompt()).json()["choices"][0]["text"]
    assert {e["object"] for e in found} == {"text_completion"}


@pytest.mark.parametrize("limit", [1, 3])
def test_max_tokens_ends_with_length(server, limit):
    for path, body in ((TEXT, prompt(max_tokens=limit)), (CHAT, chat(max_tokens=limit))):
        data = server.post(path, body).json()
        assert data["choices"][0]["finish_reason"] == "length"
        assert data["usage"]["completion_tokens"] == limit
    data = server.post(TEXT, prompt(max_tokens=40, ignore_eos=True)).json()
    assert data["usage"]["completion_tokens"] == 40


def test_stop_words_cut_the_answer(server):
    text = server.post(TEXT, prompt(stop=["no worries"])).json()["choices"][0]["text"]
    assert text == "Hakuna Matata! It means "


def test_the_same_prompt_gets_the_same_answer_and_another_one_another(server):
    ask = lambda text: server.post(TEXT, prompt(text, max_tokens=64, temperature=0)).json()["choices"][0]["text"]  # noqa: E731
    assert ask("one") == ask("one")
    assert ask("one") != ask("two")
    assert "(simulated LMDeploy 0.14.0)" in ask("one")


def test_garbage_is_always_as_long_and_never_the_same(servers):
    server = servers("0.14.0", "--fault=garbage-generation")
    texts = [server.post(CHAT, chat()).json()["choices"][0]["message"]["content"] for _ in range(3)]
    assert len(set(texts)) == 3
    assert len({len(t) for t in texts}) == 1
    assert not any("Hakuna" in t for t in texts)


def test_generate_and_encode(server):
    data = server.post("/generate", {"prompt": "Hakuna Matata", "max_tokens": 4}).json()
    assert data["meta_info"]["finish_reason"] == {"type": "length"}
    assert data["meta_info"]["completion_tokens"] == len(data["output_ids"]) == 4
    data = server.post("/v1/encode", {"input": "Hakuna Matata"}).json()
    assert len(data["input_ids"]) == data["length"] == 2
    both = server.post("/v1/encode", {"input": ["Hakuna", "Hakuna Matata"]}).json()
    assert both["length"] == [1, 2]


def test_the_small_routes(server):
    assert server.get("/is_sleeping").json() == {"is_sleeping": False}
    assert "/v1/completions" in server.get("/openapi.json").json()["paths"]
    assert "lmdeploy_num_requests_total" in server.get("/metrics").text
    assert server.get("/terminate").status_code == 400


def test_unknown_paths_and_methods(server):
    answer = server.get("/nope")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    answer = server.get(TEXT)
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["allow"] == "POST"
    assert server.post("/v1/models", {}).status_code == 405
    assert server.post("/v1/embeddings", {}).status_code == 400
    assert server.post("/pooling", {}).status_code == 501, "says that it is not simulated"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"model": "nope"}, 404, "The model 'nope' does not exist."),
        ({"temperature": 3.0}, 400, "The temperature 3.0 must be in [0, 2]"),
        ({"top_p": 0}, 400, "must be in (0, 1]"),
        ({"n": 0}, 400, "must be a positive int"),
        ({"top_k": -1}, 400, "cannot be a negative integer"),
        ({"logprobs": 1}, 400, "logprobs"),
    ],
)
@pytest.mark.parametrize("version", ["0.11.1", "0.14.0", "0.18.0"])
def test_values_out_of_range(servers, version, change, status, words):
    for path, body in ((TEXT, prompt(**change)), (CHAT, chat(**change))):
        answer = servers(version).post(path, body)
        assert answer.status_code == status
        data = answer.json()
        assert words in data["message"]
        assert (data["code"], data["object"]) == (status, "error")


@pytest.mark.parametrize(("version", "status"), [("0.15.0", 200), ("0.18.0", 400)])
def test_no_tokens_at_all(servers, version, status):
    for path, body in ((TEXT, prompt(max_tokens=0)), (CHAT, chat(max_tokens=0))):
        assert servers(version).post(path, body).status_code == status


BROKEN = [
    (TEXT, {"prompt": "x"}, "model: Field required", "Field required"),
    (CHAT, {"model": MODEL}, "messages: Field required", "Field required"),
    (TEXT, prompt(max_tokens="x"), "max_tokens: Input should be a valid integer", "valid integer"),
    (TEXT, prompt(temperature="x"), "temperature: Input should be a valid number", "valid number"),
    (CHAT, {"model": MODEL, "messages": [1]}, "messages.", "valid string"),
    (TEXT, [], "", "valid dictionary"),
]


@pytest.mark.parametrize(("path", "body", "new", "old"), BROKEN)
@pytest.mark.parametrize(("version", "status"), [("0.11.1", 422), ("0.15.0", 422), ("0.16.0", 400), ("0.18.0", 400)])
def test_bodies_that_do_not_fit(servers, version, status, path, body, new, old):
    answer = servers(version).post(path, body)
    assert answer.status_code == status
    data = answer.json()
    if status == 422:
        assert old in data["detail"][0]["msg"]
        assert data["detail"][0]["loc"][0] == "body"
        assert "body" in data
    else:
        assert new in data["message"]
        assert data["type"] == "invalid_request_error"


@pytest.mark.parametrize(("version", "status"), [("0.14.0", 422), ("0.16.0", 400)])
def test_no_json_at_all(servers, version, status):
    server = servers(version)
    for data, kind in ((b"{oops", "application/json"), (b"\xff\xfe", "application/json"), (b"{}", "text/plain")):
        answer = server.ask("POST", TEXT, data=data, headers={"content-type": kind})
        assert answer.status_code == status
        if status == 400:
            expected = ": JSON decode error" if kind.endswith("json") else "Unsupported Media Type"
            assert expected in answer.json()["message"]


@pytest.mark.parametrize(("version", "status"), [("0.14.0", 200), ("0.17.0", 200), ("0.18.0", 400)])
def test_messages_as_a_string(servers, version, status):
    assert servers(version).post(CHAT, {"model": MODEL, "messages": "Hakuna Matata"}).status_code == status


OLD_OPEN = {"/health": 200, "/metrics": 200, "/is_sleeping": 401, "/v1/models": 401}
NEW_OPEN = {"/health": 200, "/metrics": 401, "/is_sleeping": 401, "/v1/models": 401, "/nope": 401}


@pytest.mark.parametrize(
    ("version", "table"), [("0.11.1", OLD_OPEN), ("0.12.1", OLD_OPEN), ("0.12.2", NEW_OPEN), ("0.18.0", NEW_OPEN)]
)
def test_the_api_key_by_version(servers, version, table):
    server = servers(version, key="s3cret")
    assert {path: server.get(path).status_code for path in table} == table
    denied = server.post(TEXT, prompt(), headers={"Authorization": "Bearer wrong"})
    assert denied.status_code == 401
    if table is OLD_OPEN:
        assert denied.json()["detail"]["error"]["code"] == "invalid_api_key"
    elif version == "0.12.2":
        assert denied.json() == {"error": "Unauthorized"}
    else:
        assert denied.json()["message"] == "Unauthorized."
    right = {"Authorization": "Bearer s3cret"}
    assert server.post(TEXT, prompt(), headers=right).status_code == 200
    assert server.get("/v1/models", headers=right).status_code == 200
    assert "s3cret" not in server.log.read_text()


def test_until_the_engine_is_healthy_new_releases_say_503(tmp_path):
    server = Server(tmp_path, "0.16.0", "--initializing", "600")
    try:
        assert server.get("/health").status_code == 503
        assert server.get("/health").json()["status"] == "initializing"
        answer = server.post(TEXT, prompt())
        assert (answer.status_code, answer.json()["message"]) == (503, "The inference engine is unavailable.")
        assert server.get("/v1/models").status_code == 200
    finally:
        server.close()


def test_many_connections_at_once(server):
    from concurrent.futures import ThreadPoolExecutor

    url = f"http://127.0.0.1:{server.port}{TEXT}"
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: requests.post(url, json=prompt(f"p{i}"), timeout=10), range(64)))
    assert {a.status_code for a in answers} == {200}
    assert len({a.json()["choices"][0]["text"] for a in answers}) == 64


def gone(process):
    return process.wait(10)


def test_it_ends_when_nobody_asks(tmp_path):
    server = Server(tmp_path, "0.14.0", "--idle", "0.1")
    assert gone(server.process) == 0
    server.session.close()


def test_it_ends_when_its_guard_is_removed(tmp_path):
    guard = tmp_path / "guard"
    guard.touch()
    server = Server(tmp_path, "0.14.0", "--guard", str(guard))
    assert server.process.poll() is None
    guard.unlink()
    assert gone(server.process) == 0
    server.session.close()


def test_it_ends_on_sigterm_while_it_loads(tmp_path):
    story = tmp_path / "story.json"
    story.write_text(json.dumps({"lines": [[0, "first {time}"], [600, "never"]], "ending": "serve"}))
    words = [sys.executable, "-I", "-S", str(SCRIPT), "--story", str(story)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline().startswith(b"first 20")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(5) == 0


def test_tokens_join_to_the_text():
    text = "  Hakuna  Matata!\n\nno worries "
    assert "".join(lmdeploy_server_text.split_tokens(text)) == text
    assert lmdeploy_server_text.token_ids(text) == lmdeploy_server_text.token_ids(text)
