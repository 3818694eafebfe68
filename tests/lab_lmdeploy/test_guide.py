# SPDX-License-Identifier: Apache-2.0
"""The guide from end to end with the real LMDeploy, tp=16 on two hosts; and the same when its all-reduce lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.plan import CGROUP, Plan
from twin_runs import GENERATION, SENTENCE, broken, evidence, hakuna, report

PLAN = Plan(nodes=2, devices=8, lmdeploy="0.18.0")


def peak():
    """The most memory that the containers had together, as far as this kernel tells."""
    for name in (f"memory/{CGROUP}/memory.max_usage_in_bytes", f"{CGROUP}/memory.peak"):
        path = Path("/sys/fs/cgroup", name)
        if path.exists():
            return f"{int(path.read_text()) / 2**30:.1f} GiB"
    return "not told by this kernel"


@pytest.mark.ci
def test_the_guide_is_ready_and_the_sentence_comes_through_every_door(lab, tmp_path):
    told, seconds = hakuna(tmp_path)
    report(f"Hakuna's run: {seconds:.0f} s, containers' memory at most {peak()}\n{told.output[-2500:]}")
    assert told.verdict == "READY", told.output
    answers = evidence(tmp_path)
    for name in ("completion", "chat"):
        assert SENTENCE in _said(answers, f"generation.{name}"), name
    assert SENTENCE in _said(answers, "server.pipeline")


def _said(answers, name):
    files = [p for p in answers.rglob("*") if p.is_file() and name in str(p)]
    return "".join(p.read_text(encoding="utf-8", errors="replace") for p in files)


@pytest.mark.ci
def test_an_all_reduce_that_does_nothing_is_seen_in_the_text(lab, tmp_path):
    with broken(lab, "nothing"):
        told, seconds = hakuna(tmp_path, server={"pipeline": False})
    report(f"an all-reduce that does nothing: NOT READY after {seconds:.0f} s: {told.root_causes}")
    assert told.verdict == "NOT READY", told.output
    assert {f.rule for f in told.root_causes} <= set(GENERATION), told.output
    assert told.root_causes, told.output
