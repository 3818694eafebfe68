# SPDX-License-Identifier: Apache-2.0
"""What Hakuna must know before LMDeploy is started, for LMDeploy itself says it late, or never."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from by_hand import alone
from lab.plan import MODEL, Plan
from lab.twin import packages
from twin_runs import attach, causes, changed, hakuna, on, ray_up, report

from lab import image

PLAN = Plan(nodes=2, devices=2, lmdeploy="0.18.0")
TP = 4
SITE = packages.SITE
OTHER = "0.14.0"
FIRST, SECOND = ("lab-a",), ("lab-b",)
NOSET = "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Fault:
    """What is done where, how it is undone, the rule that names it, and a word of what LMDeploy says ("": nothing)."""

    hosts: tuple[str, ...]
    do: str
    undo: str
    rule: str
    words: str = ""


def squat(port):
    program = f"import socket, signal; s = socket.create_server(('', {port})); signal.pause()"
    do = f'/usr/bin/python3 -c "{program}" </dev/null >/dev/null 2>&1 & echo $! >/run/squat.pid; sleep 1'
    return do, "kill $(cat /run/squat.pid)"


def another_release():
    """It comes first on PYTHONPATH; without its binaries, which are not needed here."""
    source = packages.release(OTHER)
    put = f"mkdir -p {image.TWIN} && cd {source} && tar c --exclude=lmdeploy/lib lmdeploy lmdeploy-*.dist-info"
    return f"{put} | tar x -C {image.TWIN}", f"rm -rf {image.TWIN}/lmdeploy {image.TWIN}/lmdeploy-*.dist-info"


FEW = f"sed -i 's/return int(os.environ.*), 0/return 1, 0/' {image.TWIN}/acl/__init__.py"
FAULTS = {
    "model-missing-on-the-second-node": Fault(
        SECOND, f"mv {MODEL} {MODEL}.off", f"mv {MODEL}.off {MODEL}", "HST122", "Error"
    ),
    "port-taken": Fault(FIRST, *squat(23333), "HST107", "address already in use"),
    "dlinfer-missing-on-the-second-node": Fault(
        SECOND,
        f"mkdir /opt/off && mv {image.TWIN}/dlinfer* /opt/off",
        f"mv /opt/off/* {image.TWIN} && rmdir /opt/off",
        "CTR308",
        "No module named 'dlinfer'",
    ),
    "another-release-on-the-second-node": Fault(SECOND, *another_release(), "CTR308", "Error"),
    "too-few-npus": Fault(SECOND, FEW, f"cp {SITE}/acl/__init__.py {image.TWIN}/acl/__init__.py", "RAY504"),
}
#: Nothing of it can be brought in while Ray runs.
BEFORE_RAY = ("too-few-npus",)


@pytest.fixture(scope="module", autouse=True)
def other_release(asked_for):
    packages.prepare_release(OTHER, print)


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_named_before_the_launch(lab, tmp_path, name):
    fault = FAULTS[name]
    with changed(lab, fault.hosts, fault.do, fault.undo):
        told, seconds = hakuna(tmp_path, server={"pipeline": False})
    report(f"{name}: Hakuna after {seconds:.0f} s: {causes(told)}")
    assert told.verdict == "NOT READY", told.output
    assert causes(told) == [(fault.rule, fault.hosts[0])], told.output
    assert "SRV701" in told.blocked


def test_lmdeploy_alone_waits_for_npus_in_silence(lab, tmp_path):
    """For 2561 s when it was let (its limit of 1800 s is looked at between waits that double); here for a minute."""
    fault = FAULTS["too-few-npus"]
    with changed(lab, fault.hosts, fault.do, fault.undo), ray_up(tmp_path, server={"pipeline": False}) as (told, _):
        assert causes(told) == [("RAY504", "lab-b")], told.output
        said = alone(lab, TP, seconds=60)
    report(f"too-few-npus: {said}")
    assert said.said is None, said.log[-3000:]
    assert said.ended is None, said.log[-3000:]


@pytest.fixture(scope="module")
def cluster(lab, tmp_path_factory):
    """Containers and Ray, and no server."""
    folder = tmp_path_factory.mktemp("cluster")
    with ray_up(folder, server={"pipeline": False}) as (told, _):
        assert told.verdict == "READY", told.output
        yield folder


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in BEFORE_RAY])
def test_what_lmdeploy_alone_says(lab, cluster, name):
    fault = FAULTS[name]
    with changed(lab, fault.hosts, fault.do, fault.undo):
        said = alone(lab, TP, seconds=150)
    report(f"{name}: {said}")
    assert fault.words in said.log, said.log[-3000:]
    assert said.said is not None or name == "port-taken", said.log[-3000:]


def test_ray_started_without_noset_on_the_second_node(lab, cluster):
    """Ray there is started again by hand, without the variable: each worker then sees one device, by the number 0."""
    node = lab.plan.host_ip("lab-b")
    env = {"GLOO_SOCKET_IFNAME": "eth0", "TP_SOCKET_IFNAME": "eth0", "HCCL_IF_IP": node}
    words = " ".join(f"export {name}={value};" for name, value in env.items())
    words += f" unset {NOSET}; ray stop; ray start --address={lab.plan.host_ip('lab-a')}:6379 --node-ip-address={node}"
    on(lab, "lab-b", f"docker exec hakuna sh -c '{words} --object-store-memory=100000000'")
    said = alone(lab, TP, seconds=150)
    told, seconds = attach(cluster)
    report(f"NOSET missing on the second node: Hakuna after {seconds:.0f} s: {causes(told)}; {said}")
    assert "Invalid device ID 1" in said.log, said.log[-3000:]
    assert causes(told) == [("RAY505", "lab-b")], told.output
