# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hakuna.evidence import Command
from hakuna.probes import host, model_dir, table_file, versions
from hakuna.probes.reading import UnparsedError


def here(command: Command) -> str:
    done = subprocess.run(command.argv, capture_output=True, check=False, timeout=30)
    return (done.stdout + done.stderr).decode()


def test_this_very_machine_can_be_read():
    assert len(host.parse_boot_id(here(host.boot_id()))) == 36
    assert host.parse_clock(here(host.clock())) > 1.6e9
    assert host.parse_kernel(here(host.kernel())).startswith("Linux ")
    assert host.parse_number(here(host.somaxconn())) > 0
    assert host.parse_number(here(host.syn_backlog())) > 0
    assert host.parse_limits(here(host.limits())).nofile_soft > 0
    disks = host.parse_disk(here(host.disk(("/", "/no/such/folder"))))
    assert disks[0].mount == "/"
    assert disks[0].size > disks[0].available >= 0
    assert isinstance(host.parse_device_nodes(here(host.device_nodes())), host.DeviceNodes)


def test_commands_are_the_documented_ones():
    assert " ".join(host.device_nodes().argv) == (
        "find /dev -maxdepth 1 -name davinci* -o -maxdepth 1 -name devmm_svm -o -maxdepth 1 -name hisi_hdc"
    )
    assert host.disk(("/", "/tmp")).argv == ("df", "-P", "-B1", "/", "/tmp")
    assert host.ports().argv == ("ss", "-H", "-l", "-t", "-n", "-p")
    assert host.addresses().argv == ("ip", "-j", "addr", "show")
    probe = host.tcp("node-b", "10.0.0.2", (6379, 60000))
    assert (probe.id, probe.argv[3:]) == ("host.tcp/node-b", ("hakuna-tcp", "3", "10.0.0.2", "6379", "60000"))
    assert probe.lane != host.tcp("node-c", "10.0.0.3", (1,)).lane  # a silent peer holds nobody else up
    assert [c.id for c in (host.boot_id(), host.clock(), host.limits())] == [
        "host.boot_id",
        "host.clock",
        "host.limits",
    ]


def test_small_numbers():
    assert host.parse_clock("1755684672.123456789\n") == pytest.approx(1755684672.123456789)
    assert host.parse_clock("1755684672.%N") == 1755684672.0
    assert (
        host.parse_limits(
            "Limit  Soft Limit  Hard Limit  Units\nMax open files  unlimited  unlimited  files"
        ).nofile_soft
        == 2**63 - 1
    )
    assert (
        host.parse_kernel("Linux 5.10.0-182.0.0.95.oe2203sp3.aarch64 aarch64")
        == "Linux 5.10.0-182.0.0.95.oe2203sp3.aarch64 aarch64"
    )


@pytest.mark.parametrize(
    "parse",
    [
        host.parse_addresses,
        host.parse_boot_id,
        host.parse_clock,
        host.parse_device_nodes,
        host.parse_disk,
        host.parse_kernel,
        host.parse_limits,
        host.parse_number,
        host.parse_ports,
        model_dir.parse_digest,
        model_dir.parse_files,
        versions.parse_version_info,
        versions.parse_packages,
    ],
)
def test_an_error_message_is_no_fact(parse):
    with pytest.raises(UnparsedError):
        parse("bash: something: Permission denied")


def test_interfaces_from_json():
    document = [
        {},
        {
            "ifname": "eth0",
            "flags": ["BROADCAST", "UP", "LOWER_UP"],
            "addr_info": [
                {"family": "inet", "local": "10.0.0.1", "prefixlen": 24},
                {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
            ],
        },
        {"ifname": "eth1", "flags": ["NO-CARRIER", "BROADCAST", "UP"], "addr_info": []},
    ]
    assert host.parse_addresses(json.dumps(document)) == (
        host.Interface("eth0", True, ("10.0.0.1/24", "fe80::1/64")),
        host.Interface("eth1", False, ()),
    )


def test_listeners():
    text = (
        'LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=811,fd=3))\n'
        "LISTEN 0      4096   127.0.0.53%lo:53        0.0.0.0:*\n"
        'LISTEN 0      511             [::]:80           [::]:*    users:(("nginx",pid=9,fd=6),("nginx",pid=8,fd=6))\n'
        "LISTEN 0      128                *:6379            *:*\n"
    )
    assert host.parse_ports(text) == (
        host.Listener(22, "0.0.0.0", "sshd", 811),
        host.Listener(53, "127.0.0.53"),
        host.Listener(80, "::", "nginx", 9),
        host.Listener(6379, "*"),
    )
    assert host.parse_ports("") == ()


def test_disks_with_awkward_names():
    text = (
        "Filesystem                1-blocks        Used   Available Capacity Mounted on\n"
        "/dev/mapper/vg-root 105089261568 20401094656 84688166912      20% /\n"
        "server:/model store  1000      10  990   1% /mnt/model store\n"
        "df: /nowhere: No such file or directory\n"
    )
    assert host.parse_disk(text) == (
        host.Disk("/", 105089261568, 84688166912),
        host.Disk("/mnt/model store", 1000, 990),
    )


def test_device_nodes():
    nodes = host.parse_device_nodes(
        "/dev/davinci0\n/dev/davinci10\n/dev/davinci2\n/dev/davinci_manager\n/dev/hisi_hdc\n"
    )
    assert nodes == host.DeviceNodes((0, 2, 10), frozenset({"davinci_manager", "hisi_hdc"}))
    assert host.parse_device_nodes("") == host.DeviceNodes((), frozenset())


def test_model_folder(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a b.safetensors").symlink_to(tmp_path / "config.json")
    (tmp_path / "folder").mkdir()
    assert model_dir.parse_files(here(model_dir.files(str(tmp_path)))).sizes == {"config.json": 2, "a b.safetensors": 2}
    digest = model_dir.parse_digest(here(model_dir.config(str(tmp_path))))
    assert digest == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    absent = model_dir.parse_files(here(model_dir.files(str(tmp_path / "absent"))))
    assert (absent.sizes, absent.present) == ({}, False)
    assert model_dir.parse_files("").present


def test_shown_files(tmp_path: Path):
    path = tmp_path / "table.json"
    assert table_file.parse_file(here(table_file.show(str(path)))) == ""
    path.write_text('{"status": "completed"}\n')
    assert table_file.parse_file(here(table_file.show(str(path)))) == '{"status": "completed"}\n'
    with pytest.raises(UnparsedError):
        table_file.parse_file("cat: /etc/x: Permission denied\n")


def test_packages():
    answer = versions.parse_packages(
        'warning: x\n{"python": "3.11.10", "packages": {"ray": "2.46.0", "torch-npu": null}}\n'
    )
    assert answer == versions.PackageVersions("3.11.10", {"ray": "2.46.0", "torch-npu": None})
    assert versions.parse_packages(here(versions.packages())).python.count(".") == 2


def test_version_cfg_of_older_cann():
    text = "# version: 1.0\nruntime_running_version=[8.0.RC1:8.0.RC1]\nruntime_installed_version=[8.0.RC1:8.0.RC1]\n"
    assert versions.parse_version_info(text).version == "8.0.RC1"
