# SPDX-License-Identifier: Apache-2.0
"""Judges rules against a run's facts, each once, needs first.

A check is a plain function of facts, so it can be judged without a pytest item: that is how a stage knows
whether the ones below it are sound although ``-k`` left their checks out, and how every xdist worker comes to
the same causes without talking to the others.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from hakuna.judgement.findings import REACH, RESTART, Findings, SkipCheck, blocked, conclude
from hakuna.judgement.rules import BOOK, Rule
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause, CheckResult, Summary, Verdict
from hakuna.probes.reading import CONSULTED, UnparsedError, UnreadableError
from hakuna.stages import lease
from hakuna.stages.run import Run, StageBlocked, StageBroken

#: The fixture that carries each stage's facts.
FIXTURES: Mapping[str, Stage] = {
    "inventory": Stage.INVENTORY,
    "hosts": Stage.HOST,
    "network": Stage.NETWORK,
    "containers": Stage.CONTAINER,
    "rank_table": Stage.RANK_TABLE,
    "ray_cluster": Stage.RAY,
    "collective": Stage.COLLECTIVE,
    "api_server": Stage.SERVER,
    "generation": Stage.GENERATION,
    "teardown": Stage.TEARDOWN,
}


class Judge:
    """All results of one process of a run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.results: dict[str, CheckResult] = {}
        self._running: list[str] = []
        run.gate = self.gate

    def result(self, code: str) -> CheckResult:
        """The result of a rule, judged now if it was not yet."""
        if code not in self.results:
            rule = BOOK[code]
            self.results[code] = self.evaluate(rule, lambda findings: self._call(rule, findings))
        return self.results[code]

    def evaluate(self, rule: Rule, call: Callable[[Findings], None]) -> CheckResult:
        """Run one check and conclude; whatever it raises becomes part of its result."""
        findings = Findings(rule)
        token = CONSULTED.set(findings.consulted)
        begun = time.perf_counter()
        skipped = problem = ""
        try:
            call(findings)
        except SkipCheck as skip:
            skipped = str(skip)
        except StageBlocked as error:
            result = blocked(rule, error.causes, str(error))
            self.results[rule.code] = result
            return result
        except StageBroken as error:
            problem = str(error)
        except UnreadableError:
            pass  # the reading is among the consulted ones: conclude() hears of it there
        except UnparsedError as error:
            findings.unparsed(str(error))
        except AssertionError as error:
            findings.fail_plainly(str(error) or "assertion failed")
        except Exception as error:  # noqa: BLE001  # a fault of the check must become an ERROR, whatever it is
            last = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"the check itself broke: {type(error).__name__}: {error} ({last.filename}:{last.lineno})"
        finally:
            CONSULTED.reset(token)
        result = conclude(
            rule,
            findings,
            self._others(rule),
            skipped=skipped,
            problem=problem,
            seconds=time.perf_counter() - begun,
        )
        self.results[rule.code] = result
        return result

    def everything(self) -> Summary:
        """Judge every rule that the plan wants, in order, the teardown's last: a run without pytest."""
        summary = Summary()
        for rule in BOOK:
            if self.run.plan.wants(rule.stage) and self._judgeable(rule):
                summary.add(self.result(rule.code))
        return summary

    def gate(self, stage: Stage) -> tuple[Cause, ...]:
        """The causes that forbid to bring up ``stage``: every FAIL of an earlier stage's gating rules, a lost lease."""
        causes: set[Cause] = set(lease.lost(self.run.journal))
        for rule in BOOK:
            if rule.stage.order < stage.order and rule.gates and self._judgeable(rule):
                result = self.result(rule.code)
                causes.update(f.cause for f in result.findings if f.verdict is Verdict.FAIL)
        return tuple(sorted(causes))

    def _others(self, rule: Rule) -> dict[str, CheckResult]:
        if rule.code in self._running:
            return {}  # needs in a circle: judged without each other
        self._running.append(rule.code)
        try:
            wanted = [
                c
                for c in (*rule.rests_on, *rule.needs, *REACH, *RESTART)
                if c in BOOK and c != rule.code and BOOK[c].stage.order <= rule.stage.order
            ]
            return {c: self.result(c) for c in wanted if rule.code not in (*BOOK[c].needs, *BOOK[c].rests_on)}
        finally:
            self._running.pop()

    def _judgeable(self, rule: Rule) -> bool:
        return all(name == "findings" or name in FIXTURES for name in rule.arguments)

    def _call(self, rule: Rule, findings: Findings) -> None:
        if not self._judgeable(rule):
            findings.skip("it asks for fixtures of its own, so it is judged only when it is selected")
        arguments: dict[str, Any] = {
            name: findings if name == "findings" else self.run.facts(FIXTURES[name]) for name in rule.arguments
        }
        rule.function(**arguments)
