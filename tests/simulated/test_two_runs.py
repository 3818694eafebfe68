# SPDX-License-Identifier: Apache-2.0
"""Two runs and one cluster: they never mix, and what a dead one left is cleaned up, whoever's it was."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest
from cluster import Plan, mock, new_run

from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import RunVerdict, Verdict
from hakuna.stages import lease
from hakuna.stages.judge import Judge
from hakuna.stages.lease import Renewal

UNTIL = Plan(until=Stage.RAY)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(lease, "LOOK", 0.05)


def left_up(reports, name="dead", *, elsewhere=True):
    """A run that got as far as Ray and was then cut off; its controller is another machine's unless told otherwise."""
    run = new_run(reports, mock(), UNTIL, name)
    if elsewhere:
        run.holder = replace(run.holder, host="elsewhere")
        run.journal.write("run", id=name, holder=run.holder.as_json(), plan=run.plan.as_json())
    Judge(run)
    run.facts(Stage.RAY)
    return run


def expire(run):
    """Its leases run out, as they do when nobody renews them."""
    with run.transport.state.transaction() as data:
        for node in data["leases"].values():
            for held in node.values():
                held["expires"] = int(time.time()) - 1


def left(run):
    data = run.transport.state.read()
    return {name: sum(map(len, data[name].values())) for name in ("containers", "processes", "leases")}


def judged(run):
    return run, Judge(run).everything()


def notes(run):
    return " ".join(e["text"] for e in run.journal.events() if e["event"] == "note")


def test_a_run_that_lives_is_named_and_left_alone(tmp_path):
    first = left_up(tmp_path)
    before = left(first)
    _, found = judged(new_run(tmp_path, mock(), UNTIL, "second"))
    assert found.verdict is RunVerdict.NOT_READY
    (cause,) = {c.finding.rule for c in found.root_causes}
    assert cause == "HST105"
    assert {f.observed for f in found.results["HST105"].findings} == {lease.word(first)}
    assert left(first) == before


def test_a_run_of_another_machine_whose_lease_expired_is_cleaned_up(tmp_path):
    first = left_up(tmp_path)
    expire(first)
    second, found = judged(new_run(tmp_path, mock(), UNTIL, "second"))
    assert found.verdict is RunVerdict.READY, found.root_causes
    assert "cleaned up after run dead of" in notes(second)
    assert "whose lease had expired" in notes(second)
    assert first.journal.traces() == []
    assert left(first) == {"containers": 0, "processes": 0, "leases": 0}


def test_so_it_is_without_any_journal_of_it(tmp_path):
    first = left_up(tmp_path)
    expire(first)
    (first.folder / "journal.jsonl").unlink()
    second, found = judged(new_run(tmp_path, mock(), UNTIL, "second"))
    assert found.verdict is RunVerdict.READY, found.root_causes
    assert "cleaned up after run dead" in notes(second)


def test_one_node_where_the_lease_is_good_keeps_the_run_alive(tmp_path):
    first = left_up(tmp_path)
    expire(first)
    with first.transport.state.transaction() as data:
        for held in data["leases"]["node-a"].values():
            held["expires"] = int(time.time()) + 60
    before = left(first)
    second, found = judged(new_run(tmp_path, mock(), UNTIL, "second"))
    assert found.results["HST105"].verdict is Verdict.FAIL
    assert notes(second) == ""
    assert left(first) == before


def test_a_run_that_was_kept_never_counts_as_dead(tmp_path):
    first = left_up(tmp_path)
    lease.renew(first, keep=True)
    before = left(first)
    second, found = judged(new_run(tmp_path, mock(), UNTIL, "second"))
    (finding, _) = found.results["HST105"].findings
    assert "the run was kept" in finding.fix
    assert notes(second) == ""
    assert left(first) == before


def test_who_waits_goes_on_as_soon_as_the_nodes_are_free(tmp_path):
    first = left_up(tmp_path)
    second = new_run(tmp_path, mock(), replace(UNTIL, wait=60.0), "second")
    told = []
    second.waiting = told.append
    timer = threading.Timer(0.5, lambda: first.facts(Stage.TEARDOWN))
    timer.start()
    _, found = judged(second)
    timer.join()
    assert found.verdict is RunVerdict.READY, found.root_causes
    assert f"waiting for {lease.word(first)} to give node-a back" in told
    assert second.asked("host.2")


def test_who_waits_in_vain_waits_no_longer_than_told(tmp_path):
    left_up(tmp_path)
    begun = time.monotonic()
    _, found = judged(new_run(tmp_path, mock(), replace(UNTIL, wait=1.0), "second"))
    assert found.results["HST105"].verdict is Verdict.FAIL
    assert time.monotonic() - begun < 30


def test_a_lease_is_renewed_as_long_as_the_controller_lives(tmp_path):
    inventory = mock(thresholds=mock().thresholds.model_copy(update={"lease": 3.0}))
    run = new_run(tmp_path, inventory, UNTIL)
    Judge(run)
    renewal = Renewal(run)
    run.facts(Stage.CONTAINER)
    begun = time.monotonic()
    renewal.start()
    while sum(e["event"] == "lease" for e in run.journal.events()) < 4:  # two nodes, twice
        assert time.monotonic() - begun < 30
        time.sleep(0.05)  # the condition is a file that another thread writes
    renewal.stop()
    assert {e["state"] for e in run.journal.events() if e["event"] == "lease"} == {"renewed"}
    data = run.transport.state.read()["leases"]
    assert all(held["expires"] > time.time() for node in data.values() for held in node.values())
    run.facts(Stage.TEARDOWN)


def test_a_run_whose_node_was_taken_goes_no_further_and_says_so(tmp_path):
    run = new_run(tmp_path, mock(), Plan())
    judge = Judge(run)
    run.facts(Stage.RANK_TABLE)
    with run.transport.state.transaction() as data:
        for held in data["leases"]["node-b"].values():
            held |= {"holder": "you@there:1/other", "expires": int(time.time()) + 60}
    lease.renew(run)
    found = judge.everything()
    (cause,) = found.root_causes
    assert (cause.finding.rule, str(cause.finding.where)) == ("TDN907", "node-b")
    assert cause.finding.observed == "you@there:1/other"
    assert found.results["RAY501"].verdict is Verdict.BLOCKED
    assert not run.asked("ray.head")


def test_everything_that_is_started_says_whose_it_is(tmp_path):
    run = left_up(tmp_path, elsewhere=False)
    data = run.transport.state.read()
    holder = run.holder
    for containers in data["containers"].values():
        (labels,) = (c["labels"] for c in containers.values())
        assert labels == {
            "hakuna.run": "dead",
            "hakuna.holder": holder.word,
            "hakuna.boot_id": holder.boot_id,
            "hakuna.start": str(holder.start),
        }
    started = [p for processes in data["processes"].values() for p in processes.values()]
    assert started
    assert all(p["env"].items() >= run.label.items() for p in started if "ray" in " ".join(p["argv"]))
    intents = [json.loads(x) for x in run.journal.path.read_text().splitlines()]
    assert {e["kind"] for e in intents if e["event"] == "intend"} == {"lease", "container", "file", "processes"}
    run.facts(Stage.TEARDOWN)
