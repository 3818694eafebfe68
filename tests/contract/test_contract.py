# SPDX-License-Identifier: Apache-2.0
"""What the contract compares, and how it tells it; the releases themselves are run by ``make contract``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from contract.comparison import POINTS, Contract, inventory
from contract.exchanges import Said
from contract.page import page

from contract import environments, exchanges, options, rank_tables, releases
from hakuna.simulator import lmdeploy_options
from hakuna.simulator.lmdeploy_server_release import Release


def test_times_texts_and_counts_may_differ_and_nothing_else():
    one = {"id": "chatcmpl-a1", "created": 1, "choices": [{"text": "a", "finish_reason": "stop"}]}
    other = {"id": "chatcmpl-b2", "created": 2, "choices": [{"text": "b", "finish_reason": "stop"}]}

    def said(body):
        return Said(200, "application/json", "", exchanges._body("application/json", json.dumps(body).encode()))

    assert said(one).differences(said(other)) == []
    for change, words in (
        ({"id": "7"}, "body.id"),
        ({"created": None}, "body.created"),
        ({"choices": [{"text": "", "finish_reason": "stop"}]}, "body.choices[0].text"),
        ({"choices": [{"text": "b", "finish_reason": "length"}]}, "finish_reason"),
        ({"more": None}, "body.more"),
    ):
        (difference,) = said(one).differences(said({**other, **change}))
        assert words in difference
    assert said(one).differences(Said(404, "text/plain", "GET", said(one).body)) == [
        "status: 200, not 404",
        "content-type: 'application/json', not 'text/plain'",
        "allow: '', not 'GET'",
    ]


def test_a_stream_is_its_kinds_of_events_in_order():
    lines = ['{"text": "a"}', '{"text": "b"}', '{"text": ""}', "[DONE]"]
    raw = "".join(f"data: {line}\n\n" for line in lines).encode()
    assert exchanges._body("text/event-stream", raw) == [{"text": "STR"}, {"text": ""}, "[DONE]"]


def test_every_point_has_a_column_and_every_exchange_a_name_of_its_own():
    asked = exchanges.exchanges("m", "k")
    assert {e.point for e in asked} < set(POINTS)
    assert len({(e.point, e.name) for e in asked}) == len(asked)


def test_the_page_tells_what_differs_and_what_is_missing():
    kept, broken, absent = Contract("0.14.0"), Contract("0.15.0"), Contract("0.99.0", missing="no wheel")
    kept.note("routes", "20", [])
    broken.note("routes", "21", ["GET /new is missing"])
    text = page([kept, broken, absent])
    assert "| 0.14.0 |" in text
    assert "**1 differ**" in text
    assert "- 0.15.0, routes: GET /new is missing" in text
    assert "not shown here: no wheel" in text
    assert [c.kept for c in (kept, broken, absent)] == [True, False, False]
    assert "No difference." in page([kept])


def test_releases_are_chosen_by_word_or_number():
    assert releases.chosen(["ci", "0.15.0"], Path(sys.executable)) == (
        "0.7.2.post1",
        "0.11.1",
        "0.14.0",
        "0.15.0",
        "0.18.0",
    )
    with pytest.raises(ValueError, match='"all", "ci", or versions'):
        releases.chosen(["everything"], Path(sys.executable))


def test_newer_releases_are_seen(monkeypatch):
    done = subprocess.CompletedProcess([], 0, "lmdeploy (0.19.0)\nAvailable versions: 0.19.0, 0.18.0, 0.14.0\n", "")
    monkeypatch.setattr(releases.subprocess, "run", lambda *_, **__: done)
    assert releases.newer(Path(sys.executable)) == ("0.19.0",)


@pytest.mark.parametrize(
    ("name", "heavy"),
    [
        ("lmdeploy/turbomind/_turbomind.cpython-311-x86_64-linux-gnu.so", True),
        ("lmdeploy/lib/libx.so.1", True),
        ("lmdeploy/bin/llama_gemm", True),
        ("lmdeploy/turbomind/lib64/libxgrammar.a", True),
        ("lmdeploy/cli/serve.py", False),
        ("lmdeploy-0.18.0.dist-info/METADATA", False),
    ],
)
def test_only_compiled_parts_are_left_out_of_a_wheel(name, heavy):
    assert environments._heavy(name) is heavy


def placed(text):
    """As a release that follows the table places its ranks."""
    devices = [(s["server_id"], d) for s in json.loads(text)["server_list"] for d in s["device"]]
    return [[ip, int(d["device_id"])] for ip, d in sorted(devices, key=lambda one: int(one[1]["rank_id"]))]


def test_a_table_is_judged_by_where_the_ranks_end_up():
    model = inventory("/m", port=1)
    told = {name: {"error": "ValueError: no"} for name in rank_tables.cases(model)}
    good = rank_tables.cases(model)[rank_tables.GOOD]
    told[rank_tables.GOOD] = {"devices": placed(good)}
    taken = "devices listed backwards"
    told[taken] = {"devices": [*placed(good)[1:], placed(good)[0]]}
    found = {v.name: v for v in rank_tables.verdicts(model, "0.14.0", {"tables": told})}
    assert found[rank_tables.GOOD].right
    assert not found[rank_tables.GOOD].refused
    assert found["the head second"].right, "both call it bad"
    assert found[taken].refused, "taken, but the ranks are elsewhere than the table says"
    moved = [*placed(good)[1:], placed(good)[0]]
    told[rank_tables.GOOD] = {"devices": moved}
    first = rank_tables.verdicts(model, "0.14.0", {"tables": told})[0]
    assert first.words == "rank 0 is at ('192.0.2.10', 1), the table says ('192.0.2.10', 0)"
    told[rank_tables.GOOD] = {"devices": [placed(good)[0], *placed(good)[:-1]]}
    assert "1 workers on a device" in rank_tables.verdicts(model, "0.14.0", {"tables": told})[0].words


def test_options_that_hakuna_reads_otherwise_are_told():
    real = lmdeploy_options.words_taken(Release("0.14.0").number)
    assert options.differences("0.14.0", real) == []
    wrong = options.differences("0.14.0", {**real, "--tp": 0, "--brand-new": 1})
    assert "--brand-new (takes 1) is not simulated" in wrong
    assert "--tp takes 0, simulated 1" in wrong
    assert "--tp takes 0, Hakuna reads 1" in wrong


@pytest.mark.parametrize("version", releases.RELEASES)
def test_the_simulated_command_line_takes_what_hakuna_builds(version):
    for argv in options.commands("/m", version):
        read = lmdeploy_options.parse(argv[3:], Release(version).number)
        wanted = options.wanted_config(argv)
        assert (read.tp, read.device, read.eager_mode) == (wanted["tp"], wanted["device_type"], wanted["eager_mode"])
