# SPDX-License-Identifier: Apache-2.0
"""How faults are written, and the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from hakuna.simulator.catalogue import CATALOGUE, COMBINED, VARIANTS, Scope, markdown
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.faults import default_place, parse_fault, parse_faults
from hakuna.where import Where


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("tls-differs@node-b/3", "node-b/3"),
        ("tls-differs@node-a", "node-a"),
        ("tls-differs", "node-b/3"),
        ("dead-host", "node-b"),
        ("server-dies", "cluster"),
        ("one-way-loss@node-a/0>node-b/3", "node-a/0 -> node-b/3"),
        ("one-way-loss", "node-a/0 -> node-b/3"),
        ("tcp-blocked@node-b>node-a", "node-b -> node-a"),
    ],
)
def test_a_fault_is_read_with_its_place(inventory, text, where):
    fault = parse_fault(text, inventory())
    assert str(fault.where) == where
    assert fault.name == text.partition("@")[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tls-difers", "did you mean 'tls-differs'"),
        ("tls-differs@node-x/3", "did you mean 'node-"),
        ("tls-differs@node-b/9", "has no device '9'; it has 0, 1, 2"),
        ("dead-host@node-b/3", "belongs to a node"),
        ("server-dies@node-b", "it takes no place"),
        ("one-way-loss@node-a/0", "belongs to a pair of devices"),
        ("tcp-blocked@node-a/0>node-b/0", "belongs to a pair of nodes"),
        ("tls-differs@", "no node is called ''"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest(inventory, text, words):
    with pytest.raises(ValueError, match="fault") as caught:
        parse_fault(text, inventory())
    assert words in str(caught.value)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_fault_has_a_default_place_that_can_be_written(inventory, name):
    fault = parse_fault(name, inventory())
    assert parse_fault(str(fault), inventory()) == fault
    assert fault.where == default_place(CATALOGUE[name].scope, inventory())
    assert fault.kind.rule


def test_a_small_node_has_its_last_device_broken(inventory):
    assert parse_fault("tls-differs", inventory(devices=2)).where == Where("node-b", 1)


def test_a_fault_of_a_node_is_on_all_its_devices(inventory):
    spec = ClusterSpec(inventory(), parse_faults(["tls-differs@node-a", "link-down@node-b/2"], inventory()))
    assert spec.faulty_devices("tls-differs", "node-a") == tuple(range(8))
    assert spec.faulty_devices("link-down", "node-b") == (2,)
    assert not spec.has("tls-differs", "node-b", 0)
    assert not spec.has("link-down", "node-b")


def test_the_catalogue_is_a_page_with_one_row_for_each(inventory):
    rows = [row for row in markdown().splitlines() if row.startswith("| `")]
    assert len(rows) == len(CATALOGUE) + len(VARIANTS) + len(COMBINED)
    assert {row.count("|") for row in rows} == {9, 6}
    assert {k.scope for k in (*CATALOGUE.values(), *VARIANTS.values())} == set(Scope)


def test_the_page_in_the_docs_is_todays():
    assert (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8") == markdown()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_fault_of_the_inventory_is_not_the_clusters(inventory, name):
    with pytest.raises(ValueError, match="is one of the inventory itself: write "):
        parse_fault(name, inventory())
