# SPDX-License-Identifier: Apache-2.0
"""A real LMDeploy that serves, and is not right all the same."""

from __future__ import annotations

from lab.plan import Plan
from lab.twin import packages
from twin_runs import changed, hakuna, report

from lab import image

PLAN = Plan(nodes=2, devices=1, lmdeploy="0.18.0")


def causes(told):
    return [(f.rule, f.where) for f in told.root_causes]


def test_a_lost_chat_template_is_seen_by_its_tokens(lab, tmp_path):
    """A torch_npu that transformers cannot use: LMDeploy goes on without the template, and says so to nobody."""
    file = f"{image.TWIN}/torch_npu/__init__.py"
    spoil = f"sed -i 's/npu_fusion_attention/other/' {file}"
    with changed(lab, ("lab-a",), spoil, f"cp {packages.SITE}/torch_npu/__init__.py {file}"):
        told, seconds = hakuna(tmp_path, server={"pipeline": False})
    report(f"chat template lost: Hakuna after {seconds:.0f} s: {told.root_causes}")
    assert told.verdict == "NOT READY", told.output
    assert causes(told) == [("GEN812", "lab-a")], told.output


def test_hccl_if_ip_in_the_serving_shell_is_named(lab, tmp_path):
    ip = lab.plan.host_ip("lab-a")
    told, seconds = hakuna(tmp_path, server={"pipeline": False, "env": {"HCCL_IF_IP": ip}})
    report(f"HCCL_IF_IP in the serving shell: Hakuna after {seconds:.0f} s: {told.root_causes}")
    assert told.verdict == "NOT READY", told.output
    assert causes(told) == [("SRV706", "lab-a")], told.output
