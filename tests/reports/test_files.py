# SPDX-License-Identifier: Apache-2.0
"""junit.xml and findings.json, read back by other people's libraries."""

from __future__ import annotations

import json

import jsonschema
import junitparser
import pytest
from report_samples import (
    HOSTILE,
    A,
    a_book,
    eight_devices,
    events,
    finding,
    report,
    result,
    run_json,
    tls_fault,
    unparsed,
)

from hakuna.judgement.rules import RuleBook
from hakuna.judgement.verdict import Cause, Verdict
from hakuna.reports import findings_json, junit, writer
from hakuna.reports.model import from_run
from hakuna.where import Where


def everything():
    hostile = finding(
        "HST105", A, message=HOSTILE, expected=HOSTILE, observed=HOSTILE, fix=HOSTILE, evidence=(HOSTILE,)
    )
    return report(
        *tls_fault(),
        unparsed(),
        result("HST105", hostile, notes=(HOSTILE,)),
        result("HST110", finding("HST110", A, Verdict.ERROR, message="no answer")),
        result("HST120", finding("HST120", A, Verdict.WARN, message="clock is off"), notes=("measured twice",)),
        result("GEN401", verdict=Verdict.SKIP, reason="needs real NPUs"),
        result("CTR101", finding("CTR101", A, Verdict.BLOCKED, causes=(Cause("INV101", Where.cluster()),))),
        book=a_book("NET204", "NET101"),
    )


RUNS = {
    "green": lambda: report(result("NET101")),
    "tls": lambda: report(*tls_fault()),
    "devices": lambda: report(eight_devices()),
    "everything": everything,
    "nothing": report,
    "killed": lambda: from_run(run_json(), events(tls_fault(), end=False), book=a_book("SRV101")),
}


@pytest.fixture(params=RUNS)
def found(request):
    return RUNS[request.param]()


def parsed(found, tmp_path):
    path = writer.write_whole(tmp_path / "junit.xml", junit.render(found))
    (suite,) = junitparser.JUnitXml.fromfile(str(path))
    return suite


def test_findings_match_their_schema(found):
    schema = findings_json.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    data = json.loads(findings_json.render(found))
    jsonschema.Draft202012Validator(schema).validate(data)


def test_the_schema_names_every_field_that_is_written():
    """So that a field cannot be added or lost unnoticed."""
    schema = findings_json.schema()
    data = findings_json.as_json(everything())
    assert set(data) == set(schema["properties"])
    assert set(data["run"]) == set(schema["properties"]["run"]["properties"])
    assert set(data["checks"][0]) == set(schema["properties"]["checks"]["items"]["properties"])
    assert set(data["root_causes"][0]) - {"blocks", "explains"} == set(schema["$defs"]["finding"]["properties"])
    assert set(data["rules"]["NET204"]) == set(schema["properties"]["rules"]["additionalProperties"]["properties"])
    assert set(data["stages"][0]) == set(schema["properties"]["stages"]["items"]["properties"])


def test_the_schema_refuses_what_is_wrong():
    data = findings_json.as_json(report(result("NET101")))
    validator = jsonschema.Draft202012Validator(findings_json.schema())
    for broken in ({**data, "verdict": "FINE"}, {k: v for k, v in data.items() if k != "checks"}):
        assert not validator.is_valid(broken)


def test_findings_say_what_the_run_was():
    data = findings_json.as_json(report(*tls_fault()))
    assert (data["schema_version"], data["verdict"]) == (1, "NOT READY")
    assert data["exit_words"].startswith("exit status not 0")
    assert data["counts"]["BLOCKED"] == 3
    assert data["run"]["simulated"] is True
    (cause,) = data["root_causes"]
    assert (cause["rule"], cause["where"], cause["fix"]) == ("NET204", "node-b/3", "hccn_tool -i 3 -tls -s enable 1")
    assert cause["blocks"] == ["COL101", "GEN101", "RAY101"]


def test_findings_keep_hostile_text_whole_but_escaped():
    text = findings_json.render(report(result("HST105", finding("HST105", A, message=HOSTILE))))
    assert json.loads(text)["root_causes"][0]["message"] == HOSTILE
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    assert not {"\x9b", "\u202e", "\ud800"} & set(text)


def test_junit_is_read_and_counted(found, tmp_path):
    suite = parsed(found, tmp_path)
    cases = list(suite)
    assert suite.tests == len(cases)
    for kind, count in (
        (junitparser.Failure, suite.failures),
        (junitparser.Error, suite.errors),
        (junitparser.Skipped, suite.skipped),
    ):
        assert sum(isinstance(r, kind) for c in cases for r in c.result) == count
    green = [c for c in cases if not c.result]
    assert len(green) == found.counts.get(Verdict.PASS, 0) + found.counts.get(Verdict.WARN, 0)
    about = {p.name: p.value for p in suite.properties()}
    assert about["run"] == found.run_id
    assert (about["cluster"], about["simulated"], about["verdict"]) == ("demo", "true", found.verdict.value)


def test_junit_says_each_verdict_in_its_own_way(tmp_path):
    cases = {c.name.split()[0]: c for c in parsed(everything(), tmp_path)}

    def outcome(code):
        (one,) = cases[code].result
        return type(one).__name__, one.type

    assert outcome("NET204") == ("Failure", "FAIL")
    assert outcome("RAY101") == ("Failure", "BLOCKED")
    assert outcome("NET203") == ("Error", "UNPARSED")
    assert outcome("HST110") == ("Error", "ERROR")
    assert outcome("GEN401") == ("Skipped", "SKIP")
    assert cases["GEN401"].result[0].message == "needs real NPUs"
    assert cases["HST120"].result == []
    assert "clock is off" in cases["HST120"].system_out
    assert "note: measured twice" in cases["HST120"].system_out
    assert cases["NET204"].classname == "hakuna.network"
    assert cases["NET204"].name == "NET204 title of NET204"
    assert "hccn_tool -i 3 -tls -s enable 1" in cases["NET204"].result[0].text
    assert "BLOCKED by NET204 on node-b/3" in cases["RAY101"].result[0].message
    properties = [(p.name, p.value) for p in cases["RAY101"].child(junitparser.Properties)]
    assert ("rule", "RAY101") in properties
    assert ("blocked_by", "NET204 on node-b/3") in properties


def test_junit_of_a_run_that_is_not_whole_is_never_all_green(tmp_path):
    killed = from_run(run_json(), events([result("NET101")], end=False), book=a_book("NET101", "SRV101"))
    cases = {c.name: c for c in parsed(killed, tmp_path)}
    assert cases["NET101 title of NET101"].result == []
    assert cases["SRV101 title of SRV101"].result[0].type == "NOT RUN"
    assert "cut short" in cases["the run is whole"].result[0].text
    empty = from_run(run_json(), events([]), book=RuleBook())
    assert [c.result[0].message for c in parsed(empty, tmp_path)] == ["no check ran"]


def test_all_files_are_written_whole(found, tmp_path):
    paths = writer.write_all(found, tmp_path)
    names = ["findings.json", "junit.xml", "ctrf.json", "hakuna.prom", "summary.md", "report.html"]
    assert [p.name for p in paths] == names
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    assert json.loads(paths[0].read_text(encoding="utf-8"))["verdict"] == found.verdict.value


def test_what_was_there_stays_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "findings.json"
    path.write_text("old")

    def refuse(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(type(path), "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        writer.write_whole(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["findings.json"]
    assert path.read_text() == "old"
