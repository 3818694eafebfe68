# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from hakuna.inventory import Inventory, InventoryError, Problem, line_of, load

HOSTS = """\
all:
  vars:
    ansible_user: root
    ansible_ssh_common_args: -o StrictHostKeyChecking=yes -o ProxyJump=me@198.51.100.1:2200
    hakuna_interface: bond0
    site: '{{ something_else }}'
    ansible_become_password: !vault |
      $ANSIBLE_VAULT;1.1;AES256
      6162
  children:
    npu:
      vars: {ansible_port: 2222, hakuna_devices: 0-3}
      hosts:
        node-a:
          ansible_host: 192.0.2.11
        node-b:
          ansible_host: b.example
          hakuna_node_ip: 192.0.2.12
          ansible_user: worker
          ansible_become: yes
          hakuna_devices: [0, 1, 2, 3]
          hakuna_interface: eth1
    storage:
      hosts:
        store: {ansible_host: 192.0.2.99}
"""


def write(tmp_path: Path, hosts: str, site: str = "hosts_from: hosts.yaml\n") -> Path:
    (tmp_path / "hosts.yaml").write_text(hosts)
    (tmp_path / "site.yaml").write_text(site)
    return tmp_path / "site.yaml"


def inventory(tmp_path: Path, hosts: str, site: str = "hosts_from: hosts.yaml\n") -> Inventory:
    return load(write(tmp_path, hosts, site)).inventory


def problems(tmp_path: Path, hosts: str, site: str = "hosts_from: hosts.yaml\n") -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        load(write(tmp_path, hosts, site))
    return caught.value.problems


def test_hosts_and_ssh_settings(tmp_path: Path) -> None:
    a, b = inventory(tmp_path, HOSTS, "hosts_from: hosts.yaml\ngroup: npu\n").nodes
    assert (a.name, a.address, a.node_ip, a.interface, a.device_ids) == (
        "node-a",
        "192.0.2.11",
        "192.0.2.11",
        "bond0",
        (0, 1, 2, 3),
    )
    assert (a.ssh.user, a.ssh.port, a.ssh.jump, a.ssh.sudo) == ("root", 2222, "me@198.51.100.1:2200", False)
    assert (b.name, b.address, b.node_ip, b.interface, b.device_ids) == (
        "node-b",
        "b.example",
        "192.0.2.12",
        "eth1",
        (0, 1, 2, 3),
    )
    assert (b.ssh.user, b.ssh.port, b.ssh.sudo) == ("worker", 2222, True)


def test_without_a_group_all_hosts_are_taken(tmp_path: Path) -> None:
    assert [n.name for n in inventory(tmp_path, HOSTS).nodes] == ["node-a", "node-b", "store"]


@pytest.mark.parametrize(
    ("arguments", "jump"),
    [
        ("-J hop", "hop"),
        ("-Jhop", "hop"),
        ("-o ProxyJump=a,b", "a,b"),
        ("-oProxyJump=hop", "hop"),
        ("-o 'ProxyJump hop' -v", "hop"),
        ("-o proxyjump=hop", "hop"),
        ("-o ProxyJump=none", ""),
        ("-o Compression=yes", ""),
        ("''", ""),
    ],
)
def test_jump_hosts(tmp_path: Path, arguments: str, jump: str) -> None:
    hosts = f'all:\n  hosts:\n    a:\n      ansible_host: 192.0.2.1\n      ansible_ssh_common_args: "{arguments}"\n'
    assert inventory(tmp_path, hosts).nodes[0].ssh.jump == jump


def test_a_name_that_is_an_address_serves_as_both(tmp_path: Path) -> None:
    (node,) = inventory(tmp_path, "all:\n  hosts:\n    192.0.2.1:\n").nodes
    assert (node.name, node.address, node.node_ip) == ("192.0.2.1", "192.0.2.1", "192.0.2.1")


def test_ranges_in_ansibles_form(tmp_path: Path) -> None:
    hosts = "npu:\n  hosts:\n    192.0.2.[09:11]:\n    rack[a:b]:\n"
    found = problems(tmp_path, hosts)
    assert {p.message for p in found} == {"not an IP address", "is missing"}
    names = inventory(tmp_path, "npu:\n  hosts:\n    192.0.2.[9:11]:\n").nodes
    assert [n.name for n in names] == ["192.0.2.9", "192.0.2.10", "192.0.2.11"]


def test_own_entries_lie_over_ansibles_hosts_and_defaults_beneath(tmp_path: Path) -> None:
    site = (
        "hosts_from: hosts.yaml\ngroup: npu\n"
        "node_defaults: {interface: eth9, ssh: {sudo: true, user: nobody}}\n"
        "nodes:\n  - {name: node-b, ssh: {port: 22}}\n  - {name: node-c, address: c, node_ip: 192.0.2.13, device_ids: [0]}\n"
    )
    loaded = load(write(tmp_path, HOSTS, site))
    a, b, c = loaded.inventory.nodes
    assert (a.interface, a.ssh.user, a.ssh.sudo) == ("bond0", "root", True)
    assert (b.ssh.port, b.ssh.user, b.node_ip) == (22, "worker", "192.0.2.12")
    assert (c.interface, c.ssh.user) == ("eth9", "nobody")
    assert loaded.place_of("nodes[0].address") == f"{tmp_path / 'hosts.yaml'}:15"
    assert line_of(loaded, "nodes[0].address") == 4  # the section in our own file
    assert line_of(loaded, "nodes[1].ssh.port") == 5


def test_ssh_key_beside_the_ansible_file(tmp_path: Path) -> None:
    (tmp_path / "ansible").mkdir()
    (tmp_path / "ansible" / "key").touch()
    (tmp_path / "ansible" / "hosts.yaml").write_text(
        "all:\n  hosts:\n    a: {ansible_host: 192.0.2.1, ansible_ssh_private_key_file: key}\n"
    )
    (tmp_path / "site.yaml").write_text("hosts_from: ansible/hosts.yaml\n")
    assert load(tmp_path / "site.yaml").inventory.nodes[0].ssh.key == str(tmp_path / "ansible" / "key")


def test_the_inner_group_wins_over_the_outer(tmp_path: Path) -> None:
    hosts = (
        "all:\n  hosts:\n    a: {ansible_host: 192.0.2.1}\n  vars: {ansible_user: of-all, ansible_port: 1}\n"
        "  children:\n    outer:\n      vars: {ansible_user: of-outer, ansible_port: 2}\n"
        "      children:\n        inner:\n          vars: {ansible_user: of-inner}\n          hosts:\n            a:\n"
    )
    (node,) = inventory(tmp_path, hosts).nodes
    assert (node.ssh.user, node.ssh.port) == ("of-inner", 2)


# id: (Ansible file, line, where, part of the message, part of the hint)
MISTAKES = {
    "no node_ip": ("all:\n  hosts:\n    a: {ansible_host: a.example}\n", 3, "all.hosts.a.node_ip", "is missing", "hakuna_node_ip"),
    "bad node_ip": ("all:\n  hosts:\n    a:\n      hakuna_node_ip: x\n", 4, "all.hosts.a.hakuna_node_ip", "not an IP address", ""),
    "port": ("all:\n  vars: {ansible_port: x}\n  hosts:\n    192.0.2.1:\n    192.0.2.2:\n", 2, "all.vars.ansible_port", "whole number", ""),
    "unknown variable": ("all:\n  vars:\n    hakuna_nodeip: x\n  hosts: {192.0.2.1: }\n", 3, "all.vars.hakuna_nodeip", "not a known variable", "hakuna_node_ip"),
    "template": ("all:\n  hosts:\n    192.0.2.1: {ansible_user: '{{ me }}'}\n", 3, "all.hosts.192.0.2.1.ansible_user", "templates", "nodes:"),
    "vault": ("all:\n  hosts:\n    192.0.2.1:\n      ansible_user: !vault x\n", 4, "all.hosts.192.0.2.1.ansible_user", "!vault", "in clear"),
    "proxy command": ("all:\n  hosts:\n    192.0.2.1:\n      ansible_ssh_common_args: -o ProxyCommand='ssh -W %h:%p x'\n", 4, "all.hosts.192.0.2.1.ansible_ssh_common_args", "ProxyCommand", "ProxyJump"),
    "quotes": ("all:\n  hosts:\n    192.0.2.1:\n      ansible_ssh_common_args: -o 'x\n", 4, "all.hosts.192.0.2.1.ansible_ssh_common_args", "not a list of arguments", "quotes"),
    "devices": ("all:\n  hosts:\n    192.0.2.1: {hakuna_devices: 7-0}\n", 3, "all.hosts.192.0.2.1.hakuna_devices", "counts down", "0-7"),
    "group key": ("all:\n  hosts: {192.0.2.1: }\n  host: x\n", 3, "all.host", "not a key of an Ansible group", '"hosts"'),
    "hosts as a list": ("all:\n  hosts: [a]\n", 2, "all.hosts", "must be a mapping", "NAME:"),
    "group as a word": ("all:\n  hosts: {192.0.2.1: }\n  children:\n    npu: x\n", 4, "all.children.npu", "a group must be a mapping", "hosts:"),
    "range": ("all:\n  hosts:\n    n[3:1]:\n", 3, "all.hosts.n[3:1]", "counts down", "node[01:16]"),
    "no inventory": ("a: 1\n", 1, "", "not an Ansible inventory", "all:"),
    "empty": ("# nothing\n", 0, "", "the file is empty", ""),
    "not YAML": ("all: {\n", 2, "", "not YAML", ""),
    "INI": ("[npu]\nnode-a ansible_host=192.0.2.1\n", 1, "", "INI", "ansible-inventory"),
    "duplicate key": ("all:\n  hosts:\n    192.0.2.1:\n    192.0.2.1:\n", 4, "all.hosts.192.0.2.1", "given twice", ""),
}  # fmt: skip


@pytest.mark.parametrize(("hosts", "line", "where", "message", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_the_ansible_file(
    tmp_path: Path, hosts: str, line: int, where: str, message: str, hint: str
) -> None:
    (problem,) = problems(tmp_path, hosts)
    assert (problem.file, problem.line, problem.where) == (str(tmp_path / "hosts.yaml"), line, where)
    assert message in problem.message
    assert hint in problem.hint


def test_unknown_group(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, HOSTS, "hosts_from: hosts.yaml\ngroup: npus\n")
    assert (problem.file, problem.line) == (str(tmp_path / "site.yaml"), 2)
    assert problem.hint == 'did you mean "npu"?'


def test_group_without_hosts(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "all:\n  children:\n    npu:\n", "hosts_from: hosts.yaml\ngroup: npu\n")
    assert (problem.line, problem.message) == (2, "the Ansible inventory has no hosts there")


@pytest.mark.parametrize(
    "hosts", [HOSTS.replace("!vault ", ""), "npu:\n  hosts:\n    192.0.2.1:\n", "all:\n  children: {npu: }\n"]
)
def test_an_ansible_file_given_as_the_inventory(tmp_path: Path, hosts: str) -> None:
    (tmp_path / "hosts.yaml").write_text(hosts)
    with pytest.raises(InventoryError) as caught:
        load(tmp_path / "hosts.yaml")
    (problem,) = caught.value.problems
    assert problem.line == 1
    assert "this is an Ansible inventory" in problem.message
    for word in ("hosts_from: hosts.yaml", "chip:", "container:", "server:", "atlas-800t-a2-2x8.yaml"):
        assert word in problem.hint


def test_an_ini_file_given_as_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("# comment\n\n[npu]\nnode-a ansible_host=192.0.2.1\n")
    with pytest.raises(InventoryError) as caught:
        load(tmp_path / "hosts")
    assert [(p.line, "INI" in p.message) for p in caught.value.problems] == [(3, True)]
