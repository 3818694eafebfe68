# SPDX-License-Identifier: Apache-2.0
"""Whole runs over real ssh, on clusters that have nothing wrong."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time

import pytest

from support.cluster import only_reads
from support.sessions import ROOT, command, environment, pytest_session

KEY = "sk-canary-7f3a9c51e2"


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def verdicts(session):
    return {c["rule"]: c["verdict"] for c in session.findings["checks"]}


@pytest.mark.ssh
def test_the_whole_guide_over_ssh(cluster):
    one = cluster(devices=8)
    session = one.run()
    assert session.code == 0, session.text
    found = session.findings
    assert found["verdict"] == "READY"
    assert found["run"]["transport"] == "ssh"
    assert found["run"]["simulated"] is False
    assert [s["stage"] for s in found["stages"]] == [
        *("inventory", "host", "network", "container", "rank_table"),
        *("ray", "collective", "server", "generation", "teardown"),
    ]
    assert set(verdicts(session).values()) == {"PASS", "SKIP"}
    assert found["counts"]["PASS"] > 100
    # It really was brought up, on both machines, and really is gone.
    assert {node for node, argv in one.calls if argv[:2] == ("docker", "run")} == {"node-a", "node-b"}
    assert not all(only_reads(argv) for _, argv in one.calls)
    assert one.left == {}
    assert not listens(one.port)

    again = pytest_session(one.folder / "again", f"--replay={session.folder}")
    assert again.code == 0, again.text
    assert verdicts(again) == verdicts(session)


def test_preflight_over_ssh_changes_nothing(cluster):
    one = cluster()
    session = one.run("--preflight")
    assert session.code == 0, session.text
    assert session.verdict == "READY"
    assert {node for node, _ in one.calls} == {"node-a", "node-b"}
    assert [argv for _, argv in one.calls if not only_reads(argv)] == []
    assert one.left == {}


@pytest.mark.ssh
def test_the_api_key_stays_secret(cluster):
    one = cluster(api_key_env="LAB_KEY")
    session = one.run(LAB_KEY=KEY)
    assert session.code == 0, session.text
    assert session.verdict == "READY"
    assert verdicts(session)["GEN808"] == "PASS"
    assert KEY not in session.text
    files = [p for p in one.reports.rglob("*") if p.is_file()]
    assert len(files) > 20
    assert [p for p in files if KEY.encode() in p.read_bytes()] == []
    assert [argv for _, argv in one.calls if KEY in " ".join(argv)] == []
    assert one.left == {}


@pytest.mark.ssh
def test_after_kill_9_in_the_server_stage_the_next_run_cleans_up(cluster):
    one = cluster()
    with subprocess.Popen(
        command(f"--reports={one.reports}", f"--inventory={one.inventory}"),
        cwd=ROOT,
        env=environment(**one.environment()),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as process:
        end = time.monotonic() + 100
        while not listens(one.port):
            assert process.poll() is None, "the run ended before its server was up"
            assert time.monotonic() < end, "the server never came up"
            time.sleep(0.01)  # the condition is a port that another process opens
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
    (dead,) = [p.parent for p in one.reports.glob("*/run.json")]
    begun = [json.loads(line) for line in (dead / "journal.jsonl").read_text().splitlines()]
    assert [e["stage"] for e in begun if e["event"] == "stage"][-1] == "server"
    assert set(one.left) >= {"containers", "processes", "leases", "npu_processes", "files", "log"}

    session = one.run()
    assert session.code == 0, session.text
    assert session.verdict == "READY"
    assert f"cleaned up after run {dead.name}" in session.text
    assert one.left == {}
    assert not listens(one.port)


@pytest.mark.ssh
def test_the_commands_beside_pytest_work_over_ssh(cluster):
    """They send without a run around them: what a run sees to (sudo only where it is asked for) holds for them, too."""
    one = cluster()
    table = one.hakuna("rank-table")
    assert table.returncode == 0, table.stderr
    assert json.loads(table.stdout)["server_count"] == "2"

    kept = one.run("--keep", "--until", "container")
    assert kept.code == 0, kept.text
    assert set(one.left["containers"]) == {"node-a", "node-b"}
    down = one.hakuna("down", f"--reports={one.reports}")
    assert (down.returncode, down.stdout) == (0, f"{kept.folder.name}: taken down\n"), down.stderr
    assert one.left == {}
