# SPDX-License-Identifier: Apache-2.0
"""The examples of nightly jobs: accepted by who would read them, and their command lines run."""

from __future__ import annotations

import http.server
import importlib.resources
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from support import sessions

ROOT = Path(__file__).resolve().parents[2]
NIGHTLY = ROOT / "examples" / "nightly"
NIGHT = "/opt/hakuna/bin/pytest --inventory=/etc/hakuna/prod.yaml --reports=/var/lib/hakuna/reports --notify=/etc/hakuna/notify -q"
PRUNE = "/opt/hakuna/bin/hakuna prune --reports=/var/lib/hakuna/reports --keep=30"
JOBS = ("hakuna-nightly.service", "crontab", "gitlab-ci.yml", "github-workflow.yml", "Jenkinsfile")


@pytest.mark.parametrize("job", JOBS)
def test_every_job_runs_the_same_two_commands(job):
    text = (NIGHTLY / job).read_text(encoding="utf-8")
    assert text.count("/opt/hakuna/bin/pytest") == text.count(NIGHT) == 1
    assert text.count("/opt/hakuna/bin/hakuna") == text.count(PRUNE) == 1


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed (apt-get install systemd)")
def test_systemd_takes_the_units(tmp_path):
    for name in ("hakuna-nightly.service", "hakuna-nightly.timer"):
        text = (NIGHTLY / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/hakuna/bin", str(Path(sys.executable).parent)))
    units = [str(p) for p in sorted(tmp_path.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60, check=False)
    about_us = [line for line in done.stderr.splitlines() if "hakuna" in line]
    assert (done.returncode, about_us) == (0, []), done.stderr
    calendar = re.search("OnCalendar=(.+)", (tmp_path / "hakuna-nightly.timer").read_text())[1]
    assert subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True, timeout=60, check=False).returncode == 0
    bad = tmp_path / "hakuna-nightly.service"
    bad.write_text(bad.read_text().replace("Type=oneshot", "Type=onceshot"))
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60, check=False)
    assert "onceshot" in done.stderr


@pytest.mark.parametrize(
    ("job", "schema", "wrong"),
    [
        ("github-workflow.yml", "github-workflows", ("runs-on:", "runs_on:")),
        ("gitlab-ci.yml", "gitlab-ci", ("tags: [ascend]", "tags: {a: 1}")),
    ],
)
def test_the_schema_of_the_ci_server_takes_the_job(job, schema, wrong):
    """The schemas come with check-jsonschema, which keeps them up to date."""
    vendor = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    rules = json.loads((vendor / f"{schema}.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(rules)(rules)
    text = (NIGHTLY / job).read_text(encoding="utf-8")
    yaml = YAML(typ="safe")
    assert [e.message for e in validator.iter_errors(yaml.load(text))] == []
    assert not validator.is_valid(yaml.load(text.replace(*wrong)))


def test_the_cron_lines_are_well_formed():
    lines = [x for x in (NIGHTLY / "crontab").read_text().splitlines() if x and x[0] not in "#M"]
    for line in lines:
        assert re.fullmatch(r"(?:[\d*/,-]+ ){5}hakuna [^%]+", line), line
    assert len(lines) == 2


def test_the_jenkinsfile_is_closed():
    text = re.sub(r"'[^']*'|//.*", "", (NIGHTLY / "Jenkinsfile").read_text())
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
    assert "'" not in text


class _Chat(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args):
        pass


@pytest.fixture
def chat():
    server = http.server.HTTPServer(("127.0.0.1", 0), _Chat)
    server.heard = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_night_as_gitlab_runs_it(tmp_path, chat):
    """Both scripts of the job, on the simulated cluster, with the webhook example as what is notified."""
    job = YAML(typ="safe").load(NIGHTLY / "gitlab-ci.yml")["nightly"]
    (tmp_path / "job").mkdir()

    def here(line):
        return (
            line.replace("/opt/hakuna/bin/pytest", f"{sys.executable} -m pytest -p no:hypothesispytest -p no:cacheprovider")
            .replace("/opt/hakuna/bin/hakuna", f"{sys.executable} -m hakuna.cli")
            .replace("/etc/hakuna/prod.yaml", str(sessions.MOCK))
            .replace("/var/lib/hakuna", str(tmp_path))
            .replace("/etc/hakuna/notify", str(NIGHTLY / "notify-webhook.py"))
        )

    environment = sessions.environment(HAKUNA_WEBHOOK=f"http://127.0.0.1:{chat.server_port}/")
    for line in (*job["script"], *job["after_script"]):
        folder = ROOT if line in job["script"] else tmp_path / "job"  # the checkout stands for what is installed
        done = subprocess.run(
            ["sh", "-ec", here(line)], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    night = tmp_path / "job" / "night"
    assert (night / "junit.xml").is_file()
    assert all((tmp_path / "job" / p).is_file() for p in job["artifacts"]["paths"])
    assert json.loads((night / "findings.json").read_text())["verdict"] == "READY"
    assert [list(h) for h in chat.heard] == [["text"]]
    assert chat.heard[0]["text"].startswith("READY (SIMULATED): mock, run 2")
    assert done.stdout == "1 run folders stay, 0 went\n"


@pytest.mark.parametrize(
    ("kind", "where"), [("feishu", ("content", "text")), ("dingtalk", ("text", "content")), ("json", ("run", "cluster"))]
)
def test_the_webhook_speaks_to_other_chats(kind, where, chat, tmp_path):
    findings = {
        "verdict": "NOT READY",
        "counts": {"FAIL": 1},
        "problems": [],
        "warnings": [],
        "rules": {},
        "run": {"cluster": "c NET204 node-b/3", "id": "r", "simulated": False},
        "root_causes": [{"rule": "NET204", "where": "node-b/3", "message": "", "observed": "on", "fix": "type\nthis"}],
    }
    environment = sessions.environment(HAKUNA_WEBHOOK=f"http://127.0.0.1:{chat.server_port}/", HAKUNA_WEBHOOK_KIND=kind)
    subprocess.run(
        [sys.executable, str(NIGHTLY / "notify-webhook.py")], input=json.dumps(findings).encode(), env=environment, check=True
    )
    value = chat.heard[0]
    for key in where:
        value = value[key]
    assert "NET204" in value
    assert "node-b/3" in value
