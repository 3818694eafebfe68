# SPDX-License-Identifier: Apache-2.0
"""Canaries: secrets given to a run in every way there is are in no file of it, nor on the terminal."""

from __future__ import annotations

import tarfile

import pytest

from hakuna.suites import load_rules
from support import sessions

INVENTORY = """
cluster: canary
transport: simulated
nodes:
  - {{name: node-a, address: node-a, node_ip: 192.0.2.11, device_ids: [0, 1]}}
  - {{name: node-b, address: node-b, node_ip: 192.0.2.12, device_ids: [0, 1]}}
env:
  HTTPS_PROXY: http://operator:canary-proxy-1@proxy.example:3128
  HF_TOKEN: canary-token-2
container:
  extra_args: ["-e", "REGISTRY_PASSWORD=canary-registry-3", "--label=pull=https://robot:canary-pull-4@registry.example/"]
server:
  api_key_env: SITE_KEY
  env: {{MODELSCOPE_API_TOKEN: canary-scope-5}}
  extra_args: [{arguments}]
  expect: {{prompt: "Hakuna Matata, and my key is canary-key-7"}}
thresholds: {{time_to_ready: 5}}
"""


@pytest.mark.parametrize(
    ("arguments", "verdict"), [("", "READY"), ("--hub-token=canary-hub-6", "NOT READY")], ids=["green", "red"]
)
def test_no_canary_is_in_any_file(arguments, verdict, tmp_path):
    """The server knows no --hub-token: it says so, with the whole word, before it ends."""
    inventory = tmp_path / "site" / "canary.yaml"
    inventory.parent.mkdir()
    inventory.write_text(INVENTORY.format(arguments=arguments))
    reports = tmp_path / "reports"
    session = sessions.pytest_session(reports, f"--inventory={inventory}", env={"SITE_KEY": "canary-key-7"})
    assert session.verdict == verdict, session.text
    assert "canary-" not in session.text
    assert ("--hub-token=***" in session.text) == bool(arguments)
    files = [p for p in session.folder.rglob("*") if p.is_file()]
    assert len(files) > 30
    found = [str(p) for p in (*files, reports / "history.sqlite") if b"canary-" in p.read_bytes()]
    assert found == []
    names = {p.name for p in files}
    assert {"run.json", "journal.jsonl", "findings.json", "junit.xml", "report.html", "summary.md"} <= names
    if verdict == "READY":
        from hakuna.reports.bundle import make

        bundle = make(session.folder, tmp_path / "b.tar.gz", load_rules())
        with tarfile.open(bundle.path) as archive:
            assert not [m.name for m in archive if b"canary-" in archive.extractfile(m).read()]
            assert len(archive.getmembers()) > 30
