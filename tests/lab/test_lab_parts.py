# SPDX-License-Identifier: Apache-2.0
"""The lab's own parts, as far as they can be tested without building a host."""

from __future__ import annotations

import os

import pytest
from lab.build import Lab
from lab.machine import LabError, Process
from lab.plan import Plan

from hakuna.inventory import load
from lab import __main__ as command
from lab import faults, image, inventory, needs, oci_runtime


def small_lab():
    plan = Plan(nodes=2, devices=2)
    return Lab(plan, Process(1, 0), {name: Process(1, 0) for name in plan.hosts})


def test_no_two_things_of_the_largest_lab_share_an_address():
    plan = Plan(nodes=16, devices=16)
    hosts = [plan.host_ip(h) for h in plan.hosts]
    devices = [plan.device_ip(h, d) for h in plan.hosts for d in range(plan.devices)]
    assert len(set(hosts + devices)) == 16 + 16 * 16


@pytest.mark.parametrize(("bare", "engine"), [(True, "docker"), (False, "docker"), (False, "podman")])
def test_the_inventory_that_is_written_can_be_loaded(tmp_path, monkeypatch, bare, engine):
    for name in ("key", "known_hosts"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(inventory, "FOLDER", tmp_path)
    path = tmp_path / "lab.yaml"
    path.write_text(inventory.text(Plan(nodes=3, devices=4, bare=bare, engine=engine)))
    loaded = load(path).inventory
    assert loaded.world_size == 12
    assert loaded.container.engine.value == ("none" if bare else engine)


def test_without_root_it_refuses_in_words(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(command.build, "find", lambda: None)
    assert command.main(["up"]) == 2
    assert "run it as root" in capsys.readouterr().out


def test_only_missing_packages_are_asked_for(tmp_path, monkeypatch):
    listed = tmp_path / "packages.txt"
    listed.write_text("# what\nsh dash\nno-such-program-here some-package\n/no/such/file other-package\n")
    monkeypatch.setattr(needs, "PACKAGES", listed)
    assert needs.missing(Plan()) == ["other-package", "some-package"]


def test_each_engine_asks_for_its_own_packages(tmp_path, monkeypatch):
    listed = tmp_path / "packages.txt"
    listed.write_text("no-such-a for-all\nno-such-b for-docker docker\nno-such-c for-podman podman\n")
    monkeypatch.setattr(needs, "PACKAGES", listed)
    assert needs.missing(Plan()) == ["for-all", "for-docker"]
    assert needs.missing(Plan(engine="podman")) == ["for-all", "for-podman"]
    assert needs.missing(Plan(bare=True)) == ["for-all"]


def test_of_several_packages_the_one_of_the_release_is_taken(monkeypatch):
    monkeypatch.setattr(needs, "run", lambda words, **_: "Package: x" if words[-1] == "new" else "")
    assert needs._of_release(["older", "new"]) == "new"
    assert needs._of_release(["older", "oldest"]) == "oldest"


def test_podmans_containers_go_into_the_labs_control_group(tmp_path, monkeypatch):
    monkeypatch.setattr(oci_runtime, "GROUP", str(tmp_path / "cgroup"))
    bundle = {"linux": {"cgroupsPath": "/libpod_parent/libpod-0123"}}
    oci_runtime.move(bundle)
    assert bundle["linux"]["cgroupsPath"] == "/libpod_parent/libpod-0123"
    (tmp_path / "cgroup").write_text("/hakuna-lab/lab-a\n")
    oci_runtime.move(bundle)
    assert bundle["linux"]["cgroupsPath"] == "/hakuna-lab/lab-a/libpod-0123"
    docker = {"linux": {"cgroupsPath": "/hakuna-lab/lab-a/0123"}}
    oci_runtime.move(docker)
    assert docker["linux"]["cgroupsPath"] == "/hakuna-lab/lab-a/0123"


@pytest.mark.parametrize("text", ["lab-z", "lab-a/7", "lab-a/x", "lab-a/0>lab-q/1"])
def test_a_place_that_the_lab_has_not_is_refused(text):
    with pytest.raises(LabError):
        faults.Place.parse(text, small_lab())


def test_a_place_reads_back_as_it_was_written():
    for text in ("lab-a", "lab-b/1", "lab-a/0>lab-b/1"):
        assert str(faults.Place.parse(text, small_lab())) == text


def test_a_fault_belongs_to_its_kind_of_place(monkeypatch, tmp_path):
    monkeypatch.setattr(faults, "FAULTS", tmp_path / "faults.json")
    with pytest.raises(LabError, match="is at a device, not at lab-a"):
        faults.put_in(small_lab(), "link-down", "lab-a")
    with pytest.raises(LabError, match="no fault 'nonsense'"):
        faults.put_in(small_lab(), "nonsense")


def test_the_runtime_asks_only_for_what_the_machine_has():
    process = {
        "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "ambient": None},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 2**40, "soft": 2**40}],
        "oomScoreAdj": -500,
    }
    oci_runtime.mend(process, {"CAP_CHOWN"})
    assert process["capabilities"] == {"bounding": ["CAP_CHOWN"], "ambient": []}
    assert process["rlimits"][0]["hard"] < 2**40
    assert process["oomScoreAdj"] == 0


def test_the_runtime_leaves_a_whole_machine_alone():
    process = {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"]}, "oomScoreAdj": -500}
    oci_runtime.mend(process, {"CAP_CHOWN", "CAP_SYS_RESOURCE"})
    assert process == {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"]}, "oomScoreAdj": -500}


@pytest.mark.parametrize(
    ("words", "value"),
    [(["create", "--bundle", "/b", "id"], "/b"), (["create", "--bundle=/b"], "/b"), (["create"], "")],
)
def test_the_runtime_finds_the_bundle(words, value):
    assert oci_runtime.option(words, "--bundle", "-b") == value


def test_the_image_holds_each_file_once(tmp_path):
    layer = image._Layer()
    tool = tmp_path / "tool"
    tool.write_text("x")
    (tmp_path / "link").symlink_to("tool")
    layer.copy(tmp_path / "link")
    layer.copy(tool)
    names = layer.tar.getnames()
    assert sorted(names) == sorted(set(names))
    assert len(names) == 2
