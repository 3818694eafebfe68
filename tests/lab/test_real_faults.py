# SPDX-License-Identifier: Apache-2.0
"""Every real fault is found by a preflight: one root cause, of the right rule, at the right place."""

from __future__ import annotations

import pytest
from lab.plan import Plan
from lab_runs import Finding, mesh_of, newest, run

from lab import faults

PLAN = Plan(bare=True)
BAD = "lab-b/1"
AROUND = {(BAD, f"lab-a/{i}") for i in range(8)} | {(f"lab-a/{i}", BAD) for i in range(8)}
#: Which squares of the report's matrix must show loss, and no others.
IN_THE_MESH = {
    "loss": AROUND,
    "one-way": {("lab-a/0", BAD)},
    "vlan": AROUND,
    "tls-differs": set(),
}
#: A device without a link is not pinged: the squares of its pairs say so, and none has loss.
NOT_SENT = {"link-down": AROUND, "cable-out": AROUND}
PAIRS = {p for a in range(8) for b in range(8) for p in ((f"lab-a/{a}", f"lab-b/{b}"), (f"lab-b/{b}", f"lab-a/{a}"))}


def place_of(name, lab):
    """Where the report must say that the fault is."""
    if name == "tcp-silent":
        return "lab-a -> lab-b"  # it is the way that is closed, not the host that closes it
    return faults.default_place(faults.CATALOGUE[name], lab).replace(">", " -> ")


def test_without_a_fault_the_lab_is_ready(lab, tmp_path):
    told = run(tmp_path, "--preflight")
    assert told.verdict == "READY", told.output


@pytest.mark.parametrize("name", [name for name, fault in faults.CATALOGUE.items() if fault.bare])
def test_a_real_fault_is_the_single_root_cause_where_it_is(lab, tmp_path, name):
    faults.put_in(lab, name)
    try:
        told = run(tmp_path, "--preflight")
    finally:
        mended = faults.mend(lab)
    wanted = Finding(faults.CATALOGUE[name].rule, place_of(name, lab))
    assert told.root_causes == (wanted,), told.output
    assert told.verdict == "NOT READY"
    assert not told.unjudged
    assert len(mended) == 1
    if name in IN_THE_MESH or name in NOT_SENT:
        shown = mesh_of(newest(tmp_path))
        assert set(shown) == PAIRS
        silent = {pair for pair, said in shown.items() if said == f"{BAD}: not pinged: its link is down"}
        assert silent == NOT_SENT.get(name, set())
        lossy = {pair: float(loss) for pair, loss in shown.items() if loss != "0" and pair not in silent}
        assert set(lossy) == IN_THE_MESH.get(name, set()), lossy
        some = name == "loss"
        assert all((0 < loss < 100) is some for loss in lossy.values()), lossy


def test_mended_faults_leave_nothing(lab, tmp_path):
    assert faults.active() == []
    told = run(tmp_path, "--preflight")
    assert told.verdict == "READY", told.output
