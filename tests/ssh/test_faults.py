# SPDX-License-Identifier: Apache-2.0
"""What is wrong is named, once and at its place, over real ssh; what depends on it is BLOCKED by it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.ssh
#: The stages that bring something up, in order; the teardown is judged whatever happened.
BRINGING_UP = ("container", "rank_table", "ray", "collective", "server", "generation")


def check_one_cause(one, session, rule, where):
    """The session found this one root cause, and everything that is not green is BLOCKED by it."""
    cause = {"rule": rule, "where": where}
    assert session.code == 1, session.text
    found = session.findings
    assert found["verdict"] == "NOT READY"
    assert [{"rule": c["rule"], "where": c["where"]} for c in found["root_causes"]] == [cause]
    checks = {c["rule"]: c for c in found["checks"]}
    assert checks[rule]["verdict"] == "FAIL"
    for code, check in checks.items():
        if code != rule and check["verdict"] not in ("PASS", "SKIP"):
            assert check["verdict"] == "BLOCKED", (code, check)
            assert [f["causes"] for f in check["findings"]] == [[cause]] * len(check["findings"]), (code, check)
            assert check["findings"], code
    stage = checks[rule]["stage"]
    later = BRINGING_UP[BRINGING_UP.index(stage) + 1 :] if stage in BRINGING_UP else BRINGING_UP
    waiting = [c for c in checks.values() if c["stage"] in later]
    assert {c["stage"] for c in waiting} == set(later)
    assert {c["verdict"] for c in waiting} == {"BLOCKED"}
    assert one.left == {}
    if stage not in BRINGING_UP:
        assert [argv for _, argv in one.calls if argv[:2] == ("docker", "run")] == []
    return checks[rule]["findings"][0]


def test_one_device_with_other_tls(cluster):
    one = cluster("tls-differs@node-b/1")
    finding = check_one_cause(one, one.run(), "NET204", "node-b/1")
    assert "hccn_tool -i 1 -tls -s enable 0" in finding["fix"]


def test_a_link_that_is_down(cluster):
    one = cluster("link-down@node-a/1")
    check_one_cause(one, one.run(), "NET207", "node-a/1")


def test_a_server_without_eager_mode(cluster):
    one = cluster("eager-missing")
    finding = check_one_cause(one, one.run(), "SRV703", "node-a")
    assert "--eager-mode" in finding["fix"]


def test_a_host_that_is_dead(cluster):
    one = cluster()
    one.sshds["node-b"].stop()
    session = one.run()
    finding = check_one_cause(one, session, "HST101", "node-b")
    assert "refused" in finding["observed"]
    assert {node for node, _ in one.calls} == {"node-a"}


def test_a_host_key_that_changed(cluster):
    one = cluster()
    sshd = one.sshds["node-b"]
    known = sshd.fingerprint
    sshd.change_host_key()
    assert sshd.fingerprint != known
    session = one.run()
    finding = check_one_cause(one, session, "HST102", "node-b")
    assert sshd.fingerprint in finding["observed"]
    assert {node for node, _ in one.calls} == {"node-a"}, "nothing was sent to a machine that may be another one"
