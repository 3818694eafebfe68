# SPDX-License-Identifier: Apache-2.0
"""All outputs of one run are valid for those who read them, and say the same: verdict and counts."""

from __future__ import annotations

import json
import re
import time

import jsonschema
import junitparser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hakuna import cli
from hakuna.judgement.verdict import Verdict
from hakuna.reports import ctrf, findings_json, history, page
from hakuna.reports.facts import Exhibits, gather
from hakuna.reports.model import from_folder

VERDICTS = {"green": "READY", "two_faults": "NOT READY", "killed": "INCONCLUSIVE", "big": "NOT READY"}


@pytest.fixture(params=VERDICTS)
def run(request):
    """A run's folder with all of its reports, and its verdict; of the killed one they are made afterwards."""
    folder = request.getfixturevalue(request.param)
    if request.param == "killed":
        assert cli.main(["report", str(folder)]) == 1
    return folder, VERDICTS[request.param]


def counted(words):
    found = list(words)
    return {v.value: found.count(v.value) for v in Verdict}


def test_all_outputs_are_valid_and_agree(run):
    folder, verdict = run
    findings = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(findings_json.schema()).validate(findings)
    counts = findings["counts"]
    assert findings["verdict"] == verdict
    assert counts == counted(c["verdict"] for c in findings["checks"])

    [suite] = junitparser.JUnitXml.fromfile(str(folder / "junit.xml"))
    assert {p.name: p.value for p in suite.properties()}["verdict"] == verdict
    cases = [{p.name: p.value for p in c.child(junitparser.Properties) or ()} for c in suite]
    assert counted(c.get("verdict", "") for c in cases) == counts
    passed = counts["PASS"] + counts["WARN"]
    assert (suite.tests - suite.failures - suite.errors - suite.skipped, suite.skipped) == (passed, counts["SKIP"])
    assert suite.failures == counts["FAIL"] + counts["BLOCKED"]

    document = json.loads((folder / "ctrf.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(ctrf.schema()).validate(document)
    about = document["results"]["environment"]["extra"]
    assert (about["verdict"], about["counts"]) == (verdict, counts)
    assert document["results"]["summary"]["passed"] == passed

    families = text_string_to_metric_families((folder / "hakuna.prom").read_text(encoding="utf-8"))
    samples = {(s.name, s.labels.get("verdict")): s.value for f in families for s in f.samples}
    assert [v for (name, v), value in samples.items() if name == "hakuna_verdict" and value] == [verdict]
    assert {v: int(value) for (name, v), value in samples.items() if name == "hakuna_checks"} == counts
    assert samples["hakuna_ready", None] == (verdict == "READY")

    summary = (folder / "summary.md").read_text(encoding="utf-8")
    heading, values = re.search(
        r"^\| ((?:[A-Z]+ \| )*[A-Z]+) \|\n\|[ :|-]+\n\| ([\d |]+) \|$", summary, re.MULTILINE
    ).groups()
    assert re.match(rf"## \S+ {verdict}\b", summary)
    assert dict(zip(heading.split(" | "), map(int, values.split(" | ")), strict=True)) == {
        k: n for k, n in counts.items() if n
    }

    text = (folder / "report.html").read_text(encoding="utf-8")
    assert f"<h1>{verdict}</h1>" in text
    assert {v: int(n) for v, n in re.findall(r'<li class="([A-Z]+)"><b>(\d+)</b>', text)} == {
        k: n for k, n in counts.items() if n
    }


def test_the_history_agrees_too(green, two_faults, big):
    for folder in (green, two_faults, big):
        findings = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
        [entry] = history.entries(folder.parent / history.NAME)
        assert (entry.id, entry.verdict) == (folder.name, findings["verdict"])
        assert counted(c.verdict for c in entry.checks.values()) == findings["counts"]


def test_64_x_8_is_rendered_within_its_budget(big):
    """Under 5 MB and in under 2 s. Reading the evidence is held to what reading its JSON costs: machines are busy."""
    begun = time.process_time()
    for path in (big / "evidence" / "network.mesh").glob("*.jsonl"):
        assert all(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    floor = time.process_time() - begun
    report = from_folder(big)
    begun = time.process_time()
    exhibits = gather(report)
    assert time.process_time() - begun < 20 * floor
    page.render(report, Exhibits())  # what is loaded once is no part of it
    begun = time.process_time()
    text = page.render(report, exhibits)
    assert time.process_time() - begun < 2
    assert len(text.encode()) < 5_000_000
