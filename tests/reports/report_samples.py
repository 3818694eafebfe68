# SPDX-License-Identifier: Apache-2.0
"""Hand-made runs: results, journals and run.json as a run writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hakuna.judgement.rules import Rule, RuleBook
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause, CheckResult, Finding, Summary, Verdict
from hakuna.reports.model import RunReport, from_run
from hakuna.where import Where

A, B = Where("node-a"), Where("node-b")
B3 = Where("node-b", 3)
TLS = Cause("NET204", B3)
HOSTILE = "bad\x1b[2J\x1b]0;owned\x07 [bold red]not markup[/] <b>&\x00\x08\x9b31m \u202eevil \ud800 ]]> end"


def finding(code: str, where: Where, verdict: Verdict = Verdict.FAIL, **words: Any) -> Finding:
    return Finding(code, where, verdict, **words)


def result(code: str, *findings: Finding, verdict: Verdict | None = None, **words: Any) -> CheckResult:
    if verdict is None:
        verdict = findings[0].verdict if findings else Verdict.PASS
    return CheckResult(code, verdict, findings, read_count=words.pop("read_count", 16), seconds=0.25, **words)


def tls_fix(device: int) -> str:
    return f"hccn_tool -i {device} -tls -s enable 1"


def tls_fault() -> list[CheckResult]:
    """One device with the other TLS switch, and what comes of it."""
    bad = finding(
        "NET204",
        B3,
        expected="on",
        observed="off",
        message="TLS is off here and on elsewhere",
        fix=tls_fix(3),
        evidence=("network/node-b/hccn.tls/3",),
    )
    blocked = [
        result(code, finding(code, Where.cluster(), Verdict.BLOCKED, message="was not entered", causes=(TLS,)))
        for code in ("RAY101", "COL101", "GEN101")
    ]
    return [*blocked, result("NET204", bad), result("NET101"), result("HST101")]


def eight_devices() -> CheckResult:
    return result(
        "NET204",
        *(
            finding("NET204", Where("node-b", i), expected="on", observed="off", fix=tls_fix(i))
            for i in reversed(range(8))
        ),
    )


def unparsed() -> CheckResult:
    words = finding(
        "NET203", B3, Verdict.UNPARSED, message="no parser knows it", observed="Zustand: gut (exit status 0)"
    )
    return result("NET203", words)


def run_json(**plan: Any) -> dict[str, Any]:
    return {
        "id": "20260801-120000-ab12",
        "inventory_name": "mock.yaml",
        "plan": {"mode": "full", "keep": False, "until": "teardown", "mesh": "auto", "fan_out": "auto", "wait": 0.0, **plan},
        "holder": {"host": "elsewhere", "pid": 1, "start": 1, "boot_id": "x", "user": "op"},
        "transport": "simulated",
        "inventory": {
            "cluster": "demo",
            "transport": "simulated",
            "nodes": [{"name": n, "device_ids": list(range(8))} for n in ("node-a", "node-b")],
        },
    }


def events(results: Iterable[CheckResult], *, end: bool = True, interrupted: str = "") -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = [{"event": "run", "id": "20260801-120000-ab12"}]
    log += [
        {"event": "note", "text": "cleaned up after run 20260731-220000-ffff"},
        {"event": "progress", "text": "network ..."},
        {"event": "stage", "stage": "network", "state": "begin"},
        {"event": "stage", "stage": "network", "state": "end", "seconds": 1.25},
    ]
    summary = Summary()
    for number, one in enumerate(results):
        summary.add(one)
        log.append({"event": "check", "result": one.as_json(), "nodeid": f"suites/test_x.py::test_of_{number}"})
    if end:
        log.append({"event": "end", "verdict": summary.verdict.value, "interrupted": interrupted})
    return [{"at": 1_785_000_000.0 + i, "pid": 7, **e} for i, e in enumerate(log)]


def report(*results: CheckResult, book: RuleBook | None = None, **plan: Any) -> RunReport:
    log = events(results)
    return from_run(run_json(**plan), log, folder="reports/run", book=book if book is not None else RuleBook())


def write_run(folder: Path, log: Iterable[dict[str, Any]], **plan: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run_json(**plan)), encoding="utf-8")
    text = "".join(json.dumps(e) + "\n" for e in log)
    (folder / "journal.jsonl").write_text(text, encoding="utf-8")
    return folder


def check_of_the_book() -> None:
    """Stand-in for a check's function."""


def a_rule(code: str, **words: Any) -> Rule:
    defaults: dict[str, Any] = {
        "title": f"title of {code}",
        "why": "HCCL hangs when two devices disagree about <TLS>.",
        "judged": "Judged on `hccn_tool -i N -tls -g` of every device; the minority is blamed.",
        "fix": "hccn_tool -i {device_id} -tls -s enable {majority}\nthen run the check again",
        "source": "",
        "guide": "5.2",
        "needs": (),
        "gates": True,
    }
    return Rule(code=code, stage=Stage.of_code(code), function=check_of_the_book, **{**defaults, **words})


def a_book(*codes: str) -> RuleBook:
    book = RuleBook()
    for code in codes:
        rule = a_rule(code)
        book._rules[code] = rule  # several rules of one function: only here
    return book
