# SPDX-License-Identifier: Apache-2.0
"""A bundle can be judged again, and says the same with other names; no secret and no name of the site is in it."""

from __future__ import annotations

import ipaddress
import json
import tarfile
import time

import pytest
from cluster import new_run, shaped, with_faults
from hypothesis import given, settings
from hypothesis import strategies as st

from hakuna import cli
from hakuna.evidence.store import EvidenceStore
from hakuna.inventory.model import Inventory
from hakuna.judgement.verdict import Verdict
from hakuna.reports.anonymous import Anonymous, CannotReplaceError, Names, walk
from hakuna.reports.bundle import make
from hakuna.reports.model import NotARunError, from_folder
from hakuna.reports.writer import WRITTEN, write_all
from hakuna.stages.collectors import COLLECTORS
from hakuna.stages.holder import Holder
from hakuna.stages.journal import Journal
from hakuna.stages.judge import Judge
from hakuna.stages.run import Plan, Run, save_run
from hakuna.suites import load_rules
from hakuna.transports.replay import ReplayTransport

SITE = ("npu-prague-07", "npu-prague-12")
ADDRESSES = ("10.77.31.7", "10.77.31.12")


def site(*faults):
    base = shaped(2, 2, cluster="prague")
    nodes = tuple(
        n.model_copy(update={"name": name, "address": f"{name}.example.net", "node_ip": ip})
        for n, name, ip in zip(base.nodes, SITE, ADDRESSES, strict=True)
    )
    return with_faults(*faults, inventory=base.model_copy(update={"nodes": nodes}))


def hold(reports, inventory, name="run"):
    run = new_run(reports, inventory, name=name)
    summary = Judge(run).everything()
    for result in summary.results.values():
        run.journal.write("check", result=result.as_json(), nodeid=f"suites::{result.rule}")
    run.journal.write("end", verdict=summary.verdict.value, interrupted="")
    run.transport.close()
    return run.folder


def judged_again(source, folder):
    """What a replay judges, as ``--replay`` does it."""
    data = json.loads((source / "run.json").read_text())
    store = EvidenceStore(source / "evidence")
    folder.mkdir()
    run = Run(
        id=data["id"],
        folder=folder,
        inventory=Inventory.model_validate(data["inventory"]),
        inventory_name=data["inventory_name"],
        transport=ReplayTransport(store),
        store=store,
        journal=Journal(folder),
        plan=Plan.from_json(data["plan"]),
        holder=Holder(**data["holder"]),
        live=False,
    )
    run.use(COLLECTORS)
    run.journal.write("run", id="again")
    save_run(run, past=data.get("past") or {"run": "", "facts": {}, "series": {}})
    return Judge(run).everything()


def unpacked(path, to):
    with tarfile.open(path) as archive:
        archive.extractall(to, filter="data")
    [folder] = to.iterdir()
    return folder


def said(summary, change=str):
    """All that a run found, without times."""
    return {
        code: {k: v for k, v in walk(result.as_json(), change).items() if k not in ("seconds", "notes")}
        for code, result in summary.results.items()
    }


@pytest.mark.parametrize(
    "faults",
    [
        (),
        (f"tls-differs@{SITE[1]}/1", f"wrong-netmask@{SITE[0]}/0"),
        (f"hostname-loopback@{SITE[1]}", f"partial-loss@{SITE[0]}/1"),
        (f"wrong-ray-address@{SITE[1]}",),
    ],
    ids=lambda f: "+".join(x.partition("@")[0] for x in f) or "green",
)
def test_an_anonymous_bundle_gives_the_same_findings(faults, tmp_path):
    source = hold(tmp_path / "reports", site(*faults))
    bundle = make(source, tmp_path / "bundle.tar.gz", load_rules(), anonymize=True)
    folder = unpacked(bundle.path, tmp_path / "out")
    before, after = judged_again(source, tmp_path / "before"), judged_again(folder, tmp_path / "after")
    assert said(after) == said(before, bundle.anonymous.text)
    assert after.verdict is before.verdict
    assert bool(faults) == bool(after.root_causes)
    assert Verdict.PASS in after.counts
    everything = b"".join(p.name.encode() + p.read_bytes() for p in folder.rglob("*") if p.is_file())
    for word in (*SITE, "example.net", "prague", *ADDRESSES):
        assert word.encode() not in everything, word
    assert {p.name for p in folder.iterdir()} >= {"report.html", "findings.json", "junit.xml", "README.txt", "evidence"}


def test_a_bundle_holds_no_secret_and_what_is_needed(tmp_path, capsys, monkeypatch):
    source = hold(tmp_path / "reports", site())
    log = source / "logs" / SITE[0] / "api_server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"\xff pulling from https://robot:canary-1@registry/ with HF_TOKEN=canary-2\ncanary-3-value\n")
    (source / "locks" / "x").write_text("canary-4")
    monkeypatch.setenv("SITE_API_KEY", "canary-3-value")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["bundle", str(source)]) == 0
    assert "without secrets" in capsys.readouterr().out
    folder = unpacked(tmp_path / "run.tar.gz", tmp_path / "out")
    everything = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert b"canary" not in everything
    assert b"\xff pulling" in everything
    assert SITE[0].encode() in everything
    assert said(judged_again(folder, tmp_path / "a")) == said(judged_again(source, tmp_path / "b"))


def test_a_log_of_a_gigabyte_breaks_nothing(tmp_path):
    """A sparse file: its end is shown, its end is bundled, and nobody waits for the rest."""
    source = hold(tmp_path / "reports", site())
    log = source / "logs" / SITE[0] / "api_server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, 2)
        file.write(b"\x1b[31m</script>\xff\xfe $(reboot) `reboot` the end\n")
    begun = time.process_time()
    report = from_folder(source)
    write_all(report, source)
    text = (source / "report.html").read_text(encoding="utf-8")
    assert "&lt;/script&gt;" in text
    assert "the end" in text
    assert len(text) < 1_000_000
    bundle = make(source, tmp_path / "b.tar.gz", load_rules())
    assert bundle.path.stat().st_size < 2_000_000
    assert time.process_time() - begun < 20
    assert {p.name for p in source.iterdir()} >= {w.name for w in WRITTEN}


def test_a_run_that_was_killed_can_be_bundled(tmp_path):
    source = hold(tmp_path / "reports", site())
    journal = source / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    folder = unpacked(make(source, tmp_path / "b.tar.gz", load_rules(), anonymize=True).path, tmp_path / "out")
    assert "cut short" in (folder / "report.html").read_text(encoding="utf-8")


def test_mistakes_are_sentences(tmp_path, capsys):
    with pytest.raises(NotARunError):
        make(tmp_path, tmp_path / "b", load_rules())
    assert cli.main(["bundle", str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err
    with pytest.raises(CannotReplaceError, match="'npu'"):
        Anonymous.of(Names(nodes=("ray", "npu")), (), b"k")


ADDRESS = st.integers(0, 255).flatmap(
    lambda n: st.tuples(st.just(10 + n % 3), st.integers(0, 3), st.integers(0, 255), st.integers(0, 255))
)


@settings(max_examples=25)
@given(st.sets(ADDRESS, min_size=2, max_size=30), st.binary(min_size=1, max_size=8))
def test_addresses_keep_their_order_and_their_subnets(parts, key):
    old = sorted(ipaddress.IPv4Address(".".join(map(str, p))) for p in parts)
    anonymous = Anonymous.of(Names(), ["\n".join(map(str, old))], key)
    new = [ipaddress.IPv4Address(anonymous.text(str(a))) for a in old]
    assert new == sorted(set(new))

    def shared(a, b):
        return 32 - (int(a) ^ int(b)).bit_length()

    assert [shared(a, b) for a, b in zip(new, new[1:], strict=False)] == [
        shared(a, b) for a, b in zip(old, old[1:], strict=False)
    ]


def test_what_is_replaced_and_what_is_not():
    text = "node-a 10.1.2.3:6379 fd00:1:2::7 4c:b1:6c:00:01:01 255.255.255.0 127.0.0.1 version 7.7.0.1.231 node-a/3 12:30:45"
    new = Anonymous.of(Names(nodes=("node-a",)), [text], b"key").text(text)
    words = new.split()
    assert words[0] == "node001"
    assert words[1].endswith(".3:6379")
    assert words[1] != "10.1.2.3:6379"
    assert ipaddress.ip_address(words[2]) != ipaddress.ip_address("fd00:1:2::7")
    assert words[3].startswith("02:")
    assert words[4:] == ["255.255.255.0", "127.0.0.1", "version", "7.7.0.1.231", "node001/3", "12:30:45"]
