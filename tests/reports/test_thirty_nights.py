# SPDX-License-Identifier: Apache-2.0
"""Thirty nights of one small cluster, each a whole simulated run: a driver update, a latency that creeps, a dead device.

Driven in process: what a session does besides (collecting, the terminal) is no part of the story.
"""

from __future__ import annotations

import json
import os
import re
import time

import pytest
from cluster import new_run, shaped, with_faults

from hakuna import cli
from hakuna.judgement.rules import BOOK
from hakuna.judgement.verdict import CheckResult, Verdict
from hakuna.plugin.opening import remembered
from hakuna.reports import history
from hakuna.reports.facts import gather
from hakuna.reports.model import from_folder
from hakuna.reports.writer import publish
from hakuna.stages.judge import Judge
from hakuna.stages.run import Run, save_run

DAY = 86_400.0
UPDATE, CREEP, DEAD, LAST = 12, 14, 25, 30
SHOWN = (UPDATE, UPDATE + 1, DEAD, LAST)


def conditions(night: int):
    """The cluster as it is in that night."""
    faults = ("npu-unhealthy@node-b/1",) if night == DEAD else ()
    slower = 1.06 ** max(0, night - CREEP)
    driver = "25.3.0" if night >= UPDATE else "25.2.0"
    return with_faults(
        *faults, inventory=shaped(2, 2, cluster="prod", simulation__driver=driver, simulation__slower_mesh=slower)
    )


def hold(reports, night: int) -> None:
    """One night: what a session does, and the journal's times put where the night belongs."""
    inventory = conditions(night)
    run = new_run(reports, inventory, name=f"night-{night:02d}")
    save_run(run, past=remembered(run, reports).as_json())
    summary = Judge(run).everything()
    checks = []
    for code, result in summary.results.items():
        if "hardware" in BOOK[code].marks:  # as a session does: a simulated cluster has no speed of its own
            result = CheckResult(code, Verdict.SKIP, reason="needs real NPUs")  # noqa: PLW2901  # what it came to
        checks.append({"event": "check", "at": time.time(), "result": result.as_json(), "nodeid": f"suites::{code}"})
    with run.journal.path.open("a", encoding="utf-8") as file:  # one by one, each would wait for its lock
        file.writelines(json.dumps(c) + "\n" for c in checks)
    run.journal.write("end", verdict=summary.verdict.value, interrupted="")
    run.transport.close()
    events = [json.loads(line) for line in run.journal.path.read_text().splitlines()]
    moved = [{**e, "at": e["at"] + (night - LAST) * DAY} for e in events]
    run.journal.path.write_text("".join(json.dumps(e) + "\n" for e in moved))
    report = from_folder(run.folder)
    if night in SHOWN:
        for said in publish(report, run.folder):
            run.journal.write("note", text=said)
    else:  # a night like any other: its page is made by nobody
        assert history.remember(reports / history.NAME, history.entry_of(report, gather(report))) == []


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    reports = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:  # no night waits for a disk, or for a model that loads at once
        patch.setattr(os, "fsync", lambda _number: None)
        patch.setattr(Run, "pause", lambda _run, _seconds: time.sleep(0.02))
        for night in range(1, LAST + 1):
            hold(reports, night)
    return reports


@pytest.fixture(scope="module")
def told(nights):
    """What was not PASS or SKIP in each night: rule, verdict, place and what changed."""
    found = {}
    for night in range(1, LAST + 1):
        report = from_folder(nights / f"night-{night:02d}")
        found[night] = [
            (f.rule, f.verdict, str(f.where), f.message.partition(" ")[0], f.expected, f.observed)
            for f in report.summary.findings
            if f.verdict is not Verdict.BLOCKED
        ]
    return found


def test_the_driver_update_is_told_in_its_night_only(told):
    in_night = [row for row in told[UPDATE] if row[0] == "HST129"]
    assert in_night == [
        ("HST129", Verdict.WARN, f"node-{n}", what, "25.2.0", "25.3.0") for what in ("driver", "npu-smi") for n in "ab"
    ]
    assert [night for night, rows in told.items() if any(r[0] == "HST129" for r in rows)] == [UPDATE]


def test_the_latency_is_told_before_it_doubles_and_until_the_end(told):
    warned = [night for night, rows in told.items() if any(r[0] == "NET223" for r in rows)]
    assert warned[0] > CREEP
    assert 1.06 ** (warned[0] - CREEP) < 2
    assert warned == [n for n in range(warned[0], LAST + 1)]
    assert {(r[1], r[2]) for rows in told.values() for r in rows if r[0] == "NET223"} == {(Verdict.WARN, "cluster")}


def test_the_device_is_told_in_its_night_only_and_nothing_else_ever_is(told):
    failed = {night: [(r[0], r[2]) for r in rows if r[1] is Verdict.FAIL] for night, rows in told.items()}
    assert {night: rows for night, rows in failed.items() if rows} == {DEAD: [("HST115", "node-b/1")]}
    assert {r[0] for rows in told.values() for r in rows} == {"HST129", "NET223", "HST115"}


def test_history_and_diff_say_so(nights, capsys):
    where = ["--reports", str(nights)]
    assert cli.main(["history", *where]) == 0
    text = capsys.readouterr().out
    rows = {int(m[1]): line for line in text.splitlines() if (m := re.match(r"night-(\d+)", line))}
    assert [n for n, line in rows.items() if "NOT READY" in line] == [DEAD]
    assert "HST115" in rows[DEAD]
    assert [n for n, line in rows.items() if "HST129" in line] == [UPDATE]
    latency = next(line for line in text.splitlines() if line.startswith("ping_median_ms"))
    bars = re.search("[▁-█·]{30}", latency)[0]
    assert bars[: CREEP - 1] == "▁" * (CREEP - 1)
    assert list(bars) == sorted(bars)
    assert bars[-1] == "█"
    assert cli.main(["diff", "night-11", "night-12", *where]) == 0
    text = capsys.readouterr().out
    assert "driver of node-a, node-b: 25.2.0 -> 25.3.0" in text
    assert "HST115" not in text
    assert cli.main(["diff", "good", "night-25", *where]) == 0
    text = capsys.readouterr().out
    assert text.startswith("night-24 READY -> night-25 NOT READY")
    assert "HST115: PASS -> FAIL on node-b/1" in text
    assert "driver" not in text


def test_the_pages_say_so(nights):
    def since(night):
        text = (nights / f"night-{night:02d}" / "report.html").read_text(encoding="utf-8")
        return text[text.index('<section id="since"') :].partition("</section>")[0]

    assert "driver of node-a, node-b" in since(UPDATE)
    assert "driver" not in since(UPDATE + 1)
    assert "HST115" in since(DEAD)
    assert "ping_median_ms" in since(LAST)
    assert "ping_median_ms" not in since(UPDATE)


def test_the_last_page_shows_every_night(nights):
    text = (nights / f"night-{LAST}" / "report.html").read_text(encoding="utf-8")
    strip = re.search(r'<svg class="nights".*?</svg>', text)[0]
    assert "".join(re.findall(r'<rect class="(\w)"', strip)) == "r" * (DEAD - 1) + "f" + "r" * (LAST - DEAD)
    line = next(m for m in re.findall(r'<svg class="trend"[^>]*aria-label="([^"]*)"', text) if "ping_median_ms" in m)
    values = [float(v) for v in line.partition(": ")[2].split(", ")]
    assert len(values) == LAST
    assert values == sorted(values)
    assert values[-1] / values[0] > 2


def test_the_history_holds_what_the_checks_saw(nights):
    """Two ways lead to a fact: the reports' own and the checks'. They must not part."""
    last = history.entries(nights / history.NAME)[-1]
    run = json.loads((nights / last.id / "run.json").read_text())
    assert run["past"]["run"] == "night-29"
    assert set(run["past"]["facts"]) >= {"driver", "image", "model config", "kernel", "device IP", "ray", "torch"}
    assert last.checks["HST129"].verdict == last.checks["CTR312"].verdict == last.checks["NET212"].verdict == "PASS"
