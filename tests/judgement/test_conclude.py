# SPDX-License-Identifier: Apache-2.0
"""From what a check reported and read to its verdict: blocked-by, unreadable facts, no evidence."""

from __future__ import annotations

import pytest

from hakuna.judgement.findings import Findings, blocked, conclude
from hakuna.judgement.rules import Rule, RuleBook, rule
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause, CheckResult, Finding, RunVerdict, Summary, Verdict
from hakuna.probes.reading import Reading, ReadingState
from hakuna.where import Where

NODE, DEVICE, OTHER = Where("b"), Where("b", 3), Where("a", 0)


def make(code="NET299", needs=("NET207",)):
    def test_something(findings):
        """Why."""

    return Rule(
        code, Stage.of_code(code), "something", "Why.", "Judged so.", "do {node} {device_id} {expected}", "", "",
        needs, True, test_something,
    )  # fmt: skip


def failed(code, where):
    return CheckResult(code, Verdict.FAIL, (Finding(code, where, Verdict.FAIL),))


def reading(state, where=DEVICE):
    return Reading(where, state, 1 if state is ReadingState.READ else None, "detail", "network/b/x")


def read_something(findings):
    findings.consulted.add(reading(ReadingState.READ))
    return findings


def test_facts_read_and_nothing_reported_is_a_pass():
    assert conclude(make(), read_something(Findings(make())), {}).verdict is Verdict.PASS


def test_no_fact_read_is_never_a_pass():
    result = conclude(make(), Findings(make()), {})
    assert result.verdict is Verdict.ERROR
    assert "no evidence" in result.findings[0].message


def test_a_failure_keeps_its_place_its_words_and_its_evidence():
    findings = read_something(Findings(make()))
    findings.fail(DEVICE, expected=True, observed="off")
    (finding,) = conclude(make(), findings, {}).findings
    assert (finding.expected, finding.observed) == ("on", "off")
    assert finding.fix == "do b 3 on"
    assert finding.evidence == ("network/b/x",)


def test_braces_that_nobody_fills_stay():
    findings = Findings(make())
    findings.fail(DEVICE, fix="docker ps --format {{json}} {name}", name="x")
    assert findings.raw[0].fix == "docker ps --format {{json}} x"


@pytest.mark.parametrize("place", [DEVICE, NODE, Where.cluster()])
def test_a_failure_under_a_failed_need_is_blocked_by_it(place):
    findings = read_something(Findings(make()))
    findings.fail(Where.pair(OTHER, DEVICE))
    result = conclude(make(), findings, {"NET207": failed("NET207", place)})
    assert result.verdict is Verdict.BLOCKED
    assert result.findings[0].causes == (Cause("NET207", place),)


def test_a_failure_elsewhere_stays_a_failure():
    findings = read_something(Findings(make()))
    findings.fail(OTHER)
    assert conclude(make(), findings, {"NET207": failed("NET207", DEVICE)}).verdict is Verdict.FAIL


def test_causes_are_passed_on_transitively():
    root = Cause("HST101", NODE)
    middle = CheckResult("NET207", Verdict.BLOCKED, (Finding("NET207", DEVICE, Verdict.BLOCKED, causes=(root,)),))
    findings = read_something(Findings(make()))
    findings.fail(DEVICE)
    assert conclude(make(), findings, {"NET207": middle}).findings[0].causes == (root,)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (ReadingState.UNPARSED, Verdict.UNPARSED),
        (ReadingState.FAILED, Verdict.ERROR),
        (ReadingState.LOST, Verdict.ERROR),
    ],
)
def test_what_could_not_be_read_is_not_green(state, verdict):
    findings = read_something(Findings(make()))
    findings.consulted.add(reading(state, OTHER))
    result = conclude(make(), findings, {})
    assert result.verdict is verdict
    assert result.findings[0].where == OTHER


def test_what_could_not_be_read_because_its_node_is_dead_is_blocked():
    findings = read_something(Findings(make()))
    findings.consulted.add(reading(ReadingState.LOST))
    result = conclude(make(), findings, {"HST101": failed("HST101", NODE)})
    assert result.verdict is Verdict.BLOCKED


def test_a_skip_and_a_broken_check():
    assert conclude(make(), Findings(make()), {}, skipped="why").verdict is Verdict.SKIP
    assert conclude(make(), read_something(Findings(make())), {}, problem="boom").verdict is Verdict.ERROR


def test_results_survive_json():
    findings = read_something(Findings(make()))
    findings.fail(Where.pair(OTHER, DEVICE), expected=1, observed=[2, 3])
    findings.note("n")
    result = conclude(make(), findings, {"NET207": failed("NET207", NODE)})
    assert CheckResult.from_json(result.as_json()) == result


# --- the run's verdict --------------------------------------------------------------------------------------------


def summary(*verdicts):
    found = Summary()
    for number, verdict in enumerate(verdicts):
        found.add(CheckResult(f"NET{number:03d}", verdict))
    return found


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), RunVerdict.INCONCLUSIVE),
        ((Verdict.SKIP, Verdict.SKIP), RunVerdict.INCONCLUSIVE),
        ((Verdict.PASS, Verdict.SKIP, Verdict.WARN), RunVerdict.READY),
        ((Verdict.PASS, Verdict.BLOCKED), RunVerdict.INCONCLUSIVE),
        ((Verdict.PASS, Verdict.UNPARSED), RunVerdict.INCONCLUSIVE),
        ((Verdict.PASS, Verdict.ERROR), RunVerdict.INCONCLUSIVE),
        ((Verdict.ERROR, Verdict.FAIL), RunVerdict.NOT_READY),
    ],
)
def test_nothing_but_pass_and_warn_makes_a_run_ready(verdicts, expected):
    assert summary(*verdicts).verdict is expected


def test_root_causes_come_in_order_of_what_they_explain():
    found = Summary()
    found.add(failed("NET204", DEVICE))
    found.add(failed("HST101", NODE))
    for code in ("NET205", "NET206"):
        found.add(blocked(make(code), [Cause("HST101", NODE)], "r"))
    found.add(blocked(make("NET208"), [Cause("NET204", DEVICE)], "r"))
    assert [(r.finding.rule, r.blocked) for r in found.root_causes] == [
        ("HST101", ("NET205", "NET206")),
        ("NET204", ("NET208",)),
    ]


# --- rules --------------------------------------------------------------------------------------------------------


def test_a_rule_without_a_page_is_refused():
    with pytest.raises(ValueError, match="'judged'"):

        @rule("NET298")
        def test_x(findings):
            """Why.

            Fix: this
            """


def test_a_code_names_its_stage_and_is_used_once():
    with pytest.raises(ValueError, match="not a rule code"):
        Stage.of_code("XYZ123")
    book = RuleBook()
    book.add(make("NET250"))
    book.add(make("NET250"))
    other = make("NET250")

    def test_elsewhere(findings): ...

    with pytest.raises(ValueError, match="used twice"):
        book.add(Rule(**{**vars(other), "function": test_elsewhere}))
