# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys
import time

import pytest
from report_samples import events, result, tls_fault, write_run

from hakuna import cli
from hakuna.reports import notify
from hakuna.reports.model import from_folder

LISTEN = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps([json.load(sys.stdin), dict(os.environ)]))"


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", events(tls_fault()))


def test_the_command_hears_everything(run, tmp_path):
    heard = tmp_path / "heard.json"
    assert cli.main(["notify", str(run), f'{sys.executable} -c "{LISTEN}" {heard}']) == 0
    findings, environment = json.loads(heard.read_text())
    assert findings["verdict"] == environment["HAKUNA_VERDICT"] == "NOT READY"
    assert (environment["HAKUNA_EXIT"], environment["HAKUNA_CLUSTER"]) == ("1", "demo")
    assert environment["HAKUNA_FOLDER"] == str(run)


@pytest.mark.parametrize(
    ("command", "words"),
    [("false", "status 1"), ("no-such-program-x", "cannot be run"), ("", "empty"), ("a 'b", "cannot be read")],
)
def test_what_goes_wrong_is_a_sentence(run, capsys, command, words):
    assert cli.main(["notify", str(run), command]) == 2
    assert words in capsys.readouterr().err


def test_a_command_without_an_end_is_ended(run):
    begun = time.monotonic()
    with pytest.raises(notify.NotifyError, match="no end within"):
        notify.tell("sh -c 'sleep 30 & sleep 30'", from_folder(run), run, patience=0.3)
    assert time.monotonic() - begun < 10


def test_no_shell_reads_the_command(run, tmp_path):
    notify.tell(f"true ; touch {tmp_path}/made", from_folder(run), run)
    assert not (tmp_path / "made").exists()


def test_a_command_that_does_not_listen_is_fine(tmp_path):
    folder = write_run(tmp_path / "green", events([result("NET101")] * 3))
    notify.tell("true", from_folder(folder), folder)


def test_a_missing_program_is_said_before_the_run_begins():
    with pytest.raises(notify.NotifyError, match="there is no program"):
        notify.check("no-such-program-x --now")
    notify.check("true")
