# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hakuna.evidence import Batch, Command, Ending, HttpAnswer, HttpRequest, NodeAnswer, NodeTrouble, Outcome, Trouble
from hakuna.evidence.redaction import Redactor
from hakuna.evidence.store import EvidenceStore
from hakuna.transports.replay import ReplayTransport

outcomes = st.builds(
    Outcome,
    id=st.just("x"),
    ending=st.sampled_from(Ending),
    exit_code=st.integers(-1, 255),
    stdout=st.binary(max_size=200),
    stderr=st.binary(max_size=50),
    stdout_cut=st.booleans(),
    stderr_cut=st.booleans(),
)


@given(outcome=outcomes, trouble=st.none() | st.builds(NodeTrouble, st.sampled_from(Trouble), st.text(max_size=9)))
def test_what_is_kept_is_what_is_read(tmp_path_factory, outcome, trouble):
    store = EvidenceStore(tmp_path_factory.mktemp("run"))
    answer = NodeAnswer({"x": outcome}, trouble, 1.0, 2.0)
    kept = store.keep("stage", {"a": Batch((Command("x", ("true",)),))}, {"a": answer})
    assert store.answers("stage") == kept


def test_the_first_to_keep_a_batch_is_the_one_that_counts(tmp_path):
    batch = {"a": Batch((Command("x", ("true",)),))}
    first = {"a": NodeAnswer({"x": Outcome("x", Ending.EXITED, 0, b"1")})}
    second = {"a": NodeAnswer({"x": Outcome("x", Ending.EXITED, 0, b"2")})}
    store = EvidenceStore(tmp_path)
    store.keep("stage", batch, first)
    assert store.keep("stage", batch, second)["a"].outcomes["x"].stdout == b"1"


def test_http_is_kept_whole(tmp_path):
    store = EvidenceStore(tmp_path)
    answer = HttpAnswer("q", 200, {"a": "b"}, b"\xff\x00", ((0.1, b"\xff"), (0.2, b"\x00")), 0.3, 0.1)
    store.keep_http(HttpRequest("q", "a", 1), answer)
    assert store.http("q") == answer


def test_replay_answers_from_evidence_and_says_what_was_not_asked(tmp_path):
    store = EvidenceStore(tmp_path)
    old = {"a": NodeAnswer({"x": Outcome("x", Ending.EXITED, 0, b"1")})}
    store.keep("stage", {"a": Batch((Command("x", ("true",)),))}, old)
    replay = ReplayTransport(store)
    batch = Batch((Command("x", ("true",)), Command("new", ("true",))))
    answer = replay.run("stage", {"a": batch, "b": batch})
    assert answer["a"].outcomes["x"].stdout == b"1"
    assert answer["a"].outcomes["new"].ending is Ending.NOT_RUN
    assert answer["b"].trouble is not None
    assert replay.http(HttpRequest("q", "a", 1)).error


def test_secrets_are_nowhere_in_the_evidence(tmp_path):
    store = EvidenceStore(tmp_path, Redactor(["canary-4711"]))
    command = Command(
        "x",
        ("lmdeploy", "--api-keys", "unknown-key", "--url=http://u:canary-4711@h/"),
        env={"HF_TOKEN": "hf_abcdefgh", "OTHER": "canary-4711"},
    )
    out = b"key canary-4711\nexport HF_TOKEN=hf_abcdefgh\nproxy http://me:secretpw@proxy:3128\narg --api-keys\narg k9k9k9\n"
    store.keep("s", {"a": Batch((command,))}, {"a": NodeAnswer({"x": Outcome("x", Ending.EXITED, 0, out, out)})})
    request = HttpRequest("q", "a", 1, body=b'{"k": "canary-4711"}')
    store.keep_http(request, HttpAnswer("q", 200, {"x": "canary-4711"}, b"canary-4711", ((0.0, b"canary-4711"),)))
    text = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    for secret in ("canary-4711", "unknown-key", "hf_abcdefgh", "secretpw", "k9k9k9"):
        assert secret not in text
