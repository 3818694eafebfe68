# SPDX-License-Identifier: Apache-2.0
"""``findings.json``: everything that a program may want to know of a run, in a form that is versioned."""

from __future__ import annotations

import importlib.resources
import json
import re
from dataclasses import asdict
from typing import Any

from hakuna import __version__
from hakuna.judgement.verdict import RunVerdict, Verdict
from hakuna.reports.grouping import blocked_by
from hakuna.reports.model import RunReport

#: Raised when a field goes away or changes its meaning; new fields do not raise it.
SCHEMA_VERSION = 1
_EXIT_WORDS = {
    RunVerdict.READY: "exit status 0: all that was asked for was judged, and nothing is wrong",
    RunVerdict.NOT_READY: "exit status not 0: at least one check failed",
    RunVerdict.INCONCLUSIVE: "exit status not 0: nothing failed, but not everything could be judged",
}
#: Characters that a terminal may obey or that UTF-8 cannot hold; written as JSON escapes, so that nothing is lost.
_UNSAFE = re.compile("[\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ud800-\\udfff]")


def render(report: RunReport) -> str:
    """Give the run as JSON text after :func:`schema`."""
    text = json.dumps(as_json(report), indent=1, ensure_ascii=False) + "\n"
    return _UNSAFE.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def schema() -> dict[str, Any]:
    """Read the JSON schema of ``findings.json`` that comes with the package."""
    text = importlib.resources.files("hakuna.reports").joinpath("findings.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def as_json(report: RunReport) -> dict[str, Any]:
    """Give the run as plain data. Times are seconds since the epoch, durations seconds."""
    summary = report.summary
    return {
        "schema_version": SCHEMA_VERSION,
        "hakuna": __version__,
        "verdict": report.verdict.value,
        "exit_words": _EXIT_WORDS[report.verdict],
        "problems": list(report.problems),
        "limits": list(report.limits),
        "counts": {v.value: report.counts.get(v, 0) for v in Verdict},
        "run": {
            "id": report.run_id,
            "cluster": report.cluster,
            "inventory": report.inventory_name,
            "nodes": [{"name": name, "devices": devices} for name, devices in report.nodes],
            "transport": report.transport,
            "simulated": report.simulated,
            **report.plan.as_json(),
            "started": report.started,
            "ended": report.ended,
            "seconds": round(report.seconds, 3),
            "replay_of": report.replay_of,
            "interrupted": report.interrupted,
            "cut_short": report.cut_short,
        },
        "root_causes": [
            {
                **c.finding.as_json(),
                "blocks": list(c.blocked),
                "explains": blocked_by(len(c.blocked), c.finding.cause),
            }
            for c in summary.root_causes
        ],
        "outside_causes": [
            {"rule": o.cause.rule, "where": str(o.cause.where), "blocks": list(o.blocked)}
            for o in report.outside_causes
        ],
        "unjudged": [f.as_json() for f in summary.unjudged],
        "warnings": [f.as_json() for f in report.warnings],
        "checks": [
            {"title": report.title(r.rule), "stage": report.stage(r.rule), **r.as_json()} for r in report.results
        ],
        "not_run": list(report.not_run),
        "left_out": list(report.left_out),
        "rules": {code: {**asdict(info), "needs": list(info.needs)} for code, info in report.rules.items()},
        "stages": [asdict(s) for s in report.stages],
        "notes": list(report.notes),
    }
