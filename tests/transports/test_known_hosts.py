# SPDX-License-Identifier: Apache-2.0
"""known_hosts files as ssh-keygen writes them, and patience with a busy sshd."""

from __future__ import annotations

import base64
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from hakuna.transports.known_hosts import HostKey, KnownHosts, entry_name
from hakuna.transports.patience import BusyError, Ramp, pauses

KEY_A = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbZ7hXVWFqWbKlW9cK3sV2pGZbSMNFPLAk4YPxJ5aUn"
KEY_B = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBXVWFqWbKlW9cK3sV2pGZbSMNFPLAk4YPxJ5aUn"


def known(tmp_path: Path, text: str) -> KnownHosts:
    file = tmp_path / "known_hosts"
    file.write_text(text)
    return KnownHosts([str(file), str(tmp_path / "not there")])


def key(text: str) -> HostKey:
    kind, blob = text.split()
    return HostKey(kind, base64.b64decode(blob))


@pytest.mark.parametrize(
    ("names", "name", "found"),
    [
        ("node-a", "node-a", True),
        ("node-a", "node-b", False),
        ("node-a,10.0.0.1", "10.0.0.1", True),
        ("[node-a]:2222", "[node-a]:2222", True),
        ("[node-a]:2222", "node-a", False),
        ("*.lab", "node-a.lab", True),
        ("*.lab,!bad.lab", "bad.lab", False),
        ("node-?", "node-a", True),
        ("NODE-A", "node-a", True),
        ("node.a", "nodexa", False),
    ],
)
def test_names_match_as_in_openssh(tmp_path: Path, names: str, name: str, found: bool) -> None:
    assert known(tmp_path, f"{names} {KEY_A} comment\n").keys(name) == ((key(KEY_A),) if found else ())


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen")
def test_hashed_names_match(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"node-a,10.0.0.1 {KEY_A}\n[node-b]:2222 {KEY_B}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert "node-a" not in file.read_text()
    hosts = KnownHosts([str(file)])
    assert hosts.keys("node-a") == hosts.keys("10.0.0.1") == (key(KEY_A),)
    assert hosts.keys("[node-b]:2222") == (key(KEY_B),)
    assert hosts.keys("node-b") == ()


def test_lines_that_mean_no_key_are_left_out(tmp_path: Path) -> None:
    hosts = known(
        tmp_path,
        f"# node-a {KEY_A}\n\nnode-a\nnode-a ssh-ed25519 !!!\n@cert-authority node-a {KEY_A}\n|1|x node-a\n@revoked * {KEY_B}\n"
        f"|1|broken|hash {KEY_A}\n",
    )
    assert hosts.keys("node-a") == ()
    assert hosts.revoked(key(KEY_B))
    assert not hosts.revoked(key(KEY_A))


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen")
def test_the_fingerprint_is_the_one_ssh_keygen_prints(tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text(KEY_A + "\n")
    printed = subprocess.run(["ssh-keygen", "-lf", str(file)], check=True, capture_output=True, text=True).stdout
    assert printed.split()[1] == key(KEY_A).fingerprint


def test_a_port_other_than_ssh_s_own_is_part_of_the_name() -> None:
    assert entry_name("node-a", 22) == "node-a"
    assert entry_name("node-a", 2222) == "[node-a]:2222"


def test_a_refusal_halves_what_is_made_at_a_time_and_a_success_adds_one() -> None:
    ramp = Ramp(limit=8)
    for expected in (4, 2, 1, 1):
        with pytest.raises(BusyError), ramp.turn():
            raise BusyError
        assert ramp.limit == expected
    with ramp.turn():
        pass
    assert ramp.limit == 2
    with pytest.raises(KeyError), ramp.turn():
        raise KeyError
    assert ramp.limit == 2


def test_no_more_are_made_at_a_time_than_the_ramp_lets() -> None:
    ramp = Ramp(limit=2, most=2)
    lock, most, now = threading.Lock(), 0, 0
    full = threading.Barrier(2)

    def make() -> None:
        nonlocal most, now
        with ramp.turn():
            with lock:
                now += 1
                most = max(most, now)
            full.wait(5)  # two at a time do get in
            with lock:
                now -= 1

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 2


def test_pauses_grow_and_end() -> None:
    made = list(pauses(5.0))
    assert 4 <= len(made) <= 8
    assert made[0] <= 0.15
    assert made[-1] > made[0]
    assert sum(made) < 12
    assert list(pauses(0.0)) == []
