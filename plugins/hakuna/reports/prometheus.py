# SPDX-License-Identifier: Apache-2.0
"""``hakuna.prom``: the run as metrics in Prometheus's text format, for node_exporter's textfile collector.

Labels are few: the cluster, verdicts and stages. Never a node, a device or a rule, whose number grows with the site.
"""

from __future__ import annotations

from collections.abc import Iterable

from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import RunVerdict, Verdict
from hakuna.reports.facts import Exhibits
from hakuna.reports.model import RunReport
from hakuna.reports.text import one_line

_STAGES = frozenset(s.value for s in Stage)
Sample = tuple[dict[str, str], float]


def render(report: RunReport, exhibits: Exhibits) -> str:
    """Give the metrics. What was not measured in this run is absent, never 0."""
    about = {"cluster": one_line(report.cluster, 63), "simulated": "true" if report.simulated else "false"}
    out: list[str] = []

    def gauge(name: str, words: str, samples: Iterable[Sample]) -> None:
        rows = [f"hakuna_{name}{_labels({**about, **labels})} {value:.17g}" for labels, value in samples]
        if rows:
            out.extend([f"# HELP hakuna_{name} {words}", f"# TYPE hakuna_{name} gauge", *rows])

    verdict = report.verdict
    gauge("ready", "1 if the last run's verdict is READY, else 0.", [({}, float(verdict is RunVerdict.READY))])
    gauge(
        "verdict",
        "1 for the verdict of the last run, 0 for the others.",
        [({"verdict": v.value}, float(v is verdict)) for v in RunVerdict],
    )
    gauge(
        "checks",
        "Checks of the last run by verdict.",
        [({"verdict": v.value}, report.counts.get(v, 0)) for v in Verdict],
    )
    gauge("checks_not_run", "Checks that were expected and did not run.", [({}, len(report.not_run))])
    gauge("root_causes", "Root causes of the last run.", [({}, len(report.summary.root_causes))])
    gauge("problems", "Reasons why the last run is not whole.", [({}, len(report.problems))])
    if report.started:
        gauge("run_start_time_seconds", "When the last run began.", [({}, report.started)])
        gauge("run_end_time_seconds", "When the last run's last word was written.", [({}, report.ended)])
    gauge(
        "stage_seconds",
        "How long each stage took.",
        [({"stage": s.stage}, s.seconds) for s in report.stages if s.seconds is not None and s.stage in _STAGES],
    )
    for measure in exhibits.measures:
        name, value, unit = measure.name, measure.value, measure.unit
        if unit == "ms":  # Prometheus counts in seconds
            name, value, unit = f"{name.removesuffix('_ms')}_seconds", value / 1000, "s"
        gauge(f"measured_{name}", f"Measured by the last run, in {unit}.", [({}, value)])
    return "\n".join(out) + "\n"


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
