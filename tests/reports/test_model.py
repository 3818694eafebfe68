# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os

import pytest
from report_samples import (
    A,
    a_book,
    events,
    finding,
    report,
    result,
    run_json,
    tls_fault,
    unparsed,
    write_run,
)

from hakuna.judgement.rules import RuleBook
from hakuna.judgement.verdict import Cause, CheckResult, RunVerdict, Verdict
from hakuna.reports.model import NotARunError, from_folder, from_run
from hakuna.stages.holder import Holder
from hakuna.where import Where

EMPTY = RuleBook()


def test_a_green_run():
    found = report(result("NET101"), result("HST101"))
    assert found.verdict is RunVerdict.READY
    assert found.problems == ()
    assert (found.run_id, found.cluster, found.cluster_size) == (
        "20260801-120000-ab12",
        "demo",
        "2 nodes x 8 devices",
    )
    assert found.simulated
    assert found.counts == {Verdict.PASS: 2}
    assert found.notes == ("cleaned up after run 20260731-220000-ffff",)
    assert [(s.stage, s.seconds) for s in found.stages] == [("network", 1.25)]
    assert found.seconds == 7.0


def test_results_are_in_stage_order_whatever_order_they_came_in():
    found = report(*tls_fault())
    assert [r.rule for r in found.results] == ["HST101", "NET101", "NET204", "RAY101", "COL101", "GEN101"]
    assert found.verdict is RunVerdict.NOT_READY


def test_results_at_hand_are_used_instead_of_the_journal():
    at_hand = {"NET101": result("NET101", finding("NET101", A))}
    found = from_run(run_json(), events([]), at_hand, book=EMPTY)
    assert found.verdict is RunVerdict.NOT_READY


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([], RunVerdict.INCONCLUSIVE),
        ([result("NET101", verdict=Verdict.SKIP, reason="x")], RunVerdict.INCONCLUSIVE),
        ([result("NET101"), unparsed()], RunVerdict.INCONCLUSIVE),
        ([result("NET101"), result("NET102", finding("NET102", A, Verdict.WARN))], RunVerdict.READY),
        ([result("NET101"), result("NET102", verdict=Verdict.SKIP, reason="x")], RunVerdict.READY),
    ],
)
def test_verdicts(results, verdict):
    assert report(*results).verdict is verdict


def test_a_killed_run_is_cut_short_and_not_ready(tmp_path):
    folder = write_run(tmp_path / "run", events([result("NET101"), result("HST101")], end=False))
    found = from_folder(folder, book=a_book("HST101", "NET101", "RAY101"))
    assert found.cut_short
    assert found.verdict is RunVerdict.INCONCLUSIVE
    assert found.problems[0] == "the run was cut short: its journal has no end"
    assert found.not_run == ("RAY101",)


def test_a_killed_run_with_a_failure_stays_not_ready():
    found = from_run(run_json(), events(tls_fault(), end=False), book=EMPTY)
    assert (found.cut_short, found.verdict) == (True, RunVerdict.NOT_READY)


def test_a_last_line_that_was_cut_does_no_harm(tmp_path):
    folder = write_run(tmp_path / "run", events([result("NET101")], end=False))
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"event": "check", "resu')
    assert from_folder(folder, book=EMPTY).counts == {Verdict.PASS: 1}


def test_a_run_without_a_journal_is_cut_short(tmp_path):
    folder = write_run(tmp_path / "run", [])
    (folder / "journal.jsonl").unlink()
    found = from_folder(folder, book=EMPTY)
    assert (found.cut_short, found.verdict, found.counts) == (True, RunVerdict.INCONCLUSIVE, {})


def test_a_run_that_is_still_going_on_is_not_called_dead(tmp_path):
    folder = write_run(tmp_path / "run", events([result("NET101")], end=False))
    data = {**run_json(), "holder": Holder.me().as_json()}
    (folder / "run.json").write_text(json.dumps(data))
    assert f":{os.getpid()}" in from_folder(folder, book=EMPTY).problems[0]
    assert "still going on" in from_folder(folder, book=EMPTY).problems[0]


def test_an_interrupted_run_is_not_ready():
    found = from_run(run_json(), events([result("NET101")], interrupted="SIGTERM"), book=EMPTY)
    assert found.verdict is RunVerdict.INCONCLUSIVE
    assert found.problems == ("the run was interrupted: SIGTERM",)
    assert found.interrupted == "SIGTERM"


def test_checks_that_were_selected_and_did_not_run_keep_the_run_from_ready():
    log = events([result("NET101")])
    log.insert(1, {"event": "selected", "at": 1.0, "rules": ["NET101", "RAY101"]})
    found = from_run(run_json(), log, book=EMPTY)
    assert found.not_run == ("RAY101",)
    assert found.verdict is RunVerdict.INCONCLUSIVE
    assert from_run(run_json(), events([result("NET101")]), expected=["COL101"], book=EMPTY).not_run == ("COL101",)


def test_checks_that_were_left_out_are_said_and_do_not_change_the_verdict():
    found = report(result("NET101"), book=a_book("HST101", "NET101", "RAY101", "TDN101"))
    assert found.left_out == ("HST101", "RAY101")
    assert found.verdict is RunVerdict.READY
    assert found.limits == ("1 of 3 checks",)


def test_a_preflight_run_leaves_out_nothing_by_not_running_later_stages():
    found = report(result("NET101"), book=a_book("NET101", "RAY101"), mode="preflight")
    assert found.left_out == ()
    assert found.limits == ("preflight: inventory, host, network only",)


def test_an_event_that_cannot_be_read_keeps_the_run_from_ready():
    log = events([result("NET101")])
    log.insert(2, {"event": "check", "at": 2.0, "result": {"rule": "NET102", "verdict": "SPLENDID"}})
    found = from_run(run_json(), log, book=EMPTY)
    assert found.verdict is RunVerdict.INCONCLUSIVE
    assert "event 3" in found.problems[0]


def test_the_verdict_that_the_run_came_to_is_never_bettered():
    log = events(tls_fault())
    without = [e for e in log if e.get("result", {}).get("verdict") not in ("FAIL", "BLOCKED")]
    found = from_run(run_json(), without, book=EMPTY)
    assert found.verdict is RunVerdict.NOT_READY
    assert "must be missing" in found.problems[0]


def test_no_case_of_a_check_hides_another():
    log = events([result("NET101", finding("NET101", A)), result("NET101")], end=True)
    assert from_run(run_json(), log, book=EMPTY).summary.results["NET101"].verdict is Verdict.FAIL


def test_the_same_case_again_replaces_itself():
    log = events([result("NET101", finding("NET101", A))])
    log.insert(-1, {**log[-2], "result": result("NET101").as_json()})
    log[-1] = {**log[-1], "verdict": "READY"}
    assert from_run(run_json(), log, book=EMPTY).verdict is RunVerdict.READY


def test_a_red_result_without_a_finding_gets_one():
    found = report(CheckResult("NET101", Verdict.FAIL), CheckResult("NET102", Verdict.ERROR, reason="broke"))
    assert [c.finding.rule for c in found.summary.root_causes] == ["NET101"]
    assert [f.message for f in found.summary.unjudged] == ["broke"]


def test_a_cause_outside_of_the_results_is_named():
    cause = Cause("HST101", Where("node-b"))
    found = report(result("NET101", finding("NET101", A, Verdict.BLOCKED, causes=(cause,))), result("NET102"))
    assert [(str(o.cause), o.blocked) for o in found.outside_causes] == [("HST101 on node-b", ("NET101",))]
    assert found.verdict is RunVerdict.INCONCLUSIVE
    assert report(*tls_fault()).outside_causes == ()


def test_rules_of_the_book_and_unknown_ones():
    found = report(result("NET101"), result("NET102"), book=a_book("NET101"))
    assert found.title("NET101") == "title of NET101"
    assert found.rules["NET101"].guide == "5.2"
    assert found.title("NET102") == "of 1"  # from the node id
    assert (found.rules["NET102"].why, found.stage("NET102")) == ("", "network")


def test_a_replay_is_marked_and_stays_simulated():
    data = {**run_json(), "transport": "replay", "replay_of": "20260801-120000-ab12"}
    log = [{"event": "run", "at": 1.0, "id": "new-replay"}, *events([result("NET101")])[1:]]
    found = from_run(data, log, book=EMPTY)
    assert (found.run_id, found.replay_of, found.simulated) == ("new-replay", "20260801-120000-ab12", True)
    assert "replay of 20260801-120000-ab12" in found.limits


def test_a_real_run_is_not_called_simulated():
    data = run_json()
    data["transport"] = data["inventory"]["transport"] = "ssh"
    assert not from_run(data, events([result("NET101")]), book=EMPTY).simulated


def test_a_stage_that_was_never_left_has_no_end():
    log = [*events([], end=False), {"event": "stage", "at": 9.0, "stage": "ray", "state": "begin"}]
    assert [(s.stage, s.end) for s in from_run(run_json(), log, book=EMPTY).stages][1] == ("ray", None)


def test_a_kept_run_says_so():
    log = [*events([result("NET101")]), {"event": "kept", "at": 9.0}]
    found = from_run(run_json(keep=True), log, book=EMPTY)
    assert found.keep
    assert any("left running" in n for n in found.notes)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"id": "x", "plan": {}, "inventory": {}}'])
def test_what_is_no_run_is_said_in_words(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(NotARunError, match=r"run\.json"):
        from_folder(tmp_path)


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(NotARunError, match="not a run folder"):
        from_folder(tmp_path / "nothing")
