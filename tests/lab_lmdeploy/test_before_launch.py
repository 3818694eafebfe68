# SPDX-License-Identifier: Apache-2.0
"""What Hakuna must know before LMDeploy is started, for LMDeploy itself says it late, or never."""

from __future__ import annotations

import pytest
from lab.plan import MODEL, Plan
from lab.twin import packages
from twin_runs import changed, hakuna, report

from lab import image

PLAN = Plan(nodes=2, devices=2, lmdeploy="0.18.0")
SITE = packages.SITE
OTHER = "0.14.0"
SECOND = ("lab-b",)


def squat(port):
    program = f"import socket, signal; s = socket.create_server(('', {port})); signal.pause()"
    do = f'/usr/bin/python3 -c "{program}" </dev/null >/dev/null 2>&1 & echo $! >/run/squat.pid; sleep 1'
    return do, "kill $(cat /run/squat.pid)"


FEW = f"sed -i 's/return int(os.environ.*), 0/return 1, 0/' {image.TWIN}/acl/__init__.py"
FAULTS = {
    "model-missing-on-the-second-node": (SECOND, f"mv {MODEL} {MODEL}.off", f"mv {MODEL}.off {MODEL}", "HST122"),
    "too-few-npus": (SECOND, FEW, f"cp {SITE}/acl/__init__.py {image.TWIN}/acl/__init__.py", "RAY504"),
    "port-taken": (("lab-a",), *squat(23333), "HST107"),
    "dlinfer-missing-on-the-second-node": (
        SECOND,
        f"mkdir /opt/off && mv {image.TWIN}/dlinfer* /opt/off",
        f"mv /opt/off/* {image.TWIN} && rmdir /opt/off",
        "CTR308",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_named_before_the_launch(lab, tmp_path, name):
    hosts, do, undo, rule = FAULTS[name]
    with changed(lab, hosts, do, undo):
        told, seconds = hakuna(tmp_path, server={"pipeline": False})
    report(f"{name}: Hakuna after {seconds:.0f} s: {told.root_causes}")
    assert told.verdict == "NOT READY", told.output
    assert [(f.rule, f.where) for f in told.root_causes] == [(rule, hosts[0])], told.output
    assert "SRV701" in told.blocked


def test_another_release_on_the_second_node(lab, tmp_path):
    packages.prepare_release(OTHER, print)
    mine, other = packages.release(PLAN.lmdeploy), packages.release(OTHER)
    with changed(lab, SECOND, f"mount --bind {other} {mine}", f"umount {mine}"):
        told, seconds = hakuna(tmp_path, server={"pipeline": False})
    report(f"another release: Hakuna after {seconds:.0f} s: {told.root_causes}")
    assert told.verdict == "NOT READY", told.output
    assert [(f.rule, f.where) for f in told.root_causes] == [("CTR308", "lab-b")], told.output
