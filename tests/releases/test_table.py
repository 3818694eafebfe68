# SPDX-License-Identifier: Apache-2.0
"""The table of releases is whole: one row for everything, each with its source; rules say which rows they go by."""

from __future__ import annotations

import itertools

import pytest
from packaging.version import Version

from hakuna.inventory.model import Chip
from hakuna.judgement import versions
from hakuna.releases import ASSUMED, CHIPS, ROWS, Behaviour, Topology, number, row_of, rows_of
from hakuna.reports.rules_page import explain, markdown
from hakuna.reports.versions_page import page
from hakuna.suites import load_rules

RELEASES = (
    "0.7.2.post1 0.7.3 0.8.0 0.9.0 0.9.2.post1 0.10.2 0.11.1 0.12.0 0.12.1 0.12.2 0.13.0 0.14.0 0.15.0 0.16.0 0.18.0"
)
#: Which behaviour a function of ``versions`` asks for.
ASKS = {
    "can_span_nodes": Behaviour.SPANS,
    "needs_rank_table": Behaviour.TABLE,
    "needs_table": Behaviour.TABLE,
    "needed": Behaviour.TABLE,
    "rank_table_format": Behaviour.FORMAT,
    "eager_required": Behaviour.EAGER,
    "eager_demand": Behaviour.EAGER,
    "hccl_if_ip_leaks": Behaviour.IF_IP,
    "health_is_json": Behaviour.HEALTH,
    "validation_error_status": Behaviour.REFUSAL,
}


def test_the_chips_are_those_of_inventories():
    assert {c.value for c in Chip} == set(CHIPS)


@pytest.mark.parametrize("behaviour", Behaviour)
def test_exactly_one_row_holds_for_each_release_chip_and_topology(behaviour):
    for release, chip, topology in itertools.product(RELEASES.split(), CHIPS, Topology):
        row = row_of(behaviour, Version(release), Version, chip, topology)
        assert row is row_of(behaviour, number(release), number, chip, topology)


def test_every_row_has_a_name_words_and_a_source():
    assert len({r.key for r in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.says, row.key
        assert row.source, row.key
        assert not row.since or row.since in row.key, row.key
        assert not row.until or row.since or row.until in row.key, row.key


def test_what_depends_on_the_release_has_an_assumption():
    dependent = {r.behaviour for r in ROWS if r.since or r.until}
    assert dependent == set(ASSUMED)


def test_a_question_that_leaves_out_what_matters_is_refused():
    with pytest.raises(LookupError, match="eager mode"):
        row_of(Behaviour.EAGER, Version("0.14.0"), Version)


@pytest.mark.parametrize("rule", [r for r in load_rules() if int(r.code[3:]) < 900], ids=lambda r: r.code)
def test_a_rule_that_goes_by_the_table_says_so(rule):
    asked = {ASKS[name] for name in rule.function.__code__.co_names if name in ASKS}
    if "ruling" in rule.function.__code__.co_names:
        asked |= {b for b in Behaviour if b.name in rule.function.__code__.co_names}
    assert asked <= set(rule.releases)
    text = explain(rule)
    for row in rule.rows:
        assert f"Rests on table row {row.key}" in text
        assert f"[{row.key}](versions.md#{row.key})" in markdown(load_rules())


def test_the_page_shows_every_row_and_who_rests_on_it():
    text = page(load_rules())
    for row in ROWS:
        assert f'| <a id="{row.key}"></a>`{row.key}` |' in text
    for rule in load_rules():
        assert not rule.releases or f"[{rule.code}](rules.md#{rule.code.lower()})" in text
    assert len({r.key for b in Behaviour for r in rows_of(b)}) == len(ROWS)


def test_a_ruling_names_its_row():
    assert versions.hccl_if_ip_leaks("0.15.0").row == "if-ip-leaks-from-0.15.0"
    assert versions.hccl_if_ip_leaks("0.15.0", spans_nodes=False).row == "if-ip-one-node"
    assert versions.hccl_if_ip_leaks(None).row == ""
