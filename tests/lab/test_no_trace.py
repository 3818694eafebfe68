# SPDX-License-Identifier: Apache-2.0
"""What the machine is like before a lab, it is like after it: containers, namespaces, processes, files, settings."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lab.machine import marked, start_of
from lab.plan import CGROUP, FOLDER, INVENTORY, MARK, NAME, Plan
from lab_runs import newest, run

from conftest import command
from lab import build

PLAN = Plan(devices=2)
#: Labs of other checkouts come and go as they like.
OTHERS = re.compile(
    rf"hakuna-lab(?!{NAME.removeprefix('hakuna-lab')}\b)\d*\b" if NAME != "hakuna-lab" else r"hakuna-lab\d+"
)
FOLDERS = ("/run", "/etc", "/usr/local", "/var/lib", "/var/log", "/models", "/lib/modules", "/dev", "/root")
SETTINGS = ("net/ipv4/ip_forward", "net/ipv4/ip_local_reserved_ports", "net/bridge/bridge-nf-call-iptables")


def said(*words):
    if shutil.which(words[0]) is None:
        return set()
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return {line for line in done.stdout.splitlines() if not OTHERS.search(line)}


def snapshot():
    """What a lab could leave behind on this machine, by kind."""
    groups = {str(p) for p in Path("/sys/fs/cgroup").glob("**/") if CGROUP in p.parts or "libpod" in p.name}
    links = {line.split(":")[1].partition("@")[0].strip() for line in said("ip", "-o", "link")}
    settings = {name: p.read_text() for name in SETTINGS if (p := Path("/proc/sys", name)).exists()}
    return {
        "docker ps -a": said("docker", "ps", "-aq", "--no-trunc"),
        "podman ps -a": said("podman", "ps", "-aq", "--no-trunc"),
        "ip netns": said("ip", "netns"),
        "interfaces": {name for name in links if name},
        "rules": said("nft", "list", "ruleset"),
        "mounts": {line.split()[4] for line in said("cat", "/proc/self/mountinfo")},
        "processes": {f"{pid}" for pid in marked(MARK)},
        "groups": groups,
        "settings": set(settings.items()),
        "files": {
            str(path)
            for folder in FOLDERS
            for path in (Path(folder), *Path(folder).glob("*"))
            if path.exists() and not OTHERS.search(str(path))
        },
        "own files": {str(p) for p in (FOLDER, INVENTORY) if p.exists()},
        "memory files": {p for p in ("/tmp/ray", "/tmp/hakuna", "/tmp/hakuna-lease") if Path(p).exists()},
    }


def space_of(process):
    """The process namespace; empty when the process has just ended."""
    try:
        return str(Path("/proc", process, "ns/pid").readlink())
    except OSError:
        return ""


@contextlib.contextmanager
def spaces(lab):
    """The process namespaces of the hosts: whatever runs in one belongs to the lab.

    They are held open meanwhile: the kernel gives the number of one that has ended to the next that begins.
    """
    with contextlib.ExitStack() as stack:
        for init in lab.hosts.values():
            stack.enter_context(Path("/proc", str(init.pid), "ns/pid").open("rb"))
        yield {space_of(str(init.pid)) for init in lab.hosts.values()}


def living_in(found):
    """The processes of the machine that are in one of these namespaces; not those that have ended and that the machine's
    own process 1 has not collected yet."""
    return [p.name for p in Path("/proc").glob("[0-9]*") if space_of(p.name) in found and start_of(int(p.name))]


def test_a_lab_leaves_nothing_on_the_machine():
    if os.environ.get("HAKUNA_LAB_TESTS") != "1":
        pytest.skip("builds real hosts: set HAKUNA_LAB_TESTS=1")
    before = snapshot()
    assert not before["own files"], "a lab is up already; it is somebody's: python -m lab down"
    words = ("up", "--nodes", "2", "--devices", str(PLAN.devices))
    command(*words)
    with contextlib.ExitStack() as stack:
        try:
            lab = build.find()
            command(*words)  # once more: it is up already
            assert build.find() == lab
            command("status")
            during = snapshot()
            assert during["own files"]
            assert NAME in during["interfaces"]
            found = stack.enter_context(spaces(lab))
            assert len(found) == 2
            reports = FOLDER / "reports"
            told = run(reports)
            assert told.root_causes == (), told.output
            assert (newest(reports) / "evidence" / "server.start").exists(), told.output
            assert len(living_in(found)) >= 6, "process 1, sshd and dockerd of each host"
        finally:
            command("down")
        command("down")  # once more: nothing is there
        assert living_in(found) == []
    after = snapshot()
    assert {kind: after[kind] ^ before[kind] for kind in before if after[kind] != before[kind]} == {}
