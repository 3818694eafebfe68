# SPDX-License-Identifier: Apache-2.0
"""Faults that need containers, Ray or a server: one lab serves them all, and no run goes further than it must."""

from __future__ import annotations

import subprocess
import time

import pytest
from lab.plan import MODEL, REPOSITORY, Plan
from lab_runs import Finding, command, down, environment, journal, kill_raylet, newest, run

from lab import faults, host, machine

PLAN = Plan(devices=2)


def on(lab, host, *words):
    return machine.run(lab.host(host).inside(*words))


def nothing_is_left(lab):
    for name in lab.hosts:
        assert on(lab, name, "docker", "ps", "-aq") == ""
        assert on(lab, name, "sh", "-c", "ls -d /tmp/hakuna* /tmp/ray* 2>/dev/null || true") == ""


@pytest.mark.parametrize("name", [name for name, fault in faults.CATALOGUE.items() if not fault.bare])
def test_a_fault_of_the_engine_is_the_single_root_cause_where_it_is(lab, tmp_path, name):
    faults.put_in(lab, name)
    try:
        told = run(tmp_path, "--preflight")
    finally:
        faults.mend(lab)
    assert told.root_causes == (Finding(faults.CATALOGUE[name].rule, "lab-b"),), told.output
    assert told.verdict == "NOT READY"
    assert not told.unjudged


def test_nothing_is_started_where_rays_port_is_taken(lab, tmp_path):
    faults.put_in(lab, "port-taken")
    try:
        told = run(tmp_path, "--until=ray")
    finally:
        faults.mend(lab)
    assert told.root_causes == (Finding("HST107", "lab-b"),), told.output
    assert not (newest(tmp_path) / "evidence" / "container.run").exists()
    nothing_is_left(lab)


def test_all_checks_pass_in_four_processes_that_share_one_cluster(lab, tmp_path):
    told = run(tmp_path, "-n", "4")
    assert told.verdict == "READY", told.output
    starts = [e for e in journal(tmp_path) if e["event"] == "intend" and e["kind"] == "container"]
    assert len(starts) == len(lab.hosts), "each node's container was started once"
    nothing_is_left(lab)


def test_a_server_that_dies_while_loading_is_told_in_seconds_with_its_last_words(lab, tmp_path):
    kept = {name: on(lab, name, "cat", f"{MODEL}/config.json").encode() for name in lab.hosts}
    for name in lab.hosts:
        host.put(lab.host(name), f"{MODEL}/config.json", b"{ a file that was cut")
    try:
        told = run(tmp_path, "--until=server")
    finally:
        for name, content in kept.items():
            host.put(lab.host(name), f"{MODEL}/config.json", content)
    assert told.root_causes == (Finding("SRV701", "lab-a"),), told.output
    assert "JSONDecodeError" in told.output
    server = next(e for e in journal(tmp_path) if e["event"] == "stage" and e.get("seconds") and e["stage"] == "server")
    assert server["seconds"] < 100, "the time to be ready is 120 s here"
    log = newest(tmp_path) / "logs" / "lab-a" / "api_server.log"
    assert "JSONDecodeError" in log.read_text(), "its log is kept"
    nothing_is_left(lab)


def test_a_raylet_that_is_killed_is_the_single_cause_and_down_takes_the_kept_cluster_away(lab, tmp_path):
    kept = run(tmp_path, "--keep", "--until=ray")
    assert kept.verdict == "READY", kept.output
    try:
        kill_raylet(lab, "lab-b")
        told = run(tmp_path, "--attach", "--until=ray")
    finally:
        done = down(tmp_path)
    # Until Ray itself has noticed, the process is missed; after that, the member.
    assert told.root_causes in {(Finding("RAY507", "lab-b"),), (Finding("RAY503", "lab-b"),)}, told.output
    assert told.verdict == "NOT READY"
    assert done.returncode == 0, done.stdout + done.stderr
    assert "taken down" in done.stdout
    nothing_is_left(lab)


def test_of_two_runs_at_once_the_second_names_the_first_or_waits_for_it(lab, tmp_path):
    first = subprocess.Popen(
        command(tmp_path / "first", "--until=ray"),
        cwd=REPOSITORY,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 100
    while not list((tmp_path / "first").glob("*/evidence/container.run")):
        assert first.poll() is None, "it ended before the second could come"
        assert time.monotonic() < end
        time.sleep(0.02)  # the step is a folder of another process: there is no event for it
    refused = run(tmp_path / "second", "--until=container")
    waited = run(tmp_path / "third", "--until=container", "--wait=200")
    output, _ = first.communicate(timeout=200)
    assert first.returncode == 0, output
    assert refused.root_causes == (Finding("HST105", "lab-a"), Finding("HST105", "lab-b")), refused.output
    assert f":{first.pid}/" in refused.output, "the holder's name"
    assert not (newest(tmp_path / "second") / "evidence" / "container.run").exists()
    assert waited.verdict == "READY", waited.output
    nothing_is_left(lab)
