# SPDX-License-Identifier: Apache-2.0
"""Bad input gets a message, pytest's own exit code, and never a traceback."""

from __future__ import annotations

import pytest

from support.sessions import MOCK, pytest_session

GOOD = MOCK.read_text(encoding="utf-8")


def usage_error(session, *words):
    assert session.code == 4, session.text
    assert "Traceback" not in session.text
    for word in words:
        assert word in session.text, session.text


def test_without_an_inventory_it_says_what_to_pass(tmp_path):
    usage_error(pytest_session(tmp_path), "--inventory=inventory/mock.yaml", "--preflight")


def test_a_missing_inventory(tmp_path):
    usage_error(pytest_session(tmp_path, "--inventory=nowhere.yaml"), "nowhere.yaml")


def test_all_mistakes_of_an_inventory_at_once(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD + "\nservr:\n  tp: 16\ncontainer:\n  imagge: 1\n", encoding="utf-8")
    usage_error(pytest_session(tmp_path, f"--inventory={path}"), "bad.yaml:", "servr", "server", "imagge", "image")


def test_an_unknown_fault(tmp_path):
    usage_error(pytest_session(tmp_path, f"--inventory={MOCK}", "--fault", "tls-difers"), "tls-differs")


@pytest.mark.parametrize("options", [["--preflight", "--attach"], ["--preflight", "--keep"]])
def test_contradicting_options(tmp_path, options):
    usage_error(pytest_session(tmp_path, f"--inventory={MOCK}", *options), "--preflight")


def test_a_replay_of_nothing(tmp_path):
    usage_error(pytest_session(tmp_path, f"--replay={tmp_path}"), "run.json")


def test_an_empty_selection_is_not_ok(tmp_path):
    session = pytest_session(tmp_path, f"--inventory={MOCK}", "-k", "nothing_is_called_this")
    assert session.code == 5
    assert "READY" not in session.text.replace("NOT READY", "")


def test_only_skipped_checks_are_not_ok(tmp_path):
    session = pytest_session(tmp_path, f"--inventory={MOCK}", "-k", "expected_one")
    assert session.code == 1
    assert session.verdict == "INCONCLUSIVE"


def test_a_project_that_merely_has_it_installed_is_left_alone(tmp_path):
    (tmp_path / "test_mine.py").write_text("def test_mine():\n    assert True\n", encoding="utf-8")
    session = pytest_session(tmp_path / "r", "-p", "hakuna.plugin", str(tmp_path / "test_mine.py"), cwd=tmp_path)
    assert session.code == 0, session.text
    told = [line for line in session.text.splitlines() if not line.startswith("plugins:")]
    assert "hakuna" not in "\n".join(told)
    assert not (tmp_path / "r").exists()
