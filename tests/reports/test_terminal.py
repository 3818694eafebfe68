# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from report_samples import (
    HOSTILE,
    A,
    a_book,
    eight_devices,
    events,
    finding,
    report,
    result,
    run_json,
    tls_fault,
    tls_fix,
    unparsed,
)
from rich.cells import cell_len

from hakuna.inventory.model import Inventory
from hakuna.judgement.rules import RuleBook
from hakuna.judgement.verdict import Cause, Verdict
from hakuna.reports.model import from_run
from hakuna.reports.terminal import header, render
from hakuna.stages.run import Mode, Plan
from hakuna.where import Where


def show(found, width=80, *, color=False):
    return render(found, width=width, color=color)


def first_line(found, width=120):
    return show(found, width).splitlines()[0]


def test_a_green_run_is_short_and_says_ready_first():
    text = show(report(result("NET101"), result("HST101")))
    assert text.splitlines()[0] == "READY  SIMULATED  demo, 2 nodes x 8 devices, 7.0 s  2 PASS"
    assert len(text.splitlines()) < 12
    assert "note  cleaned up after run 20260731-220000-ffff" in text
    assert "reports/run/ (findings.json, junit.xml and 4 more)\n" in text
    assert "page      reports/run/report.html\n" in text


def test_the_tls_fault_is_one_root_cause_on_the_first_screen():
    text = show(report(*tls_fault(), book=a_book("NET204")))
    screen = text.splitlines()[:24]
    assert screen[0].startswith("NOT READY  SIMULATED  demo")
    assert " 1. NET204 Title of NET204" in screen
    assert "    where     node-b/3" in screen
    assert "      hccn_tool -i 3 -tls -s enable 1" in screen
    assert "    expected  on   observed  off" in screen
    assert any("evidence/network/node-b.jsonl (hccn.tls/3)" in line for line in screen)
    assert any("3 checks BLOCKED by NET204 on node-b/3: RAY101, COL101, GEN101" in line for line in screen)
    assert " 2. " not in text
    assert "hakuna explain NET204" in text


def test_two_causes_are_numbered_the_one_that_explains_most_first():
    lone = result("HST110", finding("HST110", A, message="disk is full", fix="df -h"))
    numbered = re.findall(r"^ *(\d)\. (\w+)", show(report(lone, *tls_fault())), re.MULTILINE)
    assert numbered == [("1", "NET204"), ("2", "HST110")]


def test_eight_devices_are_one_cause_with_every_place_and_every_command():
    text = show(report(eight_devices()), 80)
    assert text.count("NET204") == 2  # the cause and the hint to explain it
    for device in range(8):
        assert f"node-b/{device}" in text
        assert f"      hccn_tool -i {device} -tls -s enable 1" in text.splitlines()
    assert all("NET204" in line or not re.match(r" *2\.", line) for line in text.splitlines())


def test_a_fix_is_never_folded_or_cut():
    command = "ssh-copy-id -i ~/.ssh/" + "k" * 300 + " 'root@node-a'"
    text = show(report(result("HST101", finding("HST101", A, message="m " * 300, fix=f"first\n{command}"))))
    assert f"      {command}" in text.splitlines()
    assert "      first" in text.splitlines()


def test_the_node_that_a_command_is_for_does_not_stand_in_its_line():
    places = [Where(n, i) for n in ("node-a", "node-b") for i in (0, 1)]
    found = [finding("NET204", p, fix=f"on {p.node}: {tls_fix(p.device)}") for p in places]
    rows = show(report(result("NET204", *found))).splitlines()
    start = rows.index("    fix on node-a")
    assert rows[start : start + 6] == [
        "    fix on node-a",
        "      hccn_tool -i 0 -tls -s enable 1",
        "      hccn_tool -i 1 -tls -s enable 1",
        "    fix on node-b",
        "      hccn_tool -i 0 -tls -s enable 1",
        "      hccn_tool -i 1 -tls -s enable 1",
    ]


@pytest.mark.parametrize("width", [80, 100])
def test_everything_but_fixes_fits_the_width(width):
    long = result("HST101", finding("HST101", A, message="word " * 60, expected="卡" * 90, observed="x" * 600))
    text = show(report(long, *tls_fault(), unparsed()), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width


def test_what_cannot_be_judged_is_listed_after_the_causes():
    text = show(report(*tls_fault(), unparsed()))
    assert text.index(" 1. NET204") < text.index("Could not be judged") < text.index("UNPARSED NET203")
    assert "Zustand: gut" in text


def test_an_unparsed_answer_alone_is_inconclusive():
    assert first_line(report(result("NET101"), unparsed())).startswith("INCONCLUSIVE  SIMULATED")


def test_a_block_by_a_check_that_did_not_run_still_has_its_reason():
    cause = Cause("HST101", Where("node-b"))
    found = report(result("NET101", finding("NET101", A, Verdict.BLOCKED, causes=(cause,))))
    assert "BLOCKED by HST101 on node-b, which is not among the checks that ran: NET101" in show(found, 100)


def test_warnings_and_skips_say_why():
    warned = result("HST120", finding("HST120", A, Verdict.WARN, message="clock is off", observed="1.2 s"))
    skipped = [result(c, verdict=Verdict.SKIP, reason="needs real NPUs") for c in ("GEN401", "GEN402")]
    text = show(report(warned, *skipped))
    assert text.startswith("READY")
    assert "clock is off" in text
    assert "    2 needs real NPUs: GEN401, GEN402" in text
    assert "Skipped (2 checks; a skip is not a pass):" in text


def test_the_limits_of_a_run_stand_beside_its_verdict():
    assert first_line(report(result("NET101"), mode="preflight")).startswith(
        "READY (preflight: inventory, host, network only)  SIMULATED"
    )
    assert first_line(report(result("NET101"), until="ray")).startswith("READY (up to ray only)")
    assert first_line(report(result("NET101"), book=a_book("NET101", "RAY101"))).startswith("READY (1 of 2 checks)")


def test_a_real_run_is_not_called_simulated():
    data = run_json()
    data["transport"] = data["inventory"]["transport"] = "ssh"
    text = show(from_run(data, events([result("NET101")]), book=RuleBook()))
    assert "SIMULATED" not in text


def test_a_killed_run_says_so_at_once():
    found = from_run(run_json(), events([result("NET101")], end=False), book=a_book("NET101", "RAY101"))
    lines = show(found).splitlines()
    assert lines[0].startswith("INCONCLUSIVE")
    assert lines[1] == "! the run was cut short: its journal has no end"
    assert lines[2] == "! 1 check did not run: RAY101"


def test_a_run_without_checks_says_so():
    assert "no check ran" in show(report()).splitlines()[0]


@pytest.mark.parametrize("color", [False, True])
def test_hostile_text_is_shown_as_text(color):
    place = finding("HST101", A, message=HOSTILE, expected=HOSTILE, observed=HOSTILE, fix=HOSTILE, evidence=(HOSTILE,))
    texts = [
        result("HST101", place, notes=(HOSTILE,)),
        result("HST102", finding("HST102", A, Verdict.ERROR, message=HOSTILE)),
        result("HST103", verdict=Verdict.SKIP, reason=HOSTILE),
        result("HST104", finding("HST104", A, Verdict.WARN, message=HOSTILE)),
    ]
    text = show(report(*texts), 100, color=color)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text) if color else text
    assert not any(ord(c) < 32 and c != "\n" for c in bare)
    assert "\x9b" not in bare
    assert "\u202e" not in bare
    assert "owned" not in bare
    assert bare.count("[bold red]not markup[/]") >= 6
    bare.encode("utf-8")


def test_colors_only_when_asked():
    found = report(*tls_fault())
    assert "\x1b" not in show(found, color=False)
    colored = show(found, color=True)
    assert "\x1b[1;31m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == show(found)


def test_places_that_differ_are_listed_with_what_was_seen_there():
    many = result(
        "NET101",
        *(
            finding("NET101", Where("node-a", i), message="no IP", observed=f"10.0.0.{i}", fix="set it")
            for i in range(12)
        ),
    )
    text = show(report(many))
    assert "node-a/0: no IP, observed 10.0.0.0" in text
    assert "where     node-a/0-11" in text
    assert "and 4 more places: see findings.json" in text


def test_the_places_of_a_huge_cluster_are_counted():
    places = [Where(f"node-{n:04d}", d) for n in range(512) for d in range(8)]
    text = show(report(result("NET101", *(finding("NET101", p, message="link down", fix="look") for p in places))))
    assert "node-0000/0-7" in text
    assert "4096 places in all: see findings.json" in text
    assert len(text.splitlines()) < 45


def test_three_causes_fit_the_first_screen():
    causes = [result(c, finding(c, A, message="wrong", fix="mend it")) for c in ("HST110", "HST111", "HST112")]
    screen = show(report(*causes)).splitlines()[:24]
    assert [line[:4] for line in screen if re.match(r" \d\. ", line)] == [" 1. ", " 2. ", " 3. "]


def test_fixes_without_number_are_counted_not_cut():
    many = result("NET101", *(finding("NET101", Where("n", i), fix=f"mend {i}") for i in range(40)))
    text = show(report(many))
    assert text.count("      mend ") == 24
    assert "and 16 more fixes: see findings.json" in text


def fake_run(*, mode=Mode.FULL, keep=False, live=True):
    node = {"address": "10.0.0.1", "node_ip": "10.0.0.1"}
    data = {"cluster": "demo", "transport": "simulated", "nodes": [{"name": "a", **node}, {"name": "b", **node}]}
    return SimpleNamespace(
        id="RUN1",
        folder="reports/RUN1",
        inventory=Inventory.model_validate(data),
        inventory_name="mock.yaml",
        plan=Plan(mode, keep),
        live=live,
    )


def test_the_header_says_what_is_about_to_happen():
    lines = header(fake_run())
    assert "demo, 2 nodes x 8 devices, SIMULATED (inventory mock.yaml)" in lines[0]
    assert lines[1:] == ["hakuna run RUN1: bring up, check, take down", "hakuna reports: reports/RUN1"]
    assert "keep" in header(fake_run(keep=True))[1]
    assert "change nothing" in header(fake_run(mode=Mode.PREFLIGHT))[1]
    assert "start and stop nothing" in header(fake_run(mode=Mode.ATTACH))[1]
    assert "replay" in header(fake_run(live=False))[1]
