# SPDX-License-Identifier: Apache-2.0
"""One acceptance session: pytest's hooks around a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hakuna.judgement.findings import Findings, SkipCheck, blocked
from hakuna.judgement.rules import Rule, rule_of
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import CheckResult, RunVerdict, Summary, Verdict
from hakuna.plugin import fixtures
from hakuna.plugin.interruption import Interruption
from hakuna.plugin.opening import is_simulated, join_run, notify_command, open_run, whole_inventory
from hakuna.plugin.progress import Progress
from hakuna.reports.model import RunReport, from_folder
from hakuna.reports.notify import NotifyError, tell
from hakuna.reports.terminal import header, render
from hakuna.reports.writer import publish
from hakuna.stages import lease
from hakuna.stages.judge import Judge
from hakuna.stages.lease import Renewal
from hakuna.stages.run import Mode, Run, StageBlocked, StageBroken
from hakuna.suites import load_rules, suites_folder

_LETTERS = {
    Verdict.PASS: ("passed", ".", "PASS", {"green": True}),
    Verdict.WARN: ("warned", "w", "WARN", {"yellow": True}),
    Verdict.SKIP: ("skipped", "s", "SKIP", {"yellow": True}),
    Verdict.BLOCKED: ("blocked", "B", "BLOCKED", {"purple": True}),
    Verdict.UNPARSED: ("unparsed", "U", "UNPARSED", {"purple": True}),
    Verdict.ERROR: ("inconclusive", "E", "ERROR", {"red": True}),
    Verdict.FAIL: ("failed", "F", "FAIL", {"red": True}),
}


def begin(config: pytest.Config) -> None:
    """Open the run, or join it as an xdist worker, and register its hooks and fixtures."""
    load_rules()
    if config.getoption("collectonly"):
        session: Acceptance | None = None
        config.hakuna_run = None  # type: ignore[attr-defined]  # only --collect-only has no run
    else:
        worker = getattr(config, "workerinput", {})
        if worker.get("hakuna_run"):
            session = Acceptance(
                config, join_run(config, Path(worker["hakuna_run"]), worker["hakuna_inventory"]), "worker"
            )
        else:
            session = Acceptance(config, open_run(config), "controller")
        config.hakuna_run = session.run  # type: ignore[attr-defined]
        config.pluginmanager.register(session, "hakuna-acceptance")
    config.pluginmanager.register(fixtures, "hakuna-fixtures")
    if config.args_source is pytest.Config.ArgsSource.INVOCATION_DIR:
        config.args = [str(suites_folder())]  # `pytest --inventory=...` anywhere runs the suites that come along


class Acceptance:
    """The hooks of one process of a run; the controller is also the only process without xdist."""

    def __init__(self, config: pytest.Config, run: Run, role: str) -> None:
        self.config = config
        self.run = run
        self.role = role
        self.judge = Judge(run)
        self.summary = Summary()
        self.finished = False
        self.interrupted = ""
        self.teardown_wanted: list[str] = []
        self.progress = Progress(config, run, own_work=role == "controller")
        self.interruption = Interruption(self.progress.say, run.inventory.thresholds.teardown)
        self.renewal = Renewal(run)
        run.progress = self.progress.say
        run.waiting = self.progress.wait
        if role == "controller":
            self.interruption.install()
            if run.live and run.plan.mode is Mode.FULL:
                self.renewal.start()

    # -- before ---------------------------------------------------------------------------------------------------

    def pytest_report_header(self) -> list[str]:
        return header(self.run)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker which run to join."""
        node.workerinput["hakuna_run"] = str(self.run.folder)
        node.workerinput["hakuna_inventory"] = whole_inventory(self.run)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Hear from an xdist worker which checks of the teardown were selected."""
        del error
        output = getattr(node, "workeroutput", {})
        self.teardown_wanted += [c for c in output.get("hakuna_teardown", ()) if c not in self.teardown_wanted]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Mark every check with its stage, leave out what the mode does not want, and put the stages in order."""
        kept: list[pytest.Item] = []
        left: list[pytest.Item] = []
        for item in items:
            rule = rule_of(getattr(item, "function", None))
            if rule is None:
                kept.append(item)
                continue
            item.add_marker(pytest.mark.stage(rule.stage.value))
            for mark in rule.marks:
                item.add_marker(mark)
            item.user_properties += [("rule", rule.code), ("stage", rule.stage.value)]
            disruptive = self.run.plan.mode is Mode.ATTACH and item.get_closest_marker("disruptive")
            (kept if self.run.plan.wants(rule.stage) and not disruptive else left).append(item)
        kept.sort(key=_order)
        if left:
            config.hook.pytest_deselected(items=left)
        items[:] = kept

    @pytest.hookimpl(tryfirst=True)  # before xdist tells the controller what there is
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write down what was selected. Under xdist the teardown's checks are left to the controller."""
        codes = [rule.code for i in session.items if (rule := rule_of(getattr(i, "function", None)))]
        if codes:
            self.run.journal.write("selected", rules=codes)
        if self.role != "worker":
            return
        last = [i for i in session.items if _stage(i) is Stage.TEARDOWN]
        session.items[:] = [i for i in session.items if i not in last]
        codes = [rule.code for i in last if (rule := rule_of(getattr(i, "function", None)))]
        self.config.workeroutput["hakuna_teardown"] = codes  # type: ignore[attr-defined]  # xdist's own channel

    # -- checks ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if _stage(item) is Stage.TEARDOWN:
            self.interruption.end()  # what ends the run is not interrupted
        if item.get_closest_marker("hardware") and is_simulated(self.run):
            pytest.skip("needs real NPUs; this cluster is simulated")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report: pytest.TestReport = yield
        rule = rule_of(getattr(item, "function", None))
        if rule is None and call.excinfo is not None:
            _without_our_frames(report, item, call.excinfo.value)
        if rule is None or not (call.when == "call" or (call.when == "setup" and call.excinfo is not None)):
            return report
        result = self._result(rule, item, call, report)
        report.when = "call"
        apply_result(report, rule, self._redacted(result))
        return report

    def _result(
        self, rule: Rule, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> CheckResult:
        error = call.excinfo.value if call.excinfo is not None else None
        if isinstance(error, StageBlocked):
            return blocked(rule, error.causes, str(error))
        if report.outcome == "skipped":
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(error)
            return CheckResult(rule.code, Verdict.SKIP, reason=reason.removeprefix("Skipped: "))
        record: Findings = getattr(item, "hakuna_findings", None) or Findings(rule)

        def replay(findings: Findings) -> None:
            findings.raw, findings.notes, findings.consulted = record.raw, record.notes, record.consulted
            if error is not None:
                raise error

        return self.judge.evaluate(rule, replay)

    def _redacted(self, result: CheckResult) -> CheckResult:
        """The result without secrets: an expected value may be one of the inventory's."""
        text = self.run.store.redactor.text(json.dumps(result.as_json(), ensure_ascii=False))
        return CheckResult.from_json(json.loads(text))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        data = getattr(report, "hakuna", None)
        if data is None or report.when != "call":
            return None
        category, letter, word, markup = _LETTERS[Verdict(data["verdict"])]
        return category, letter, (word, markup)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, "hakuna", None)
        if data is None or self.role == "worker":
            return
        result = CheckResult.from_json(data)
        self.summary.add(result)
        self.run.journal.write("check", result=result.as_json(), nodeid=report.nodeid)
        self.config.hook.pytest_hakuna_check(config=self.config, result=result)

    # -- after ----------------------------------------------------------------------------------------------------

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.interruption.end()
        self.interrupted = str(excinfo.value) or "Ctrl-C"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Take down, judge what is left of the checks of the teardown, and write the reports."""
        if self.role == "worker" or self.finished:
            return
        self.finished = True
        self.interruption.end()
        try:
            self.progress.stop()
            self.renewal.stop()
            self._take_down()
            self.run.journal.write("end", verdict=self.summary.verdict.value, interrupted=self.interrupted)
            report = from_folder(self.run.folder)
            for complaint in publish(report, self.run.folder):
                self.run.journal.write("note", text=complaint)
            self._hand_on(report)
            self.run.transport.close()
        finally:
            self.interruption.remove()
        if report.verdict is not RunVerdict.READY and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED  # zero checks judged, or only skips: never green

    def _hand_on(self, report: RunReport) -> None:
        """Let a site's command and plugins have the finished reports; what they break is told and costs nothing."""
        command = notify_command(self.config)
        try:
            if command and not report.replay_of:
                tell(command, report, self.run.folder)
        except NotifyError as error:
            self.run.journal.write("note", text=f"nobody was notified: {error}")
        try:
            self.config.hook.pytest_hakuna_report(config=self.config, report=report, folder=self.run.folder)
        except Exception as error:  # noqa: BLE001  # code of others: the run's own reports are already written
            self.run.journal.write("note", text=f"pytest_hakuna_report failed: {type(error).__name__}: {error}")

    def _take_down(self) -> None:
        """Take down, then report the teardown's checks: those that were selected, and any other that is not green."""
        plan = self.run.plan
        if self.run.live and plan.mode is Mode.FULL:
            if plan.keep:
                lease.renew(self.run, keep=True)  # before it counts as kept: until then it is a run that may die
                self.run.journal.write("kept")
                return
            self.run.facts(Stage.TEARDOWN)
        wanted = [c for c in self.teardown_wanted if c not in self.summary.results]
        for code in wanted:
            self._report(code)
        if self.run.journal.last("intend") is None:
            return
        for rule in load_rules().of(Stage.TEARDOWN):
            if rule.code not in self.summary.results and not self._is_fine(rule.code):
                self._report(rule.code)

    def _is_fine(self, code: str) -> bool:
        verdict = self.judge.result(code).verdict
        return verdict.green or verdict is Verdict.SKIP

    def _report(self, code: str) -> None:
        """Judge a check outside of an item and report it as pytest would."""
        rule = load_rules()[code]
        result = self.judge.result(code)
        path, line = rule.place
        nodeid = f"{path.parent.name}/{path.name}::{rule.function.__name__}"
        report = pytest.TestReport(
            nodeid=nodeid,
            location=(nodeid.partition("::")[0], line, rule.function.__name__),
            keywords={},
            outcome="passed",
            longrepr=None,
            when="call",
            user_properties=[("rule", rule.code), ("stage", rule.stage.value)],
            duration=result.seconds,
        )
        apply_result(report, rule, self._redacted(result))
        self.config.hook.pytest_runtest_logreport(report=report)
        if report.failed and (session := self.config.pluginmanager.get_plugin("session")) is not None:
            session.testsfailed += 1
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.role == "worker" or not self.finished:
            return
        writer = terminalreporter._tw  # noqa: SLF001  # pytest offers its width and colours nowhere else
        text = render(from_folder(self.run.folder), width=writer.fullwidth, color=writer.hasmarkup)
        terminalreporter.ensure_newline()
        terminalreporter.write_sep("=", "hakuna")
        terminalreporter.write(text if text.endswith("\n") else text + "\n")


def apply_result(report: pytest.TestReport, rule: Rule, result: CheckResult) -> None:
    """Make a pytest report say what a check's result says. Whatever is not green or skipped is ``failed``."""
    report.hakuna = result.as_json()  # type: ignore[attr-defined]  # travels with the report through xdist
    report.user_properties = [*report.user_properties, ("verdict", result.verdict.value)]
    report.sections = []
    if result.verdict.green:
        report.outcome, report.longrepr = "passed", None
    elif result.verdict is Verdict.SKIP:
        path, line = rule.place
        report.outcome, report.longrepr = "skipped", (str(path), line, f"Skipped: {result.reason}")
    else:
        report.outcome, report.longrepr = "failed", words(rule, result)


def _without_our_frames(report: pytest.TestReport, item: pytest.Item, error: BaseException) -> None:
    """A site's plain test for which a stage has no facts: it shows why, and none of our own frames."""
    if isinstance(error, SkipCheck):
        report.outcome, report.longrepr = "skipped", (str(item.path), (item.location[1] or 0) + 1, f"Skipped: {error}")
    elif isinstance(error, (StageBlocked, StageBroken)):
        report.longrepr = str(error)


def words(rule: Rule, result: CheckResult) -> str:
    """A result in a few lines, for pytest's own failure section and JUnit."""
    lines = [f"{result.verdict.value} {rule.code}: {rule.title}"]
    for finding in result.findings:
        said = ", ".join(
            part
            for part in (
                finding.message,
                finding.expected and f"expected {finding.expected}",
                finding.observed and f"observed {finding.observed}",
            )
            if part
        )
        by = f" by {', '.join(map(str, finding.causes))}" if finding.causes else ""
        lines.append(f"  {finding.verdict.value}{by} {finding.where}: {said}")
        lines += [f"    fix: {line}" for line in finding.fix.splitlines()]
    return "\n".join(lines)


def _stage(item: pytest.Item) -> Stage | None:
    rule = rule_of(getattr(item, "function", None))
    return rule.stage if rule else None


def _order(item: pytest.Item) -> int:
    rule = rule_of(getattr(item, "function", None))
    return rule.stage.order if rule else Stage.TEARDOWN.order - 1
