# SPDX-License-Identifier: Apache-2.0
"""The plain tools and the scripts about the node itself."""

from __future__ import annotations

import hashlib
import json
import time

import pytest


def script(node, name, *args, stdin=b"", container=None):
    return node.execute(("sh", "-c", "TEXT", name, *args), stdin=stdin, container=container).stdout.decode()


@pytest.mark.parametrize(
    ("command", "fault", "good", "bad"),
    [
        ("cat /usr/local/Ascend/driver/version.info", "driver-differs", "\nInnerversion=", "Version=24.1.rc3\n"),
        (
            "cat /usr/local/Ascend/firmware/version.info",
            "firmware-differs",
            "Version=7.7.0.1.231\n",
            "Version=7.5.0.3.220\n",
        ),
        ("cat /proc/self/limits", "low-nofile", "Max open files            655350 ", "Max open files            1024 "),
        ("cat /proc/sys/net/ipv4/ip_local_reserved_ports", "ports-not-reserved", "60000-60031\n", "\n"),
        ("ip -j addr show", "interface-missing", '"ifname":"eth0"', '"ifname":"bond0"'),
        ("ip addr", "interface-missing", "2: eth0: <BROADCAST", "2: bond0: <BROADCAST"),
        ("ss -H -l -t -n -p", "port-taken", "0.0.0.0:22 ", 'users:(("redis-server",pid=2211,fd=6))'),
        ("find /dev -maxdepth 1 -name davinci*", "device-node-missing", "/dev/davinci3\n", "/dev/davinci4\n"),
        ("hostname", "hostname-duplicate", "node-b\n", "node-a\n"),
        ("uname -srm", "low-disk", "Linux 5.10.0-216.0.0.115.oe2203sp4.aarch64 aarch64\n", "Linux "),
    ],
)
def test_what_a_tool_says_without_and_with_a_fault(say, command, fault, good, bad):
    assert good in say(command)
    assert bad in say(command, fault)


def test_a_fault_changes_only_its_node(cluster):
    for fault in ("driver-differs", "clock-skew", "low-disk", "model-missing", "interface-missing"):
        good, bad = cluster()["node-a"], cluster(f"{fault}@node-b")["node-a"]
        for command in (
            "cat /usr/local/Ascend/driver/version.info",
            "df -P -B1 /",
            "ip addr",
            "find /models/model -type f",
        ):
            argv = tuple(command.split())
            assert good.execute(argv) == bad.execute(argv)


def test_the_missing_device_node_is_the_only_one(say):
    assert "davinci3" not in say("find /dev -name davinci*", "device-node-missing")
    assert say("find /dev -name davinci*", "device-node-missing").count("davinci") == 8  # with davinci_manager


def test_the_clock(cluster):
    now = time.time()
    assert abs(float(cluster()["node-b"].execute(("date", "+%s.%N")).stdout) - now) < 5
    assert 25 < float(cluster("clock-skew")["node-b"].execute(("date", "+%s.%N")).stdout) - now < 35


def test_disks_in_bytes(say):
    rows = say("df -P -B1 / /dev/shm", "low-disk").splitlines()
    assert rows[0].split()[:2] == ["Filesystem", "1-blocks"]
    assert int(rows[1].split()[3]) == 2**30
    assert rows[2].split()[0] == "tmpfs"


def test_the_model_and_its_hash(say):
    listing = "find -L /models/model -maxdepth 1 -type f -printf %f\\t%s\\n"
    rows = dict(r.split("\t") for r in say(listing).splitlines())
    config = say("cat /models/model/config.json")
    assert rows["config.json"] == str(len(config))
    assert json.loads(config)["model_type"] == "qwen2"
    assert say("sha256sum /models/model/config.json").split()[0] == hashlib.sha256(config.encode()).hexdigest()
    other = dict(r.split("\t") for r in say(listing, "model-differs").splitlines())
    assert [n for n in rows if rows[n] != other[n]] == ["model-00002-of-00004.safetensors"]
    assert say(listing, "model-missing").startswith("find: ")
    assert say("sha256sum /models/model/config.json", "model-missing").endswith("No such file or directory\n")


def test_files_that_are_written_read_cut_and_removed(cluster):
    node = cluster()["node-b"]
    content = "Hakuna Matata, 你好\n".encode() + b"\xff\x00"
    assert (
        script(node, "hakuna-write", "/tmp/x/table.json", stdin=content) == f"wrote /tmp/x/table.json {len(content)}\n"
    )
    assert node.execute(("cat", "/tmp/x/table.json")).stdout == content
    assert node.execute(("tail", "-c", "3", "/tmp/x/table.json")).stdout == content[-3:]
    assert node.execute(("ls", "/tmp/x")).stdout == b"table.json\n"
    assert script(node, "hakuna-remove", "/tmp/x/table.json", "/tmp/x/table.json").splitlines() == [
        "removed /tmp/x/table.json",
        "absent /tmp/x/table.json",
        "remove-end",
    ]
    assert node.execute(("cat", "/tmp/x/table.json")).exit_code == 1


def test_names_and_tools(cluster):
    assert script(cluster()["node-b"], "hakuna-hostname") == "hostname node-b\naddress 10.0.0.2\nhostname-end\n"
    assert "address 127.0.1.1" in script(cluster("hostname-loopback")["node-b"], "hakuna-hostname")
    found = script(cluster("tool-missing")["node-b"], "hakuna-which", "hccn_tool", "npu-smi", "ray").splitlines()
    assert found == ["hccn_tool -", "npu-smi /usr/local/sbin/npu-smi", "ray -", "which-end"]
    assert "version=8.5.1\n" in script(cluster()["node-b"], "hakuna-cann")


def test_tcp_between_nodes(cluster):
    args = ("hakuna-tcp", "3", "10.0.0.2", "22", "6379", "60000")
    assert script(cluster()["node-a"], *args).splitlines() == ["22 open", "6379 refused", "60000 refused", "tcp-end"]
    assert "60000 timeout" in script(cluster("tcp-blocked")["node-a"], *args)
    assert "22 timeout" in script(cluster("dead-host")["node-a"], *args)
    assert "6379 open" in script(cluster("port-taken")["node-a"], *args)
    back = ("hakuna-tcp", "3", "10.0.0.1", "60000")
    assert "60000 refused" in script(cluster("tcp-blocked")["node-b"], *back)


def test_the_lease_belongs_to_one(cluster):
    node = cluster()["node-b"]
    soon, later = str(int(time.time()) + 100), str(int(time.time()) + 200)
    assert script(node, "hakuna-lease", "show", "/tmp/l") == "lease free\n"
    assert (
        script(node, "hakuna-lease", "acquire", "/tmp/l", "me@here/r1", soon) == f"lease acquired me@here/r1 {soon}\n"
    )
    assert script(node, "hakuna-lease", "acquire", "/tmp/l", "you@here/r2", later) == f"lease held me@here/r1 {soon}\n"
    assert script(node, "hakuna-lease", "release", "/tmp/l", "r2") == f"lease held me@here/r1 {soon}\n"
    assert script(node, "hakuna-lease", "show", "/tmp/l") == f"lease held me@here/r1 {soon}\n"
    assert script(node, "hakuna-lease", "release", "/tmp/l", "r1") == "lease released\n"
    past = str(int(time.time()) - 1)
    script(node, "hakuna-lease", "acquire", "/tmp/l", "me@here/r1", past)
    assert script(node, "hakuna-lease", "show", "/tmp/l") == f"lease expired me@here/r1 {past}\n"
    assert script(node, "hakuna-lease", "acquire", "/tmp/l", "you@here/r2", later).startswith("lease acquired you")


def test_what_is_not_there(cluster):
    result = cluster()["node-b"].execute(("nvidia-smi",))
    assert (result.exit_code, result.stderr) == (127, b"sh: 1: nvidia-smi: not found\n")
    assert cluster()["node-b"].execute(("podman", "ps")).exit_code == 127
    assert cluster()["node-b"].execute(("sh", "-c", "rm -rf /")).exit_code == 2
