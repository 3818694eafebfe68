# SPDX-License-Identifier: Apache-2.0
"""``ctrf.json``: the run in the Common Test Report Format (ctrf.io), for dashboards that read it.

CTRF knows passed, failed, skipped, pending and other. FAIL and BLOCKED are ``failed``; UNPARSED, ERROR and a check
that did not run are ``other``; only PASS and WARN are ``passed``. ``rawStatus`` keeps the word.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

from hakuna import __version__
from hakuna.judgement.verdict import CheckResult, Verdict
from hakuna.reports.model import RunReport
from hakuna.reports.text import clean, one_line

SPEC = "0.0.0"
STATUS: Mapping[Verdict, str] = {
    Verdict.PASS: "passed",
    Verdict.WARN: "passed",
    Verdict.SKIP: "skipped",
    Verdict.BLOCKED: "failed",
    Verdict.UNPARSED: "other",
    Verdict.ERROR: "other",
    Verdict.FAIL: "failed",
}
_STATES = ("passed", "failed", "pending", "skipped", "other")
_FINDINGS = 20


def schema() -> dict[str, Any]:
    """Read the JSON schema of what is written here: CTRF's own fields, closed to anything else."""
    text = importlib.resources.files("hakuna.reports").joinpath("ctrf.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def render(report: RunReport) -> str:
    """Give the run as CTRF JSON. Times are milliseconds, as CTRF has them."""
    tests = [_test(report, result) for result in report.results]
    tests += [
        {
            "name": f"{code} {report.title(code)}".rstrip(),
            "status": "other",
            "duration": 0,
            "rawStatus": "NOT RUN",
            "message": "this check was expected and did not run",
            "suite": [report.stage(code) or "other"],
        }
        for code in report.not_run
    ]
    problems = report.problems or (() if report.counts else ("no check ran",))
    if problems:
        said = one_line("; ".join(problems), 2000)
        whole = {"name": "the run is whole", "status": "other", "duration": 0, "rawStatus": "INCONCLUSIVE"}
        tests.append({**whole, "message": said, "suite": ["run"]})
    statuses = [str(t["status"]) for t in tests]
    document = {
        "reportFormat": "CTRF",
        "specVersion": SPEC,
        "generatedBy": f"hakuna {__version__}",
        "results": {
            "tool": {"name": "hakuna", "version": __version__},
            "summary": {
                "tests": len(tests),
                **{state: statuses.count(state) for state in _STATES},
                "start": int(report.started * 1000),
                "stop": int(report.ended * 1000),
            },
            "tests": tests,
            "environment": {
                "reportName": one_line(report.run_id, 200),
                "testEnvironment": one_line(report.cluster, 200),
                "extra": {
                    "verdict": report.verdict.value,
                    "counts": {v.value: report.counts.get(v, 0) for v in Verdict},
                    "simulated": report.simulated,
                    "mode": report.mode,
                    "limits": [one_line(limit) for limit in report.limits],
                },
            },
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def _test(report: RunReport, result: CheckResult) -> dict[str, Any]:
    test: dict[str, Any] = {
        "name": f"{result.rule} {report.title(result.rule)}".rstrip(),
        "status": STATUS[result.verdict],
        "duration": round(result.seconds * 1000),
        "rawStatus": result.verdict.value,
        "suite": [report.stage(result.rule) or "other"],
        "tags": [result.rule],
    }
    words = [result.reason] if result.reason else []
    for finding in result.findings[:_FINDINGS]:
        by = f" by {', '.join(map(str, finding.causes))}" if finding.causes else ""
        told = (
            finding.message,
            finding.expected and f"expected {finding.expected}",
            finding.observed and f"observed {finding.observed}",
        )
        words.append(f"{finding.verdict.value}{by} on {finding.where}: {', '.join(t for t in told if t)}".rstrip(": "))
    if len(result.findings) > _FINDINGS:
        words.append(f"and {len(result.findings) - _FINDINGS} more: see findings.json")
    if words:
        test["message"] = one_line("; ".join(words), 4000)
    fixes = dict.fromkeys(f.fix for f in result.findings[:_FINDINGS] if f.fix)
    if fixes:
        test["trace"] = clean("fix: " + "\n".join(fixes))
    return test
