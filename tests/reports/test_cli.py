# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from report_samples import a_book, events, result, tls_fault, write_run

import hakuna.suites
from hakuna import cli


class BadInventoryError(Exception):
    pass


@pytest.fixture(autouse=True)
def book(monkeypatch):
    known = a_book("NET204", "NET101", "HST101", "RAY101", "COL101", "GEN101")
    monkeypatch.setattr(hakuna.suites, "load_rules", lambda: known)
    return known


@pytest.fixture
def lower(monkeypatch):
    """Stand-ins for what the commands call in lower layers."""
    said = SimpleNamespace(loaded=object(), table='{"version": "1.0"}', left=0, asked=[])

    def load(path):
        if not path.exists():
            raise BadInventoryError(f"{path}: no such file")
        return said.loaded

    def generate_live(loaded):
        said.asked.append(loaded)
        return said.table

    def down(loaded):
        said.asked.append(loaded)
        return said.left

    for name, content in {
        "hakuna.inventory": {"load": load, "InventoryError": BadInventoryError},
        "hakuna.stages.rank_table": {"generate_live": generate_live},
        "hakuna.stages.teardown": {"down": down},
    }.items():
        module = ModuleType(name)
        module.__path__ = []
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return said


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


def test_rank_table_is_written_whole_or_shown(tmp_path, capsys, lower):
    inventory, output = tmp_path / "prod.yaml", tmp_path / "table.json"
    inventory.touch()
    assert cli.main(["rank-table", "--inventory", str(inventory), "-o", str(output)]) == 0
    assert output.read_text() == lower.table
    assert lower.asked == [lower.loaded]
    assert cli.main(["rank-table", "--inventory", str(inventory)]) == 0
    assert capsys.readouterr().out == lower.table + "\n"


def test_a_wrong_output_folder_is_said_before_any_node_is_asked(tmp_path, capsys, lower):
    inventory = tmp_path / "prod.yaml"
    inventory.touch()
    assert cli.main(["rank-table", "--inventory", str(inventory), "-o", str(tmp_path / "no" / "t.json")]) == 2
    assert "is not a folder" in capsys.readouterr().err
    assert lower.asked == []


def test_down_gives_the_status_of_the_teardown(tmp_path, lower):
    inventory = tmp_path / "prod.yaml"
    inventory.touch()
    lower.left = 1
    assert cli.main(["down", "--inventory", str(inventory)]) == 1
    assert lower.asked == [lower.loaded]


@pytest.mark.parametrize("command", ["down", "rank-table"])
def test_a_missing_inventory_is_a_sentence(tmp_path, capsys, lower, command):
    assert cli.main([command, "--inventory", str(tmp_path / "no.yaml")]) == 2
    assert capsys.readouterr().err == f"hakuna: {tmp_path / 'no.yaml'}: no such file\n"


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
