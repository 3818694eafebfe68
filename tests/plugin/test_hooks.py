# SPDX-License-Identifier: Apache-2.0
"""What a site's own conftest.py may add: a transport, an ear for checks, a report."""

from __future__ import annotations

import json

from support.sessions import MOCK, pytest_session

TRANSPORT = """
from hakuna.stages.connecting import connect


class Bastion:
    kind = "simulated"

    def __init__(self, inner, log):
        self.inner, self.log = inner, log

    def run(self, name, batches):
        with self.log.open("a") as file:
            file.write(name + "\\n")
        return self.inner.run(name, batches)

    def http(self, request):
        return self.inner.http(request)

    def close(self):
        self.inner.close()


def pytest_hakuna_transport(config, inventory):
    here = config.rootpath
    return Bastion(connect(inventory, here / "state"), here / "carried.txt")
"""
REPORTS = """
import json


def pytest_hakuna_check(config, result):
    with (config.rootpath / "checks.txt").open("a") as file:
        file.write(f"{result.rule} {result.verdict.value}\\n")


def pytest_hakuna_report(config, report, folder):
    (folder / "ticket.json").write_text(json.dumps({"verdict": report.verdict.value}))
"""


def site(folder, conftest):
    folder.mkdir(exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(conftest)
    return folder


def test_a_sites_own_transport_carries_every_batch(tmp_path):
    here = site(tmp_path / "site", TRANSPORT)
    session = pytest_session(tmp_path / "reports", f"--inventory={MOCK}", "--preflight", "-n", "2", cwd=here)
    assert session.verdict == "READY", session.text
    carried = (here / "carried.txt").read_text().split()
    assert sorted(set(carried)) == sorted(p.name for p in (session.folder / "evidence").iterdir())
    assert len(carried) == len(set(carried)), "one process of the run sends a batch, the others read it"


def test_every_check_and_the_finished_run_are_handed_on(tmp_path):
    here = site(tmp_path / "site", REPORTS)
    session = pytest_session(
        tmp_path / "reports", f"--inventory={MOCK}", "--preflight", "--fault", "tls-differs", cwd=here
    )
    heard = dict(line.split() for line in (here / "checks.txt").read_text().splitlines())
    assert heard == {c["rule"]: c["verdict"] for c in session.findings["checks"]}
    assert json.loads((session.folder / "ticket.json").read_text()) == {"verdict": "NOT READY"}


def test_a_report_that_breaks_costs_the_run_nothing(tmp_path):
    broken = "def pytest_hakuna_report(config, report, folder):\n    raise OSError('the ticket system is away')\n"
    here = site(tmp_path / "site", broken)
    session = pytest_session(tmp_path / "reports", f"--inventory={MOCK}", "--preflight", cwd=here)
    assert session.code == 0, session.text
    assert session.verdict == "READY"
    assert "pytest_hakuna_report failed: OSError: the ticket system is away" in session.text


def test_a_sites_plain_test_is_told_in_words_why_a_stage_has_no_facts(tmp_path):
    here = site(tmp_path / "site", "")
    (here / "test_site.py").write_text("def test_ours(api_server):\n    assert api_server\n")
    words = (f"--inventory={MOCK}", "test_site.py")
    blocked = pytest_session(tmp_path / "blocked", *words, "--fault", "tls-differs@node-b/3", cwd=here)
    assert "container was not entered because of NET204 on node-b/3" in blocked.text
    assert "Traceback" not in blocked.text
    assert "fixtures.py" not in blocked.text
    beyond = pytest_session(tmp_path / "beyond", *words, "--until=host", "-rs", cwd=here)
    assert "SKIPPED [1] test_site.py:1: the run goes only up to host" in beyond.text
    looking = pytest_session(tmp_path / "looking", *words, "--preflight", "-rs", cwd=here)
    assert "--preflight only looks at the hosts and their network" in looking.text
    assert "1 passed" in pytest_session(tmp_path / "fine", *words, cwd=here).text
