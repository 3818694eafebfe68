# SPDX-License-Identifier: Apache-2.0
"""A real LMDeploy that was started by hand and serves, and is not right all the same: what --attach says of it."""

from __future__ import annotations

import time

import pytest
from by_hand import LOG, alone, serving, workers
from lab.plan import Plan
from lab.twin import packages
from twin_runs import GENERATION, attach, broken, causes, changed, findings, hakuna, on, ray_up, report

from lab import host, image

PLAN = Plan(nodes=2, devices=1, lmdeploy="0.18.0")
TP = 2
EAGER = "--eager-mode"
NOWHERE = "198.18.255.1:6379"  # benchmark addresses: no network has them


@pytest.fixture(scope="module")
def cluster(lab, tmp_path_factory):
    """Containers and Ray, and no server yet."""
    folder = tmp_path_factory.mktemp("cluster")
    with ray_up(folder, server={"pipeline": False}) as (told, _):
        assert told.verdict == "READY", told.output
        yield folder


def judge(folder, name, wanted):
    told, seconds = attach(folder)
    report(f"{name}: Hakuna after {seconds:.0f} s: {causes(told)}; LMDeploy serves, and says nothing")
    assert causes(told) == wanted, told.output
    assert told.verdict == ("NOT READY" if wanted else "READY"), told.output


def test_it_is_ready_as_the_guide_starts_it(lab, cluster):
    with serving(lab, TP, None, EAGER):
        judge(cluster, "as the guide says", [])


def test_without_an_expected_answer_one_process_tells(lab, cluster, tmp_path):
    """The answer of the model without ranks is what the answer of all ranks is compared with."""
    nothing = {"expect": {"equals": "", "chat": ""}, "pipeline": False}
    with serving(lab, TP, None, EAGER):
        good, _ = hakuna(tmp_path, "--attach", server=nothing)
        (judged,) = [c["verdict"] for c in findings(tmp_path)["checks"] if c["rule"] == "GEN815"]
        with broken(lab, "lost 1"):
            told, seconds = hakuna(tmp_path, "--attach", server=nothing)
    report(f"a rank lost, and no answer expected: Hakuna after {seconds:.0f} s: {causes(told)}")
    assert good.verdict == "READY", good.output
    assert judged == "PASS", good.output
    assert told.verdict == "NOT READY", told.output
    assert {f.rule for f in told.root_causes} <= {*GENERATION, "GEN815"}, told.output


def test_a_lost_chat_template_is_seen_by_its_tokens(lab, cluster):
    """A torch_npu that transformers cannot use: LMDeploy goes on without the template, and says so to nobody."""
    file = f"{image.TWIN}/torch_npu/__init__.py"
    spoil = f"sed -i 's/npu_fusion_attention/other/' {file}"
    mend = f"cp {packages.SITE}/torch_npu/__init__.py {file}"
    with changed(lab, ("lab-a",), spoil, mend), serving(lab, TP, None, EAGER):
        judge(cluster, "chat template lost", [("GEN812", "lab-a")])


def test_hccl_if_ip_in_the_serving_shell_is_named(lab, cluster):
    with serving(lab, TP, {"HCCL_IF_IP": lab.plan.host_ip("lab-a")}, EAGER):
        judge(cluster, "HCCL_IF_IP in the serving shell", [("SRV706", "lab-a")])


def test_another_clusters_address_is_named(lab, cluster):
    """In the serving shell LMDeploy takes any RAY_ADDRESS, also one at which nobody is."""
    said = alone(lab, TP, {"RAY_ADDRESS": NOWHERE}, seconds=120)
    host.put(lab.host("lab-a"), LOG, said.log.encode())
    told, seconds = attach(cluster)
    report(f"RAY_ADDRESS elsewhere: Hakuna after {seconds:.0f} s: {causes(told)}; {said}")
    assert causes(told) == [("SRV712", "lab-a")], told.output
    assert NOWHERE in told.output


def test_a_worker_that_was_killed_is_named_though_health_is_green(lab, cluster):
    with serving(lab, TP, None, EAGER):
        (pid,) = workers(lab, "lab-b")
        on(lab, "lab-b", f"docker exec hakuna kill -9 {pid}")
        time.sleep(2)
        judge(cluster, "a worker killed while serving", [("SRV710", "lab-b")])
