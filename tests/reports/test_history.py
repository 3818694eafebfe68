# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import events, finding, report, result, tls_fault, write_run

from hakuna import cli
from hakuna.reports import drift, history, history_page
from hakuna.reports.facts import Exhibits, Measure
from hakuna.reports.facts.versions import Row, VersionTable
from hakuna.reports.history import Check, Entry
from hakuna.where import Where

DAY = 86_400.0


def figures(**values: float) -> dict[str, Measure]:
    more = {"tokens_per_second"}
    return {n: Measure(n, v, "u", "more" if n in more else "less") for n, v in values.items()}


def night(number: int, **words: object) -> Entry:
    """A good night; the figures wobble a little, as they do."""
    wobble = 1 + 0.02 * ((number * 7) % 5 - 2)
    base = Entry(
        id=f"night-{number:02d}",
        cluster="prod",
        started=1_785_000_000.0 + number * DAY,
        seconds=60.0,
        verdict="READY",
        whole=True,
        checks={"HST109": Check("PASS"), "NET207": Check("PASS"), "GEN801": Check("PASS")},
        measures=figures(ping_median_ms=0.07 * wobble, tokens_per_second=40.0 * wobble),
        facts={(f"node-{n}", "driver"): "25.2.0" for n in "ab"} | {("node-a/0", "device IP"): "10.0.0.1"},
    )
    return replace(base, **words)


def thirty_nights() -> list[Entry]:
    """A driver update on night 12, a latency that creeps from night 18 on, a device that fails on night 25."""
    nights = []
    for number in range(1, 31):
        entry = night(number)
        if number >= 12:
            entry = replace(entry, facts={**entry.facts, ("node-a", "driver"): "26.0", ("node-b", "driver"): "26.0"})
        if number >= 18:
            slow = entry.measures["ping_median_ms"].value * 1.12 ** (number - 17)
            entry = replace(entry, measures={**entry.measures, **figures(ping_median_ms=slow)})
        if number == 25:
            checks = {**entry.checks, "NET207": Check("FAIL", ("node-b/3",)), "GEN801": Check("BLOCKED", ("cluster",))}
            entry = replace(entry, verdict="NOT READY", checks=checks)
        nights.append(entry)
    return nights


def test_what_is_remembered_is_what_was_written(tmp_path):
    path = tmp_path / history.NAME
    for entry in thirty_nights():
        assert history.remember(path, entry) == []
    assert history.entries(path) == thirty_nights()
    assert [e.id for e in history.entries(path, last=2)] == ["night-29", "night-30"]
    assert history.entries(path, "other") == []
    assert history.remember(path, night(30, verdict="INCONCLUSIVE")) == []
    assert [e.verdict for e in history.entries(path, last=1)] == ["INCONCLUSIVE"]
    assert len(history.entries(path)) == 30


def test_thirty_nights_say_exactly_what_happened():
    nights = thirty_nights()
    said = {}
    for number, entry in enumerate(nights, 1):
        _, changes = drift.since_good(history.good_before(nights[: number - 1], entry), entry)
        if changes:
            said[number] = [str(c) for c in changes]
    assert said.pop(12) == ["driver of node-a, node-b: 25.2.0 -> 26.0"]
    assert any("NET207: PASS -> FAIL on node-b/3" in words for words in said[25])
    assert any("verdict: READY -> NOT READY" in words for words in said[25])
    first = min(said)
    assert 18 < first < 25
    for number, words in said.items():
        assert all(w.startswith("ping_median_ms: median") for w in words) or number == 25
    assert not [w for words in said.values() for w in words if "tokens_per_second" in w]


def test_one_slow_night_among_good_ones_is_out_of_line_in_its_bad_direction_only():
    good = [night(n) for n in range(1, 9)]
    slow = night(9, measures=figures(tokens_per_second=20.0, ping_median_ms=0.01))
    assert [c.name for c in drift.out_of_line(good, slow)] == ["tokens_per_second"]
    assert drift.out_of_line(good[: drift.USUAL.runs - 1], slow) == []
    assert drift.out_of_line(good, replace(slow, simulated=True)) == []


def test_a_few_milliseconds_more_are_noise():
    def timed(seconds):
        return {"first_token_seconds": Measure("first_token_seconds", seconds, "s")}

    good = [night(n, measures=timed(0.02)) for n in range(1, 9)]
    assert drift.out_of_line(good, night(9, measures=timed(0.06))) == []
    assert len(drift.out_of_line(good, night(9, measures=timed(0.08)))) == 1


def test_a_run_is_compared_with_whole_good_ones_of_its_own_kind():
    nights = [night(1), night(2, whole=False), night(3, simulated=True), night(4, cluster="other"), night(9)]
    assert [e.id for e in history.good_before(nights, night(5))] == ["night-01"]


def test_the_table_and_its_sparklines():
    text = history_page.table(thirty_nights())
    lines = text.splitlines()
    assert len([line for line in lines if line.startswith("night-")]) == 30
    assert next(line for line in lines if "NOT READY" in line).rstrip().endswith("NET207")
    latency = next(line for line in lines if line.startswith("ping_median_ms"))
    assert latency.split("  ")[-2].endswith("█")
    assert history_page.sparkline([1, None, 3]) == "▁·█"
    assert history_page.sparkline([2, 2]) == "▁▁"
    assert history_page.table([]) == "no run is remembered yet\n"


def test_a_difference_counts_what_only_follows():
    before = night(1)
    checks = {c: Check("BLOCKED", ("cluster",)) for c in ("NET207", "GEN801")} | {"HST109": Check("FAIL", ("node-b",))}
    text = history_page.difference(before, night(2, verdict="NOT READY", checks=checks), [before])
    assert " ! HST109: PASS -> FAIL on node-b" in text
    assert "2 checks (NET207 ... GEN801): PASS -> BLOCKED" in text
    assert history_page.difference(before, replace(before, measures={}), []).endswith("no difference\n")


def test_the_oldest_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "KEPT", 5)
    path = tmp_path / history.NAME
    history.remember(path, night(1, cluster="other"))
    for number in range(1, 9):
        history.remember(path, night(number, id=f"n{number}"))
    assert [e.id for e in history.entries(path, "prod")] == ["n4", "n5", "n6", "n7", "n8"]
    assert len(history.entries(path, "other")) == 1
    with sqlite3.connect(path) as db:
        for table in ("checks", "measures", "facts"):
            assert {row[0] for row in db.execute(f"SELECT run FROM {table}")} == {e.id for e in history.entries(path)}
    db.close()


WRITER = """
import sys
from pathlib import Path
from hakuna.reports.history import Entry, remember
for number in range(10):
    said = remember(Path(sys.argv[1]), Entry(f"run-{sys.argv[2]}-{number}", "prod"))
    assert said == [], said
"""


def test_several_runs_may_write_at_once(tmp_path):
    path = tmp_path / history.NAME
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], env=environment) for name in ("a", "b", "c")
    ]
    assert [w.wait(60) for w in writers] == [0, 0, 0]
    assert len(history.entries(path)) == 30


def test_a_damaged_file_is_set_aside_and_told_of(tmp_path):
    path = tmp_path / history.NAME
    history.remember(path, night(1))
    data = bytearray(path.read_bytes())
    data[100:4000] = b"\xff" * 3900
    path.write_bytes(data)
    [said] = history.remember(path, night(2))
    assert "was damaged" in said
    assert [e.id for e in history.entries(path)] == ["night-02"]
    [aside] = tmp_path.glob("history.sqlite.damaged-*")
    assert aside.read_bytes() == bytes(data)


def test_a_history_that_cannot_be_written_is_told_of(tmp_path, monkeypatch):
    path = tmp_path / history.NAME
    history.remember(path, night(1))
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    [said] = history.remember(path, night(2))
    assert "later Hakuna" in said
    assert path.is_file()
    (tmp_path / "file").write_text("")
    [said] = history.remember(tmp_path / "file" / history.NAME, night(2))
    assert said.startswith("the run is not in the history")


def test_a_locked_history_is_not_a_damaged_one(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "_PATIENCE", 0.05)
    path = tmp_path / history.NAME
    history.remember(path, night(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    [said] = history.remember(path, night(2))
    other.close()
    assert "locked" in said
    assert list(tmp_path.glob("*damaged*")) == []


def test_an_entry_holds_what_the_report_says():
    table = VersionTable((("node-a",), ("node-b", "node-c")), (Row("driver", ("1", "?")), Row("ray", ("2", "3"))))
    shown = Exhibits(versions=table, measures=(Measure("x", 1.0, "s"),))
    entry = history.entry_of(report(*tls_fault()), shown)
    assert entry.checks["NET204"] == Check("FAIL", ("node-b/3",), 0.25)
    assert entry.checks["NET101"].places == ()
    assert entry.facts == {
        ("node-a", "driver"): "1",
        ("node-a", "ray"): "2",
        ("node-b", "ray"): "3",
        ("node-c", "ray"): "3",
    }
    assert not entry.good
    assert history.entry_of(report(result("NET101")), shown).good
    assert not history.entry_of(report(result("NET101"), mode="preflight"), shown).good


def test_history_and_diff_as_commands(tmp_path, capsys):
    path = tmp_path / history.NAME
    for entry in thirty_nights():
        history.remember(path, entry)
    where = ["--reports", str(tmp_path)]
    assert cli.main(["history", *where, "--last", "3"]) == 0
    assert capsys.readouterr().out.count("night-") == 3
    assert cli.main(["diff", "night-11", "night-12", *where]) == 0
    assert "driver of node-a, node-b: 25.2.0 -> 26.0" in capsys.readouterr().out
    assert cli.main(["diff", "good", "night-25", *where]) == 0
    assert capsys.readouterr().out.startswith("night-24 READY -> night-25 NOT READY")
    bad = result("NET204", finding("NET204", Where("node-b", 3)))
    folder = write_run(tmp_path / "run", events([bad]))
    assert cli.main(["diff", "night-01", str(folder), *where]) == 0
    assert "NET204: - -> FAIL on node-b/3" in capsys.readouterr().out
    for wrong, words in (
        (["diff", "night-1", "night-30"], "beginning of 10 runs"),
        (["diff", "x", "night-30"], "no run is called x"),
        (["history", "--last", "0"], "at least 1"),
    ):
        assert cli.main([*wrong, *where]) == 2
        assert words in capsys.readouterr().err


def test_history_of_a_damaged_file_is_a_sentence(tmp_path, capsys):
    (tmp_path / history.NAME).write_bytes(b"no database at all" * 99)
    assert cli.main(["history", "--reports", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["history"])
def test_no_history_yet(tmp_path, capsys, command):
    assert cli.main([command, "--reports", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no run is remembered yet\n"
