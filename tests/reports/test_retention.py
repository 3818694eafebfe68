# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from report_samples import events, result, run_json, write_run

from hakuna import cli
from hakuna.reports import history
from hakuna.reports.history import Entry
from hakuna.stages.holder import Holder


def held(reports, name, at, log=None, **changes):
    """A run's folder that began at that time."""
    folder = write_run(reports / name, [{**e, "at": at} for e in (log or events([result("NET101")]))])
    data = {**run_json(), "id": name, **changes}
    (folder / "run.json").write_text(json.dumps(data))
    return folder


@pytest.fixture
def reports(tmp_path):
    for number in range(6):
        held(tmp_path, f"run-{number}", 1000.0 + number)
    history.remember(tmp_path / history.NAME, Entry("run-1", "demo", started=1001.0, verdict="READY", whole=True))
    return tmp_path


def left(reports):
    return sorted(p.parent.name for p in reports.glob("*/run.json"))


def test_the_newest_and_the_last_good_one_stay(reports, capsys):
    assert cli.main(["prune", "--reports", str(reports), "--keep", "2", "--dry-run"]) == 0
    assert len(left(reports)) == 6
    assert cli.main(["prune", "--reports", str(reports), "--keep", "2"]) == 0
    assert left(reports) == ["run-1", "run-4", "run-5"]
    assert "it is the last good run" in capsys.readouterr().out
    assert [p for p in reports.iterdir() if p.name.startswith(".going")] == []


def test_what_may_still_be_needed_stays(reports, capsys):
    left_over = [{"event": "run"}, {"event": "intend", "kind": "container", "node": "node-a", "name": "x", "inside": False}]
    ended = [*left_over, {"event": "end", "verdict": "READY", "interrupted": ""}]
    held(reports, "left-over", 1.0, ended)
    held(reports, "alive", 2.0, left_over[:1], holder=Holder.me().as_json())
    (reports / "odd").mkdir()
    (reports / "odd" / "run.json").write_text("[")
    assert cli.main(["prune", "--reports", str(reports), "--keep", "1"]) == 0
    assert left(reports) == ["alive", "left-over", "odd", "run-1", "run-5"]
    shown = capsys.readouterr().out
    assert "hakuna down" in shown
    assert "still be going on" in shown
    assert "cannot be read" in shown


def test_each_cluster_has_its_own(reports):
    other = run_json()
    held(reports, "other", 1.0, inventory={**other["inventory"], "cluster": "other"})
    assert cli.main(["prune", "--reports", str(reports), "--keep", "1"]) == 0
    assert left(reports) == ["other", "run-1", "run-5"]
    assert cli.main(["prune", "--reports", str(reports), "--keep", "0"]) == 2
