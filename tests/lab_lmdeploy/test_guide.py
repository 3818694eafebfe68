# SPDX-License-Identifier: Apache-2.0
"""The guide from end to end with the real LMDeploy, tp=16 on two hosts; and then its all-reduce begins to lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from by_hand import workers
from lab.plan import CGROUP, Plan
from twin_runs import GENERATION, SENTENCE, attach, broken, causes, evidence, findings, kept, report

PLAN = Plan(nodes=2, devices=8, lmdeploy="0.18.0")
TP = 16
WAYS = ("lost 0", "lost 15", "world 8", "swap 0 15")


def peak():
    """The most memory that the containers had together, as far as this kernel tells."""
    for name in (f"memory/{CGROUP}/memory.max_usage_in_bytes", f"{CGROUP}/memory.peak"):
        path = Path("/sys/fs/cgroup", name)
        if path.exists():
            return f"{int(path.read_text()) / 2**30:.1f} GiB"
    return "not told by this kernel"


@pytest.fixture(scope="module")
def guide(lab, tmp_path_factory):
    """The whole guide, and what it found; everything is left up, and taken down by ``hakuna down`` at the end."""
    folder = tmp_path_factory.mktemp("guide")
    with kept(folder) as (told, seconds):
        report(
            f"tp={TP}: {told.verdict} after {seconds:.0f} s, containers' memory at most {peak()}\n{told.output[-2500:]}"
        )
        yield folder, told


def body(folder, name):
    """What the server answered to one of the newest run's questions."""
    text = (evidence(folder) / "http" / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text)["answer"]["body"]


def completion(folder):
    return json.loads(body(folder, "generation.completion"))["choices"][0]["text"]


def chat(folder):
    return json.loads(body(folder, "generation.chat"))["choices"][0]["message"]["content"]


def stream(folder):
    rows = [row.removeprefix("data: ") for row in body(folder, "generation.stream").splitlines() if row]
    assert rows.pop() == "[DONE]"
    return "".join(c["delta"].get("content") or "" for row in rows for c in json.loads(row)["choices"])


def pipeline(folder):
    (answers,) = (evidence(folder) / "server.pipeline").iterdir()
    rows = [json.loads(row) for row in answers.read_text(encoding="utf-8").splitlines()]
    (said,) = [row["stdout"] for row in rows if row.get("id") == "pipeline" and "stdout" in row]
    return json.loads(said.strip().splitlines()[-1])["text"]


DOORS = (completion, chat, stream, pipeline)


@pytest.mark.ci
def test_the_guide_is_ready(guide):
    assert guide[1].verdict == "READY", guide[1].output


@pytest.mark.ci
@pytest.mark.parametrize("door", DOORS, ids=[d.__name__ for d in DOORS])
def test_the_sentence_comes_through_every_door(guide, door):
    assert door(guide[0]) == SENTENCE


@pytest.mark.ci
def test_each_host_has_eight_of_the_workers(guide, lab):
    assert [len(workers(lab, host)) for host in lab.plan.hosts] == [8, 8]
    verdicts = {c["rule"]: c["verdict"] for c in findings(guide[0])["checks"]}
    assert verdicts["SRV704"] == "PASS"


def judged_broken(lab, folder, how):
    with broken(lab, how):
        told, seconds = attach(folder)
    report(
        f"tp={TP}, all-reduce: {how}: {told.verdict} {causes(told)} after {seconds:.0f} s; it says {completion(folder)!r}"
    )
    assert told.verdict == "NOT READY", told.output
    assert told.root_causes, told.output
    assert {f.rule for f in told.root_causes} <= GENERATION, told.output


@pytest.mark.ci
def test_an_all_reduce_that_does_nothing_is_seen_in_the_text(guide, lab):
    judged_broken(lab, guide[0], "nothing")


@pytest.mark.parametrize("how", WAYS)
def test_a_wrong_sum_is_seen_in_the_text(guide, lab, how):
    judged_broken(lab, guide[0], how)


def test_it_is_ready_again_when_the_sum_is_right(guide):
    told, seconds = attach(guide[0])
    report(f"tp={TP}, mended: {told.verdict} after {seconds:.0f} s")
    assert told.verdict == "READY", told.output
