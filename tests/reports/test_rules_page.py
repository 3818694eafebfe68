# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest
from report_samples import a_book, a_rule

from hakuna.judgement.rules import RuleBook
from hakuna.judgement.stage import Stage
from hakuna.reports.rules_page import explain, listing, markdown, proven_by
from hakuna.simulator.catalogue import CATALOGUE, VARIANTS
from hakuna.suites import load_rules

#: Codes from here on are for sites, but for the teardown, whose own codes these are.
SITE = 900
OWN = [r for r in load_rules() if r.stage is Stage.TEARDOWN or int(r.code[3:]) < SITE]
PAGE = markdown(load_rules())
#: A thread (PROJECT #N), a file of a project's, a manual's page, a release.
REAL = re.compile(r"#\d+|[\w/-]+\.(?:md|py|c|cc)\b|reference|docs|guide|ssh\(1\)|FaultDiag|tt-metal|\d\.\d+\.\d|:")


def test_explain_says_why_how_and_what_to_do():
    text = explain(a_rule("NET204", needs=("NET101", "HST101"), source="HCCL's own documentation, EI0016"))
    lines = text.splitlines()
    assert lines[0] == "NET204  title of NET204"
    assert "stage network, reports/report_samples.py:" in lines[1]
    assert "HCCL hangs when two devices disagree about <TLS>." in lines
    assert "  hccn_tool -i {device_id} -tls -s enable {majority}" in lines
    assert "  then run the check again" in lines
    assert "Blocked by a failure at the same place of: NET101, HST101" in lines
    assert "Guide: section 5.2" in lines
    assert "Source: HCCL's own documentation, EI0016" in lines
    assert max(map(len, lines)) <= 100


def test_explain_does_not_fold_a_fix():
    command = "x " * 100 + "end"
    assert f"  {command}" in explain(a_rule("NET204", fix=command)).splitlines()


def test_a_rule_that_does_not_gate_does_not_say_so():
    assert "keeps later stages" in explain(a_rule("NET204"))
    assert "keeps later stages" not in explain(a_rule("NET204", gates=False))


def test_the_listing_is_by_stage_and_counts():
    lines = listing(a_book("RAY101", "NET204", "NET101")).splitlines()
    assert lines[:6] == [
        "network (2 rules)",
        "  NET101  title of NET101",
        "  NET204  title of NET204",
        "",
        "ray (1 rule)",
        "  RAY101  title of RAY101",
    ]
    assert lines[-1].startswith("3 rules;")
    assert listing(RuleBook()).startswith("0 rules;")


def test_markdown_has_a_section_for_every_rule():
    book = a_book("NET204", "RNK101")
    book._rules["CTR101"] = a_rule("CTR101", needs=("NET204",), source="docker's manual")
    text = markdown(book)
    assert "- [Rank table](#rank-table): 1 rule" in text
    assert "## Rank table" in text
    for code in ("NET204", "RNK101", "CTR101"):
        assert f"### {code} title of {code}" in text
        assert f'<a id="{code.lower()}"></a>' in text
    assert "- Needs: [NET204](#net204)" in text
    assert "- Source: docker's manual" in text
    assert "- Guide: section 5.2" in text
    assert "```text\nhccn_tool -i {device_id} -tls -s enable {majority}\nthen run the check again\n```" in text
    assert "&lt;TLS>" in text
    assert "`hccn_tool -i N -tls -g`" in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize("rule", OWN, ids=lambda r: r.code)
def test_a_rule_says_why_how_what_to_do_on_what_it_rests_and_what_proves_it(rule):
    for part in (rule.why, rule.judged, rule.fix, rule.source):
        assert part.strip()
    assert proven_by(rule)
    page, whole = explain(rule), PAGE
    assert f"Source: {rule.source.split()[0]}" in page
    assert "Proven by the simulated faults: " in page
    section = whole.split(f'<a id="{rule.code.lower()}"></a>')[1].split("<a id=")[0]
    assert all(f"`{name}`" in section for name in proven_by(rule))
    assert "- Source: " in section


@pytest.mark.parametrize("what", [*OWN, *CATALOGUE.values(), *VARIANTS.values()], ids=lambda w: getattr(w, "code", "") or w.name)
def test_a_source_is_one_that_a_reader_can_look_up(what):
    assert REAL.search(what.source) or re.match(r"guide \d", what.source), what.source
    assert not re.search(r"\b(?:facts|anchors|sample)\b", what.source), what.source


def test_a_rule_without_a_fault_says_nothing_of_proof():
    assert "Proven" not in explain(a_rule("NET950"))
