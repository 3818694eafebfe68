# SPDX-License-Identifier: Apache-2.0
"""The ways to run it, as an operator types them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from support.sessions import MOCK, ROOT, pytest_session

MOCKED = f"--inventory={MOCK}"


def test_the_whole_guide_on_the_mock_cluster(tmp_path):
    session = pytest_session(tmp_path, MOCKED, "-v")
    assert session.code == 0, session.text
    assert session.verdict == "READY"
    assert "SIMULATED" in session.text.upper()
    assert "Hakuna Matata" in session.text
    found = session.findings
    assert found["counts"].get("FAIL", 0) == 0
    for name in ("journal.jsonl", "findings.json", "junit.xml", "run.json", "evidence/host/node-a.jsonl"):
        assert (session.folder / name).is_file(), name
    assert (session.folder / "logs" / "node-a" / "api_server.log").read_text()
    suite = ET.parse(session.folder / "junit.xml").getroot()
    assert len(list(suite.iter("testcase"))) == len(found["checks"])


def test_under_xdist_every_stage_is_entered_once(tmp_path):
    session = pytest_session(tmp_path, MOCKED, "-n", "4")
    assert session.code == 0, session.text
    assert session.verdict == "READY"
    events = [json.loads(line) for line in (session.folder / "journal.jsonl").read_text().splitlines()]
    begun = [e["stage"] for e in events if e["event"] == "stage" and e["state"] == "begin"]
    assert sorted(begun) == sorted(set(begun))
    assert "teardown" in begun
    assert {c["rule"] for c in session.findings["checks"]} >= {"HST101", "NET204", "SRV703", "GEN801", "TDN901"}


def test_preflight_changes_nothing(tmp_path):
    session = pytest_session(tmp_path, MOCKED, "--preflight")
    assert session.code == 0, session.text
    assert session.verdict == "READY"
    assert {c["rule"][:3] for c in session.findings["checks"]} == {"INV", "HST", "NET"}
    sent = {p.name for p in (session.folder / "evidence").iterdir()}
    assert sent == {"host", "network", "network.mesh"}


def test_a_selection_still_rests_on_sound_ground(tmp_path):
    session = pytest_session(tmp_path, MOCKED, "-k", "tls")
    assert session.code == 0, session.text
    assert [c["rule"] for c in session.findings["checks"]] == ["NET204", "NET213"]
    broken = pytest_session(tmp_path / "b", MOCKED, "-k", "generation and completions", "--fault", "tls-differs")
    assert broken.code == 1
    (check,) = broken.findings["checks"]
    assert check["verdict"] == "BLOCKED"
    assert check["findings"][0]["causes"] == [{"rule": "NET204", "where": "node-b/3"}]


def test_the_first_failure_ends_it_with_x_and_all_is_taken_down(tmp_path):
    session = pytest_session(tmp_path, MOCKED, "-x", "--fault", "eager-missing")
    assert session.code == 1
    assert "SRV703" in session.text
    again = pytest_session(tmp_path, MOCKED)
    assert again.code == 0, again.text


def test_last_failed_runs_what_was_red(tmp_path):
    cache = f"cache_dir={tmp_path / 'cache'}"
    first = pytest_session(tmp_path, "-o", cache, MOCKED, "--fault", "tls-differs", "--preflight")
    assert first.code == 1
    second = pytest_session(tmp_path, "-o", cache, MOCKED, "--preflight", "--lf")
    assert second.code == 0, second.text
    assert [c["rule"] for c in second.findings["checks"]] == ["NET204"]


def test_until_goes_no_further(tmp_path):
    session = pytest_session(tmp_path, MOCKED, "--until", "ray")
    assert session.code == 0, session.text
    codes = {c["rule"][:3] for c in session.findings["checks"]}
    assert codes == {"INV", "HST", "NET", "CTR", "RNK", "RAY", "TDN"}


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        (("--until", "inventory"), ["inventory", "teardown"]),
        (("--until", "host"), ["inventory", "host", "teardown"]),
        (("--preflight", "--until", "host"), ["inventory", "host"]),
    ],
)
def test_what_lies_beyond_until_is_not_even_looked_at(tmp_path, words, stages):
    session = pytest_session(tmp_path, MOCKED, *words)
    assert session.code == 0, session.text
    events = [json.loads(line) for line in (session.folder / "journal.jsonl").read_text().splitlines()]
    assert [e["stage"] for e in events if e["event"] == "stage" and e["state"] == "begin"] == stages
    assert not (session.folder / "evidence" / "network").exists()


def test_keep_then_attach_then_down(tmp_path):
    kept = pytest_session(tmp_path, MOCKED, "--keep")
    assert kept.code == 0, kept.text
    attached = pytest_session(tmp_path, MOCKED, "--attach")
    assert attached.code == 0, attached.text
    assert attached.verdict == "READY"
    taken = pytest_session(tmp_path, MOCKED)  # what was kept on purpose is in the way, and not taken down
    assert taken.code == 1
    assert "HST105" in taken.text
    from hakuna import cli

    assert cli.main(["down", "--inventory", str(MOCK), "--reports", str(tmp_path)]) == 0
    assert pytest_session(tmp_path, MOCKED, "--until", "container").code == 0


def test_attach_to_a_server_without_eager_mode_fails(tmp_path):
    pytest_session(tmp_path, MOCKED, "--keep", "--fault", "eager-missing", "--until", "server")
    session = pytest_session(tmp_path, MOCKED, "--attach")
    assert session.code == 1
    failed = {c["rule"] for c in session.findings["checks"] if c["verdict"] == "FAIL"}
    assert failed == {"SRV703"}


def test_attach_to_a_server_that_died_says_what_it_died_of(tmp_path):
    pytest_session(tmp_path, MOCKED, "--keep", "--fault", "server-dies", "--until", "server")
    session = pytest_session(tmp_path, MOCKED, "--attach")
    (check,) = [c for c in session.findings["checks"] if c["verdict"] == "FAIL"]
    assert check["rule"] == "SRV701"
    assert check["findings"][0]["observed"].startswith("nothing answers; its log tells "), check


@pytest.mark.parametrize("fault", [None, "one-way-loss@node-a/0>node-b/3"])
def test_replay_gives_the_same_findings(tmp_path, fault):
    first = pytest_session(tmp_path / "first", MOCKED, *(["--fault", fault] if fault else []))
    again = pytest_session(tmp_path / "again", f"--replay={first.folder}")
    assert again.code == first.code, again.text
    assert again.verdict == first.verdict

    def told(session):
        return {c["rule"]: (c["verdict"], c["findings"]) for c in session.findings["checks"]}

    assert told(again) == told(first)


def test_a_cause_stands_on_the_first_screen(tmp_path):
    session = pytest_session(tmp_path, MOCKED, "--fault", "tls-differs@node-b/3", "-q", "--no-header", "--tb=no")
    assert session.code == 1
    summary = session.text[session.text.index("hakuna") :]
    screen = summary.splitlines()[:24]
    for words in ("NOT READY", "NET204", "node-b/3", "hccn_tool -i 3 -tls -s enable 0", "BLOCKED"):
        assert any(words in line for line in screen), (words, summary)


def test_rules_and_explain_need_no_cluster(tmp_path):
    listed = pytest_session(tmp_path, "--rules")
    assert listed.code == 0
    assert "NET204" in listed.text
    explained = pytest_session(tmp_path, "--explain", "NET204")
    assert explained.code == 0
    assert "EI0016" in explained.text
    unknown = pytest_session(tmp_path, "--explain", "NET999")
    assert unknown.code == 4
    assert "Traceback" not in unknown.text


@pytest.mark.parametrize("arguments", [["--help"], ["--markers"], ["--collect-only", "-q"]])
def test_help_markers_and_collect_only_need_no_inventory(tmp_path, arguments):
    session = pytest_session(tmp_path, *arguments)
    assert session.code == 0, session.text
    assert "inventory" in session.text or "stage(name)" in session.text


def test_a_sites_own_check_is_one_file(tmp_path):
    check = tmp_path / "test_site.py"
    check.write_text(
        (ROOT / "docs" / "writing-checks.md").read_text().split("```python\n")[1].split("```")[0], encoding="utf-8"
    )
    good = pytest_session(tmp_path / "r", "-p", "hakuna.plugin", MOCKED, str(check), "--preflight", cwd=tmp_path)
    assert good.code == 0, good.text
    assert [c["rule"] for c in good.findings["checks"]] == ["NET950"]


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_no_secret_is_in_any_file_of_a_run(tmp_path, monkeypatch, workers):
    monkeypatch.setenv("HAKUNA_TEST_KEY", "canary-key-4711")
    inventory = tmp_path / "secrets.yaml"
    inventory.write_text(
        MOCK.read_text(encoding="utf-8")
        + "server:\n  api_key_env: HAKUNA_TEST_KEY\n  env:\n    HF_TOKEN: canary-token-4712\n"
        + "env:\n  https_proxy: http://me:canary-proxy-4713@proxy:3128\n",
        encoding="utf-8",
    )
    session = pytest_session(
        tmp_path / "r", f"--inventory={inventory}", "--junitxml", str(tmp_path / "j.xml"), *workers
    )
    assert session.code == 0, session.text
    verdicts = {c["rule"]: c["verdict"] for c in session.findings["checks"]}
    assert verdicts["GEN808"] == "PASS"
    files = [tmp_path / "j.xml", *(p for p in (tmp_path / "r").rglob("*") if p.is_file())]
    for path in files:
        assert b"canary-" not in path.read_bytes(), path
    assert "canary-" not in session.text
