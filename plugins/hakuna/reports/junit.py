# SPDX-License-Identifier: Apache-2.0
"""JUnit XML for CI servers: one test case per check, and nothing green that was not judged green."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from hakuna.judgement.verdict import CheckResult, Finding, Verdict
from hakuna.reports.model import RunReport
from hakuna.reports.text import for_xml

_PLACES = 50  # places in a test case's properties; all of them are in findings.json


def render(report: RunReport) -> str:
    """Give the run as one test suite.

    FAIL and BLOCKED become ``failure`` (type FAIL or BLOCKED), UNPARSED and ERROR ``error``, SKIP ``skipped`` with
    its reason; WARN passes with its text in ``system-out``. A check that was expected and did not run is an
    ``error``, and so is every reason why the run as a whole is not READY.
    """
    suite = ET.Element("testsuite", name="hakuna")
    _properties(suite, _about(report))
    for result in report.results:
        _check(suite, report, result)
    for code in report.not_run:
        case = _case(suite, report.stage(code), f"{code} {report.title(code)}".rstrip(), 0.0)
        _outcome(case, "error", "NOT RUN", "this check was expected and did not run", "")
    problems = report.problems or (() if report.counts else ("no check ran",))
    if problems:
        case = _case(suite, "run", "the run is whole", 0.0)
        _outcome(case, "error", "INCONCLUSIVE", problems[0], "\n".join(problems))
    root = ET.Element("testsuites", name="hakuna")
    totals = {
        "tests": len(suite.findall("testcase")),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    for element in (root, suite):
        for name, count in totals.items():
            element.set(name, str(count))
        element.set("time", f"{report.seconds:.3f}")
    suite.set("timestamp", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(report.started)))
    root.append(suite)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _about(report: RunReport) -> list[tuple[str, str]]:
    return [
        ("run", report.run_id),
        ("cluster", report.cluster),
        ("inventory", report.inventory_name),
        ("transport", report.transport),
        ("simulated", "true" if report.simulated else "false"),
        ("mode", report.mode),
        ("verdict", report.verdict.value),
        *(("limit", limit) for limit in report.limits),
        *(("replay_of", name) for name in (report.replay_of,) if name),
    ]


def _check(suite: ET.Element, report: RunReport, result: CheckResult) -> None:
    code = result.rule
    case = _case(suite, report.stage(code), f"{code} {report.title(code)}".rstrip(), result.seconds)
    places = list(dict.fromkeys(str(f.where) for f in result.findings))
    causes = dict.fromkeys(str(c) for f in result.findings for c in f.causes)
    _properties(
        case,
        [
            ("rule", code),
            ("verdict", result.verdict.value),
            ("facts_read", str(result.read_count)),
            *(("where", place) for place in places[:_PLACES]),
            *((("places", str(len(places))),) if len(places) > _PLACES else ()),
            *(("blocked_by", cause) for cause in causes),
        ],
    )
    text = "\n".join(_words(f) for f in result.findings)
    own = next((f for f in result.findings if f.verdict is result.verdict), None)
    message = _short(own) if own else result.reason or result.verdict.value
    if result.verdict in (Verdict.FAIL, Verdict.BLOCKED):
        _outcome(case, "failure", result.verdict.value, message, text)
    elif result.verdict in (Verdict.UNPARSED, Verdict.ERROR):
        _outcome(case, "error", result.verdict.value, message, text)
    elif result.verdict is Verdict.SKIP:
        _outcome(case, "skipped", result.verdict.value, result.reason or "no reason given", "")
    out = [text] if result.verdict is Verdict.WARN else []
    out += [f"note: {note}" for note in result.notes]
    if out:
        ET.SubElement(case, "system-out").text = for_xml("\n".join(out))


def _case(suite: ET.Element, stage: str, name: str, seconds: float) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", classname=f"hakuna.{stage or 'other'}", name=for_xml(name), time=f"{seconds:.3f}"
    )


def _properties(element: ET.Element, pairs: Iterable[tuple[str, str]]) -> None:
    parent = ET.SubElement(element, "properties")
    for name, value in pairs:
        ET.SubElement(parent, "property", name=name, value=for_xml(value))


def _outcome(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, type=kind, message=for_xml(message))
    element.text = for_xml(text)


def _short(finding: Finding) -> str:
    by = f" by {', '.join(map(str, finding.causes))}" if finding.causes else ""
    said = ", ".join(
        part
        for part in (
            finding.message,
            finding.expected and f"expected {finding.expected}",
            finding.observed and f"observed {finding.observed}",
        )
        if part
    )
    return f"{finding.verdict.value}{by} on {finding.where}: {said}" if said else f"{finding.where}{by}"


def _words(finding: Finding) -> str:
    fix = [f"  fix: {line}" for line in finding.fix.splitlines()]
    evidence = [f"  evidence: {source}" for source in finding.evidence]
    return "\n".join([_short(finding), *fix, *evidence])
