# SPDX-License-Identifier: Apache-2.0
"""Root causes, transitively: a dead host blocks its devices, a dead device its pairs, a missing table the server."""

from __future__ import annotations

import pytest
from cluster import verdicts

from hakuna.judgement.verdict import Verdict
from hakuna.where import Where


def blocked_by(found, cause):
    """Every place at which something is blocked by that cause, by rule."""
    places = {}
    for finding in found.findings:
        if finding.verdict is Verdict.BLOCKED and cause in map(str, finding.causes):
            places.setdefault(finding.rule, set()).add(finding.where)
    return places


def test_a_dead_host_blocks_its_devices_their_pairs_and_all_that_follows(tmp_path):
    found = verdicts(tmp_path, "dead-host@node-b")
    places = blocked_by(found, "HST101 on node-b")
    assert places["NET201"] == {Where("node-b", i) for i in range(8)}
    # Pairs that were never asked are told by the device that was to ask, or that was to be asked.
    assert {Where("node-b", i) for i in range(8)} <= {p.source for p in places["NET220"]} | {
        p.target for p in places["NET220"]
    }
    assert {"CTR301", "RNK401", "RAY503", "SRV701", "GEN801"} <= set(places)
    assert {str(c) for f in found.findings for c in f.causes} == {"HST101 on node-b"}


def test_a_device_without_an_address_blocks_its_pairs_and_nothing_of_others(tmp_path):
    found = verdicts(tmp_path, "no-device-ip@node-b/3")
    places = blocked_by(found, "NET201 on node-b/3")["NET220"]
    assert places
    assert all(Where("node-b", 3).covers(p) for p in places)
    assert not [f for f in found.results["NET220"].findings if f.where not in places]


def test_a_missing_table_blocks_the_server_and_what_it_would_say(tmp_path):
    found = verdicts(tmp_path, "table-missing@node-b")
    places = blocked_by(found, "RNK401 on node-b")
    assert {"RNK407", "RAY501", "SRV701", "SRV704", "GEN801", "GEN805"} <= set(places)
    (root,) = found.root_causes
    assert set(root.blocked) == set(places)


@pytest.mark.parametrize(
    ("faults", "order"),
    [
        (("clock-skew@node-b", "no-device-ip@node-a/0"), ["NET201 on node-a/0", "HST118 on node-b"]),
        (
            ("tls-differs@node-b/3", "dead-host@node-b", "stale-hccn-conf@node-a/1"),
            ["HST101 on node-b", "NET205 on node-a/1"],
        ),
    ],
)
def test_the_cause_that_explains_most_is_told_first(faults, order, tmp_path):
    found = verdicts(tmp_path, *faults)
    assert [str(r.finding.cause) for r in found.root_causes] == order
