# SPDX-License-Identifier: Apache-2.0
"""What holds for which LMDeploy release."""

from __future__ import annotations

import pytest

from hakuna.inventory.model import Chip
from hakuna.judgement import versions
from hakuna.judgement.versions import Behaviour, DeviceChoice, EagerDemand

BOUNDARIES = [
    (versions.can_span_nodes, "0.7.3", False, "0.8.0", True, True),
    (lambda v: versions.needs_rank_table(v, spans_nodes=True), "0.7.3", False, "0.8.0", True, True),
    (lambda v: versions.needs_rank_table(v, spans_nodes=True), "0.14.0", True, "0.15.0", False, True),
    (versions.reads_rank_table, "0.7.3", False, "0.8.0", True, True),
    (versions.hccl_if_ip_leaks, "0.14.0", False, "0.15.0", True, True),
    (versions.health_is_json, "0.13.0", False, "0.14.0", True, False),
    (versions.validation_error_status, "0.15.0", 422, "0.16.0", 400, 422),
    (lambda v: versions.ruling(Behaviour.KEY, v), "0.12.1", False, "0.12.2", True, False),
    (lambda v: versions.ruling(Behaviour.DEATH, v), "0.13.0", False, "0.14.0", True, False),
    (lambda v: versions.ruling(Behaviour.RANKS, v), "0.11.1", False, "0.12.0", True, True),
    (lambda v: versions.ruling(Behaviour.RANKS, v), "0.14.0", True, "0.15.0", False, True),
    (versions.device_chosen_by, "0.11.1", DeviceChoice.LIST_POSITION, "0.12.0", DeviceChoice.DEVICE_ID, ...),
    (versions.device_chosen_by, "0.14.0", DeviceChoice.DEVICE_ID, "0.15.0", DeviceChoice.WORKER_INDEX, ...),
]


@pytest.mark.parametrize(("ask", "before", "old", "since", "new", "unknown"), BOUNDARIES)
def test_behaviour_changes_at_the_release_that_changed_it(ask, before, old, since, new, unknown):
    assert (ask(before).value, ask(since).value) == (old, new)
    assert (ask("0.11.0").certain, ask("0.18.0").certain) == (True, True)
    assert ask(before).source != ask(since).source
    for missing in (None, "detect", "", "master"):
        ruling = ask(missing)
        assert not ruling.certain
        assert "not known" in ruling.source
        assert unknown is ... or ruling.value == unknown


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("0.9.2", True),
        ("0.14.0", True),
        ("0.14.0+ascend", True),
        ("v0.14.0", True),
        ("0.14.0.post1", True),
        ("0.15.0rc1", True),
        ("0.15.0", False),
        ("0.15.0+cu12", False),
        ("0.18.1.dev3", False),
        ("1.0", False),
    ],
)
def test_versions_are_ordered_as_numbers_not_as_text(text, needed):
    assert versions.needs_rank_table(text, spans_nodes=True).value is needed


@pytest.mark.parametrize("version", [None, "0.7.3", "0.11.1", "0.18.0"])
def test_one_node_needs_no_table(version):
    assert versions.needs_rank_table(version, spans_nodes=False).value is False


@pytest.mark.parametrize(
    ("version", "chip", "nodes", "demand"),
    [
        ("0.14.0", Chip.ATLAS_800T_A2, 2, EagerDemand.REQUIRED),
        ("0.11.1", Chip.ATLAS_800T_A3, 4, EagerDemand.REQUIRED),
        (None, Chip.ATLAS_800T_A2, 2, EagerDemand.REQUIRED),
        ("0.15.0", Chip.ATLAS_800T_A2, 2, EagerDemand.ADVISED),
        ("0.14.0", Chip.ATLAS_800T_A2, 1, EagerDemand.FREE),
        (None, Chip.ATLAS_800T_A2, 1, EagerDemand.FREE),
        ("0.14.0", Chip.ATLAS_300I_DUO, 1, EagerDemand.FORBIDDEN),
        (None, Chip.ATLAS_300I_DUO, 2, EagerDemand.FORBIDDEN),
    ],
)
def test_eager_mode_by_release_chip_and_nodes(version, chip, nodes, demand):
    ruling = versions.eager_required(version, chip, nodes=nodes)
    assert ruling.value is demand
    assert ruling.certain is (version is not None or demand in (EagerDemand.FREE, EagerDemand.FORBIDDEN))


def test_a_demand_on_an_unknown_release_says_so():
    ruling = versions.eager_required(None, Chip.ATLAS_800T_A2, nodes=2)
    assert not ruling.certain
    assert "not known" in ruling.source


def test_the_table_format_follows_the_chip():
    assert {c.name: versions.rank_table_format(c) for c in Chip} == {
        "ATLAS_800T_A2": "1.0",
        "ATLAS_800T_A3": "1.2",
        "ATLAS_300I_DUO": "1.0",
    }


@pytest.mark.parametrize(("text", "size"), [("500g", 500 << 30), ("64M", 64 << 20), ("1024", 1024), ("2kb", 2048)])
def test_sizes(text, size):
    assert versions.size_in_bytes(text) == size
    assert versions.size_in_gib(text) == size / 2**30


def test_what_is_no_size_is_refused():
    with pytest.raises(ValueError, match="not a size"):
        versions.size_in_bytes("plenty")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("HCCL_IF_IP", ["10.0.0.1", "fd00::1"], ["eth0", "85", ""]),
        ("HCCL_SOCKET_IFNAME", ["eth0", "=eth0", "^=docker0,lo", "^eth"], ["", "eth 0", "eth0,"]),
        ("HCCL_CONNECT_TIMEOUT", ["120", "7200"], ["119", "7201", "2h", "-1", "٣٠٠"]),
        ("HCCL_RDMA_TC", ["0", "132"], ["133", "256"]),
        ("HCCL_RDMA_SL", ["7"], ["1000"]),
        ("HCCL_BUFFSIZE", ["1", "2048"], ["0"]),
        ("HCCL_SOCKET_FAMILY", ["AF_INET6"], ["ipv6"]),
        ("HCCL_SOMETHING_NEW", ["whatever"], []),
    ],
)
def test_hccl_variables(name, good, bad):
    assert [versions.hccl_variable_problem(name, v) for v in good] == [""] * len(good)
    for value in bad:
        assert name in versions.hccl_variable_problem(name, value)
