# SPDX-License-Identifier: Apache-2.0
"""A drift that the inventory counts as FAIL is told every night, until it is put right or somebody accepts it."""

from __future__ import annotations

import json

import pytest

from hakuna import cli
from hakuna.reports import history
from support.sessions import pytest_session

NODES = [
    {"name": f"node-{n}", "address": f"node-{n}", "node_ip": f"192.0.2.{11 + i}", "device_ids": [0, 1]}
    for i, n in enumerate("ab")
]


@pytest.fixture
def night(tmp_path):
    """Gives what did not pass in one more night of one cluster: verdict of the run, and rule by verdict."""

    def hold(drift, **simulation):
        inventory = tmp_path / "prod.yaml"
        document = {"cluster": "prod", "transport": "simulated", "nodes": NODES, "drift": drift, "simulation": simulation}
        inventory.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
        session = pytest_session(tmp_path / "reports", f"--inventory={inventory}")
        checks = session.findings["checks"]
        return session.verdict, {c["rule"]: c["verdict"] for c in checks if c["verdict"] in ("FAIL", "WARN", "ERROR")}

    return hold


def test_what_fails_is_told_every_night_until_a_run_is_accepted(night, tmp_path, capsys):
    drift, changed, rule = {"changed": "fail"}, {"driver": "25.3.0"}, "HST129"
    assert night(drift) == ("READY", {})
    for _ in range(2):
        assert night(drift, **changed) == ("NOT READY", {rule: "FAIL"})
    assert cli.main(["accept", "last", "--reports", str(tmp_path / "reports")]) == 0
    last = history.entries(tmp_path / "reports" / history.NAME)[-1]
    assert (last.verdict, last.accepted, last.good) == ("NOT READY", True, True)
    assert capsys.readouterr().out == f"{last.id} (NOT READY) is a run that later ones are compared with\n"
    assert night(drift, **changed) == ("READY", {})
    assert cli.main(["history", "--reports", str(tmp_path / "reports")]) == 0
    assert "accepted" in next(x for x in capsys.readouterr().out.splitlines() if x.startswith(last.id))


def test_what_warns_is_told_once_and_what_is_put_right_no_longer(night):
    assert night({"changed": "warn"}) == ("READY", {})
    assert night({"changed": "warn"}, driver="25.3.0") == ("READY", {"HST129": "WARN"})
    assert night({"changed": "fail"}, driver="25.3.0") == ("READY", {})
    assert night({"changed": "fail"}) == ("NOT READY", {"HST129": "FAIL"})
    assert night({"changed": "fail"}, driver="25.3.0") == ("READY", {})


def test_a_figure_fails_by_the_inventorys_threshold(night):
    """Half as slow again is more than a fifth, and less than 80 per cent; one good run is too few to judge by."""
    drift = {"slower": "fail", "runs": 2}
    assert night(drift) == ("READY", {})
    assert night(drift, slower_mesh=1.01) == ("READY", {})
    assert night(drift, slower_mesh=1.5) == ("NOT READY", {"NET223": "FAIL"})
    assert night(drift, slower_mesh=1.5) == ("NOT READY", {"NET223": "FAIL"})
    assert night({**drift, "percent": 80}, slower_mesh=1.5) == ("READY", {})


def test_a_slower_run_that_is_accepted_is_what_is_usual_from_then_on(night, tmp_path):
    drift = {"slower": "fail", "runs": 2}
    assert night(drift) == night(drift) == ("READY", {})
    assert night(drift, slower_mesh=1.5) == ("NOT READY", {"NET223": "FAIL"})
    assert cli.main(["accept", "last", "--reports", str(tmp_path / "reports")]) == 0
    assert night(drift, slower_mesh=1.5) == ("READY", {})
    assert night(drift, slower_mesh=1.5) == ("READY", {})
    assert night(drift, slower_mesh=2.25) == ("NOT READY", {"NET223": "FAIL"})


@pytest.mark.parametrize("run", ["nowhere", "last"])
def test_a_run_that_is_not_there_is_not_accepted(tmp_path, capsys, run):
    assert cli.main(["accept", run, "--reports", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / history.NAME).exists()
