# SPDX-License-Identifier: Apache-2.0
"""CTRF, Prometheus and Markdown: each read by a consumer, and all agreeing with ``findings.json``."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families
from report_samples import HOSTILE, a_book, events, finding, report, result, run_json, tls_fault, unparsed

from hakuna.judgement.rules import RuleBook
from hakuna.judgement.verdict import Cause, Verdict
from hakuna.reports import ctrf, findings_json, junit, markdown, page, prometheus, terminal, writer
from hakuna.reports.facts import Exhibits, Measure
from hakuna.reports.grouping import Group
from hakuna.reports.model import from_run
from hakuna.where import Where


def every_verdict():
    return report(
        *tls_fault(),
        unparsed(),
        result("HST102", finding("HST102", Where("node-a"), Verdict.ERROR, message="no evidence")),
        result("HST103", finding("HST103", Where("node-a"), Verdict.WARN, message="nearly full")),
        result("HST104", verdict=Verdict.SKIP, reason="not here"),
    )


def killed():
    return from_run(run_json(), events([result("NET101")], end=False), book=a_book("NET101", "SRV101"))


def hostile():
    words = {
        "message": HOSTILE,
        "expected": HOSTILE,
        "observed": HOSTILE + "\n| x |\n``` \n",
        "fix": f"a\n```\n{HOSTILE}",
    }
    bad = finding("NET204", Where("node-b", 3), evidence=(HOSTILE,), **words)
    other = finding("RAY101", Where.cluster(), Verdict.BLOCKED, causes=(Cause("NET999", Where("x")),), **words)
    return report(
        result("NET204", bad), result("RAY101", other), result("HST101", verdict=Verdict.SKIP, reason=HOSTILE)
    )


RUNS = [every_verdict, killed, hostile, lambda: report(result("NET101")), lambda: report(book=RuleBook())]
NAMES = ["every verdict", "killed", "hostile", "green", "empty"]


@pytest.fixture(params=RUNS, ids=NAMES)
def run(request):
    return request.param()


def samples(text):
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def test_all_outputs_agree_with_findings_json(run):
    findings = findings_json.as_json(run)
    found = samples(prometheus.render(run, Exhibits()))
    about = (("cluster", "demo"), ("simulated", "true"))
    for verdict, count in findings["counts"].items():
        assert found["hakuna_checks", (*about, ("verdict", verdict))] == count
    told = {dict(labels)["verdict"] for (name, labels), v in found.items() if name == "hakuna_verdict" and v == 1}
    assert told == {findings["verdict"]}
    assert found["hakuna_ready", about] == (findings["verdict"] == "READY")

    document = json.loads(ctrf.render(run))
    extra = document["results"]["environment"]["extra"]
    assert (extra["verdict"], extra["counts"]) == (findings["verdict"], findings["counts"])
    raw = [t["rawStatus"] for t in document["results"]["tests"]]
    assert {v: raw.count(v) for v in findings["counts"]} == findings["counts"]

    summary = markdown.render(run)
    assert re.match(r"## \S+ " + findings["verdict"] + r"( \(|\n)", summary)
    heads = re.findall(r"^\| ([A-Z |]+) \|$", summary, re.MULTILINE)
    numbers = re.findall(r"^\| ([\d |]+) \|$", summary, re.MULTILINE)
    table = dict(zip(heads[0].split(" | "), map(int, numbers[0].split(" | ")), strict=True)) if heads else {}
    assert table == {v: n for v, n in findings["counts"].items() if n}

    assert f'name="verdict" value="{findings["verdict"]}"' in junit.render(run)


def test_ctrf_follows_its_schema_and_its_sums(run):
    document = json.loads(ctrf.render(run))
    jsonschema.Draft202012Validator.check_schema(ctrf.schema())
    jsonschema.validate(document, ctrf.schema(), cls=jsonschema.Draft202012Validator)
    summary = document["results"]["summary"]
    tests = document["results"]["tests"]
    assert (
        summary["tests"] == len(tests) == sum(summary[s] for s in ("passed", "failed", "skipped", "pending", "other"))
    )
    assert summary["start"] <= summary["stop"]


def test_only_green_is_passed_in_ctrf():
    status = {t["rawStatus"]: t["status"] for t in json.loads(ctrf.render(every_verdict()))["results"]["tests"]}
    assert {raw for raw, word in status.items() if word == "passed"} == {"PASS", "WARN"}
    assert status["BLOCKED"] == status["FAIL"] == "failed"
    assert status["UNPARSED"] == status["ERROR"] == "other"
    assert status["SKIP"] == "skipped"


def test_a_run_that_is_not_whole_is_not_all_passed_in_ctrf():
    for run in (killed(), report(book=RuleBook())):
        summary = json.loads(ctrf.render(run))["results"]["summary"]
        assert summary["other"] > 0


def test_what_was_not_measured_is_no_metric():
    measured = Exhibits(measures=(Measure("first_token_seconds", 0.25, "s"),))
    assert samples(prometheus.render(every_verdict(), measured))[
        "hakuna_measured_first_token_seconds", (("cluster", "demo"), ("simulated", "true"))
    ] == pytest.approx(0.25)
    assert "measured" not in prometheus.render(every_verdict(), Exhibits())


def test_metrics_are_in_base_units():
    """What promtool check metrics asks for."""
    measured = Exhibits(measures=(Measure("ping_median_ms", 70.0, "ms"),))
    text = prometheus.render(every_verdict(), measured)
    assert not re.search(r"^hakuna_\w+_(?:ms|gb|mb|kb)\b", text, re.MULTILINE)
    found = {name: value for (name, _), value in samples(text).items()}
    assert found["hakuna_measured_ping_median_seconds"] == pytest.approx(0.07)


def test_labels_are_few_whatever_the_size():
    text = prometheus.render(every_verdict(), Exhibits())
    labels = {name for f in text_string_to_metric_families(text) for s in f.samples for name in s.labels}
    assert labels == {"cluster", "simulated", "verdict", "stage"}
    assert "node-" not in text


def test_hostile_words_are_no_markdown():
    text = markdown.render(hostile())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    outside = re.sub(r"^(`{3,})text$.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    plain = re.sub(r"`[^`\n]*`", "", outside)
    assert "<b>" not in plain
    assert plain.count("|") == plain.replace("\\|", "").count("|")
    fences = re.findall(r"^`{3,}", text, re.MULTILINE)
    assert fences == ["````", "```", "````"]


def test_the_summary_is_appended_to_the_job_page(tmp_path, monkeypatch):
    page = tmp_path / "step.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    folder = tmp_path / "reports" / "run"
    folder.mkdir(parents=True)
    run = every_verdict()
    assert writer.publish(run, folder) == []
    assert page.read_text() == f"before\n{(folder / 'summary.md').read_text()}\n"
    assert samples((folder / "hakuna.prom").read_text())
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_a_job_page_that_cannot_be_written_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "step.md"))
    folder = tmp_path / "reports" / "run"
    folder.mkdir(parents=True)
    [said] = writer.publish(every_verdict(), folder)
    assert "job page" in said
    assert (folder / "report.html").is_file()


def test_all_reports_say_in_the_same_words_how_much_a_cause_explains():
    run = report(*tls_fault(), book=a_book("NET204"))
    sentence = "3 checks BLOCKED by NET204 on node-b/3"
    assert findings_json.as_json(run)["root_causes"][0]["explains"] == sentence
    assert sentence in re.sub(r"\\", "", markdown.render(run))
    assert f"{sentence}: RAY101" in terminal.render(run, width=100, color=False)
    assert f"<summary>{sentence}</summary>" in page.render(run, Exhibits())


def test_a_cause_at_many_places_names_the_first_of_them():
    places = [Where("node-b", d) for d in range(8)]
    group = Group("NET204", Verdict.FAIL, tuple(finding("NET204", p) for p in places), ("RAY101",))
    assert group.explains == "1 check BLOCKED by NET204 on node-b/0, node-b/1, node-b/2 and 5 more places"
