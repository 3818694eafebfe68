# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from report_samples import a_book, events, result, tls_fault, write_run

import hakuna.suites
from hakuna import cli
from support.rank_tables import GUIDE

MOCK = Path(__file__).resolve().parents[2] / "inventory" / "mock.yaml"


@pytest.fixture(autouse=True)
def book(monkeypatch):
    known = a_book("NET204", "NET101", "HST101", "RAY101", "COL101", "GEN101")
    monkeypatch.setattr(hakuna.suites, "load_rules", lambda: known)
    return known


def test_report_of_a_killed_run(tmp_path, capsys):
    folder = write_run(tmp_path / "run", events(tls_fault(), end=False))
    assert cli.main(["report", str(folder)]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("NOT READY")
    assert "cut short" in shown
    assert "\x1b" not in shown
    assert json.loads((folder / "findings.json").read_text())["run"]["cut_short"] is True
    assert (folder / "junit.xml").is_file()


def test_report_of_a_green_run_exits_0(tmp_path, capsys):
    folder = write_run(tmp_path / "run", events([result("NET101")]))
    assert cli.main(["report", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("READY (1 of 6 checks)")


def test_report_of_no_run(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hakuna: ")
    assert "not a run folder" in error
    assert error.count("\n") == 1


def test_explain_and_its_mistakes(capsys):
    assert cli.main(["explain", "net204"]) == 0
    assert capsys.readouterr().out.startswith("NET204  title of NET204\n")
    assert cli.main(["explain", "NET205"]) == 2
    assert "there is no rule NET205 (near it: NET204" in capsys.readouterr().err


def test_rules(capsys):
    assert cli.main(["rules"]) == 0
    assert "  NET204  title of NET204" in capsys.readouterr().out
    assert cli.main(["rules", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("# Rules\n")


def test_rank_table_is_written_whole_or_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["rank-table", "--inventory", str(MOCK), "-o", "table.json"]) == 0
    table = json.loads((tmp_path / "table.json").read_text())
    assert [s["server_id"] for s in table["server_list"]] == ["192.0.2.11", "192.0.2.12"]
    assert [d["rank_id"] for s in table["server_list"] for d in s["device"]] == [str(n) for n in range(16)]
    assert cli.main(["rank-table", "--inventory", str(MOCK)]) == 0
    assert json.loads(capsys.readouterr().out) == table


def test_no_rank_table_without_every_address(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inventory = tmp_path / "faulty.yaml"
    faults = "simulation:\n  faults: [no-device-ip@node-b/3]\n"
    inventory.write_text(MOCK.read_text(encoding="utf-8") + faults, encoding="utf-8")
    assert cli.main(["rank-table", "--inventory", str(inventory), "-o", "table.json"]) == 2
    error = capsys.readouterr().err
    assert "node-b/3" in error
    assert "Traceback" not in error
    assert not (tmp_path / "table.json").exists()


def test_a_wrong_output_folder_is_said_before_any_node_is_asked(tmp_path, capsys):
    assert cli.main(["rank-table", "--inventory", str(MOCK), "-o", str(tmp_path / "no" / "t.json")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_the_guides_own_table_is_told_with_all_that_is_wrong(tmp_path, capsys):
    inventory = tmp_path / "old.yaml"
    version = 'server:\n  lmdeploy_version: "0.14.0"\n'
    inventory.write_text(MOCK.read_text(encoding="utf-8") + version, encoding="utf-8")
    table = tmp_path / "rank_table.json"
    table.write_text(GUIDE, encoding="utf-8")
    assert cli.main(["rank-table", "--inventory", str(inventory), "--check", str(table)]) == 1
    told = capsys.readouterr().out
    for words in (":7: ", "192.0.2.11", "Master address does not match rank table", ":24: ", "192.0.2.12", "16"):
        assert words in told, told
    assert "3 faults by the rules of LMDeploy 0.14.0 and HCCL, tp=16" in told
    good = tmp_path / "good.json"
    assert cli.main(["rank-table", "--inventory", str(inventory), "-o", str(good)]) == 0
    assert cli.main(["rank-table", "--inventory", str(inventory), "--check", str(good)]) == 0
    broken = tmp_path / "broken.json"
    broken.write_text(GUIDE[:200], encoding="utf-8")
    assert cli.main(["rank-table", "--inventory", str(inventory), "--check", str(broken)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_down_with_nothing_to_take_down(tmp_path, capsys):
    assert cli.main(["down", "--inventory", str(MOCK), "--reports", str(tmp_path)]) == 0
    assert "nothing of an earlier run is left" in capsys.readouterr().out


def test_down_looks_at_the_nodes_and_not_only_into_a_folder(tmp_path, capsys, monkeypatch):
    """A run that was kept is held by a lease on the nodes; its folder may be anywhere."""
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "kept"
    words = [f"--inventory={MOCK}", f"--reports={kept}", "--until=container", "--keep", "-q"]
    assert subprocess.run([sys.executable, "-m", "pytest", *words], check=False, stdout=subprocess.DEVNULL).returncode == 0
    (run,) = (path.name for path in kept.iterdir() if (path / "journal.jsonl").exists())
    shutil.copytree(kept / ".simulated", tmp_path / "other" / ".simulated")  # the same cluster, seen from elsewhere
    assert cli.main(["down", "--inventory", str(MOCK), "--reports", str(tmp_path / "other")]) == 1
    said = capsys.readouterr().out
    assert f"/{run}, whose folder is not in" in said
    assert "--reports DIR" in said
    assert cli.main(["down", "--inventory", str(MOCK), "--reports", str(kept)]) == 0
    assert capsys.readouterr().out == f"{run}: taken down\n"


@pytest.mark.parametrize("command", ["down", "rank-table"])
def test_a_missing_inventory_is_a_sentence(tmp_path, capsys, command):
    assert cli.main([command, "--inventory", str(tmp_path / "no.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"hakuna: {tmp_path / 'no.yaml'}")
    assert "Traceback" not in error


def test_arguments_that_are_wrong_exit_2(capsys):
    for wrong in ([], ["dance"], ["down"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(wrong)
        assert caught.value.code == 2
    assert "usage: hakuna" in capsys.readouterr().err


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(hakuna.suites, "load_rules", stop)
    assert cli.main(["rules"]) == 130
    assert capsys.readouterr().err == "hakuna: interrupted\n"
