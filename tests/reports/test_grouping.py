# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from report_samples import B3, A, eight_devices, finding, result, tls_fault

from hakuna.judgement.verdict import Summary, Verdict
from hakuna.reports.grouping import groups, name_places, root_groups
from hakuna.where import Where

DEVICES = st.builds(Where, st.sampled_from(["node-a", "node-b"]), st.integers(0, 15))
PLACES = st.one_of(
    DEVICES, st.builds(Where.pair, DEVICES, DEVICES), st.sampled_from([Where("node-a"), Where("node-b")])
)


def summary_of(*results):
    return Summary({r.rule: r for r in results})


def test_eight_devices_of_one_fault_are_one_group_that_names_each():
    (group,) = root_groups(summary_of(eight_devices()).root_causes)
    assert [str(p) for p in group.places] == [f"node-b/{i}" for i in range(8)]
    assert len(group.fixes) == 8
    assert group.alike


def test_different_fixes_of_one_rule_stay_apart():
    other = finding("NET204", Where("node-a", 1), fix="renew the certificate of device 1")
    both = result("NET204", *eight_devices().findings, other)
    found = root_groups(summary_of(both).root_causes)
    assert [len(g.places) for g in found] == [1, 8]


def test_different_details_of_one_fix_are_one_group_but_not_alike():
    found = root_groups(
        summary_of(
            result("NET101", *(finding("NET101", Where("node-a", i), observed=f"10.0.0.{i}", fix="x") for i in (0, 1)))
        ).root_causes
    )
    assert [(len(g.findings), g.alike) for g in found] == [(2, False)]


def test_what_explains_most_comes_first_and_blocked_checks_are_in_stage_order():
    lone = result("HST110", finding("HST110", A))
    found = root_groups(summary_of(lone, *tls_fault()).root_causes)
    assert [(g.rule, g.blocked) for g in found] == [("NET204", ("RAY101", "COL101", "GEN101")), ("HST110", ())]


def test_findings_with_other_messages_are_other_groups():
    found = groups(finding("NET203", B3, Verdict.ERROR, message=m) for m in ("lost", "cut", "lost"))
    assert [(g.findings[0].message, len(g.findings)) for g in found] == [("lost", 2), ("cut", 1)]


def test_few_places_are_written_out_and_many_as_ranges():
    node = [Where("node-b", i) for i in range(8)]
    assert name_places(node).split(", ") == [f"node-b/{i}" for i in range(8)]
    assert name_places([*node, Where("node-a", 1), Where("node-a", 3), Where("node-c")]) == (
        "node-a/1,3, node-b/0-7, node-c"
    )
    mesh = [Where.pair(Where("a", i), Where("b", j)) for i in range(4) for j in range(8)]
    assert name_places(mesh) == "a/0-3 -> b/0-7"


def expand(text):
    """Read what name_places wrote."""
    if not text:
        return set()
    found = set()
    for part in text.split("; "):
        source, arrow, target = part.partition(" -> ")
        if arrow:
            found |= {Where.pair(s, t) for s in singles(source) for t in singles(target)}
        else:
            found |= singles(source)
    return found


def singles(text):
    found = set()
    for word in text.split(", "):
        node, slash, numbers = word.partition("/")
        for run in numbers.split(","):
            first, _, last = run.partition("-")
            found |= {Where(node, i) for i in range(int(first), int(last or first) + 1)} if slash else {Where(node)}
    return found


@given(st.sets(PLACES, min_size=9))
def test_ranges_name_exactly_the_places_given(places):
    assert expand(name_places(sorted(places))) == places
