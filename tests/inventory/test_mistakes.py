# SPDX-License-Identifier: Apache-2.0
"""Every mistake that the loader knows, with the exact line that it must name (marked "# HERE" in the file)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hakuna.inventory import InventoryError, Problem, document, load

NODES = """\
nodes:
  - {name: node-a, address: 192.0.2.11, node_ip: 192.0.2.11}
  - {name: node-b, address: 192.0.2.12, node_ip: 192.0.2.12}
"""
ONE = "nodes:\n  - name: node-a\n    address: 192.0.2.11\n    node_ip: 192.0.2.11\n"


def problems_of(tmp_path: Path, text: str | bytes, **overrides: object) -> tuple[Problem, ...]:
    file = tmp_path / "site.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InventoryError) as caught:
        load(file, overrides=overrides)
    return caught.value.problems


# id: (file, where, part of the message, part of the hint)
MISTAKES = {
    "unknown key": (
        ONE + "    intreface: eth1 # HERE\n",
        "nodes[0].intreface",
        "unknown key",
        'did you mean "interface"?',
    ),
    "unknown key deep": (
        ONE + "    ssh:\n      user: me\n      prot: 22 # HERE\n",
        "nodes[0].ssh.prot",
        "unknown key",
        'did you mean "port"?',
    ),
    "unknown key, nothing near": (
        NODES + "ray:\n  zzz: 1 # HERE\n",
        "ray.zzz",
        "unknown key",
        "known keys: join_timeout, npu_resource",
    ),
    "key of another section": (NODES + "tp: 16 # HERE\n", "tp", "not a key of this section", "under server:"),
    "key of the top level": (
        NODES + "server:\n  chip: atlas-800t-a2 # HERE\n",
        "server.chip",
        "not a key of this section",
        "the top level",
    ),
    "hyphens": (NODES + "rank-table: {} # HERE\n", "rank-table", "unknown key", 'did you mean "rank_table"?'),
    "api key in the file": (
        NODES + "server:\n  api_key: sk-1 # HERE\n",
        "server.api_key",
        "must not stand in the file",
        "api_key_env",
    ),
    "api key at the top": (NODES + "api_key: sk-1 # HERE\n", "api_key", "must not stand in the file", "api_key_env"),
    "no number": (NODES + "server:\n  tp: sixteen # HERE\n", "server.tp", "must be a whole number", ""),
    "fraction": (NODES + "server:\n  tp: 1.5 # HERE\n", "server.tp", "must be a whole number", ""),
    "no bool": (NODES + "server:\n  eager_mode: maybe # HERE\n", "server.eager_mode", "must be true or false", ""),
    "no text": (NODES + "server:\n  served_name: true # HERE\n", "server.served_name", "must be text", "quotes"),
    "no list": (NODES + "container:\n  mounts: /a:/a # HERE\n", "container.mounts", "must be a list", "dash"),
    "no mapping": (NODES + "env: [A=1] # HERE\n", "env", "must be a mapping", ""),
    "no section": (NODES + "server: /models/m # HERE\n", "server", "must be a mapping", ""),
    "node that is a word": (
        "nodes:\n  - {name: a, address: a, node_ip: 192.0.2.1}\n  - b # HERE\n",
        "nodes[1]",
        "must be a mapping",
        "",
    ),
    "infinite": (NODES + "ray:\n  join_timeout: .inf # HERE\n", "ray.join_timeout", "must be a finite number", ""),
    "no value": (NODES + "server:\n  port: # HERE\n", "server.port", "has no value", "default"),
    "no value where one is needed": (
        "nodes:\n  - name: a\n    address: a\n    node_ip: # HERE\n",
        "nodes[0].node_ip",
        "has no value",
        "host network",
    ),
    "chip": (NODES + "chip: atlas-800i-a2 # HERE\n", "chip", "not a known value", 'did you mean "atlas-800t-a2"?'),
    "chip, nothing near": (
        NODES + "chip: xyz # HERE\n",
        "chip",
        "not a known value",
        "one of: atlas-800t-a2, atlas-800t-a3",
    ),
    "transport": (NODES + "transport: simulate # HERE\n", "transport", "not a known value", '"simulated"'),
    "host_key": (
        ONE + "    ssh:\n      host_key: accept # HERE\n",
        "nodes[0].ssh.host_key",
        "not a known value",
        '"accept-unknown"',
    ),
    "device": (NODES + "server:\n  device: ascent # HERE\n", "server.device", "not a known value", '"ascend"'),
    "rank table version": (
        NODES + "rank_table:\n  version: 2.0 # HERE\n",
        "rank_table.version",
        "not a known value",
        '"1.0"',
    ),
    "port 0": (NODES + "ray:\n  port: 0 # HERE\n", "ray.port", "must be at least 1", "1 to 65535"),
    "port 65536": (NODES + "server:\n  port: 65536 # HERE\n", "server.port", "must be at most 65535", "1 to 65535"),
    "ssh port": (ONE + "    ssh: {port: 99999} # HERE\n", "nodes[0].ssh.port", "must be at most 65535", "1 to 65535"),
    "negative time": (
        NODES + "thresholds:\n  clock_skew: -1 # HERE\n",
        "thresholds.clock_skew",
        "must be more than 0",
        "",
    ),
    "time without unit": (
        NODES + "thresholds:\n  clock_skew: 2s # HERE\n",
        "thresholds.clock_skew",
        "must be a number",
        "units",
    ),
    "lost percent": (
        NODES + "thresholds:\n  ping_loss_percent: 100 # HERE\n",
        "thresholds.ping_loss_percent",
        "must be less than 100",
        "",
    ),
    "size": (NODES + "container:\n  shm_size: 500 GB # HERE\n", "container.shm_size", "not a size", "500g"),
    "name": (
        "nodes:\n  - name: node a # HERE\n    address: a\n    node_ip: 192.0.2.1\n",
        "nodes[0].name",
        "not a usable name",
        "",
    ),
    "long name": (f"cluster: {'x' * 64} # HERE\n" + NODES, "cluster", "longer than 63 characters", "shorten"),
    "interface": (
        ONE + "    interface: 'eth 0' # HERE\n",
        "nodes[0].interface",
        "not the name of a network interface",
        "eth0",
    ),
    "model path": (
        NODES + "server:\n  model_path: models/m # HERE\n",
        "server.model_path",
        "must be an absolute path",
        "/",
    ),
    "rank table path": (NODES + "rank_table:\n  path: /tmp/table # HERE\n", "rank_table.path", "ends in .json", ""),
    "env name": (NODES + "env:\n  9X: a # HERE\n", "env.9X", "not the name of an environment variable", ""),
    "lmdeploy version": (
        NODES + "server:\n  lmdeploy_version: latest # HERE\n",
        "server.lmdeploy_version",
        "not a version",
        "detect",
    ),
    "missing node_ip": (
        "nodes:\n  - name: a # HERE\n    address: a\n",
        "nodes[0].node_ip",
        "is missing",
        "node_ip: 192.0.2.11",
    ),
    "missing address": (
        "nodes:\n  - name: a # HERE\n    node_ip: 192.0.2.1\n",
        "nodes[0].address",
        "is missing",
        "ssh connects to",
    ),
    "missing nodes": ("cluster: x # HERE\n", "nodes", "is missing", "hosts_from"),
    "no nodes": ("nodes: [] # HERE\n", "nodes", "is empty", "at least one"),
    "nodes without value": ("nodes: # HERE\n", "nodes", "has no value", "hosts_from"),
    "duplicate name": (
        ONE + "  - name: node-a # HERE\n    address: b\n    node_ip: 192.0.2.12\n",
        "nodes[1].name",
        "the same name as in line 2",
        "its own name",
    ),
    "duplicate address": (
        ONE + "  - name: node-b\n    address: 192.0.2.11 # HERE\n    node_ip: 192.0.2.12\n",
        "nodes[1].address",
        "the same address as in line 3, node-a",
        "its own",
    ),
    "duplicate node_ip": (
        ONE + "  - name: node-b\n    address: b\n    node_ip: 192.0.2.11 # HERE\n",
        "nodes[1].node_ip",
        "the same node_ip as in line 4, node-a",
        "its own",
    ),
    "duplicate node_ip, spelled differently": (
        "nodes:\n  - {name: a, address: a, node_ip: '2001:db8::1'}\n  - {name: b, address: b, node_ip: '2001:DB8:0::1'} # HERE\n",
        "nodes[1].node_ip",
        "the same node_ip",
        "",
    ),
    "duplicate device": (
        ONE + "    device_ids:\n      - 0\n      - 1\n      - 0 # HERE\n",
        "nodes[0].device_ids[2]",
        "device 0 is listed twice on node-a",
        "once",
    ),
    "device beyond the chip": (
        ONE + "    device_ids: [0, 8] # HERE\n",
        "nodes[0].device_ids[1]",
        "atlas-800t-a2 has 8 devices",
        "0 to 7",
    ),
    "device below 0": (ONE + "    device_ids: [-1] # HERE\n", "nodes[0].device_ids[0]", "must be at least 0", "from 0"),
    "no devices": (ONE + "    device_ids: [] # HERE\n", "nodes[0].device_ids", "is empty", "at least one"),
    "node_ip is a name": (
        "nodes:\n  - name: a\n    address: a\n    node_ip: node-a.example # HERE\n",
        "nodes[0].node_ip",
        "not an IP address",
        "ip addr",
    ),
    "node_ip out of range": (
        "nodes:\n  - name: a\n    address: a\n    node_ip: 192.0.2.300 # HERE\n",
        "nodes[0].node_ip",
        "not an IP address",
        "",
    ),
    "node_ip with prefix": (
        "nodes:\n  - name: a\n    address: a\n    node_ip: 192.0.2.1/24 # HERE\n",
        "nodes[0].node_ip",
        "not an IP address",
        "",
    ),
    "node_ip is loopback": (
        "nodes:\n  - name: a\n    address: a\n    node_ip: 127.0.0.1 # HERE\n",
        "nodes[0].node_ip",
        "loopback",
        "",
    ),
    "node_ip is link-local": (
        "nodes:\n  - name: a\n    address: a\n    node_ip: fe80::1 # HERE\n",
        "nodes[0].node_ip",
        "link-local",
        "",
    ),
    "two families": (
        ONE + "  - name: node-b\n    address: b\n    node_ip: 2001:db8::12 # HERE\n",
        "nodes[1].node_ip",
        "IPv6, but node-a has IPv4",
        "one address family",
    ),
    "address with user": (
        "nodes:\n  - name: a\n    address: root@a # HERE\n    node_ip: 192.0.2.1\n",
        "nodes[0].address",
        "user name",
        "ssh.user",
    ),
    "address with port": (
        "nodes:\n  - name: a\n    address: a:22 # HERE\n    node_ip: 192.0.2.1\n",
        "nodes[0].address",
        "port",
        "ssh.port",
    ),
    "address in brackets": (
        "nodes:\n  - name: a\n    address: '[2001:db8::1]' # HERE\n    node_ip: 192.0.2.1\n",
        "nodes[0].address",
        "brackets",
        "alone",
    ),
    "address of five numbers": (
        "nodes:\n  - name: a\n    address: 192.0.2.1.5 # HERE\n    node_ip: 192.0.2.1\n",
        "nodes[0].address",
        "not an IP address",
        "",
    ),
    "address that ssh would take for an option": (
        "nodes:\n  - name: a\n    address: -oProxyCommand # HERE\n    node_ip: 192.0.2.1\n",
        "nodes[0].address",
        "not a host name",
        "",
    ),
    "tp": (NODES + "server:\n  tp: 8 # HERE\n", "server.tp", "16 devices (2 x 8)", "tp: 16"),
    "tp with uneven nodes": (
        NODES.replace("node_ip: 192.0.2.12", "node_ip: 192.0.2.12, device_ids: [0]") + "server:\n  tp: 16 # HERE\n",
        "server.tp",
        "9 devices (in all)",
        "tp: 9",
    ),
    "head": (NODES + "head: node-c # HERE\n", "head", "no node has this name", 'did you mean "node-'),
    "one port twice": (NODES + "server:\n  port: 6379 # HERE\n", "server.port", "Ray's port as well", "different"),
    "eager on 300i-duo": (
        NODES + "chip: atlas-300i-duo\nserver:\n  eager_mode: true # HERE\n",
        "server.eager_mode",
        "graph mode only",
        "eager_mode: false",
    ),
    "eager on 300i-duo by default": (
        NODES + "chip: atlas-300i-duo # HERE\n",
        "chip",
        "graph mode only",
        "eager_mode: false",
    ),
    "ssh key": (
        ONE + "    ssh:\n      key: no/such/key # HERE\n",
        "nodes[0].ssh.key",
        "there is no such file",
        "agent",
    ),
    "ssh key in the home directory": (
        ONE + "    ssh:\n      key: ~/no-such-key # HERE\n",
        "nodes[0].ssh.key",
        "there is no such file",
        "agent",
    ),
    "ssh key is a directory": (ONE + "    ssh:\n      key: . # HERE\n", "nodes[0].ssh.key", "this is a directory", ""),
    "known_hosts": (
        ONE + "    ssh:\n      known_hosts: nowhere # HERE\n",
        "nodes[0].ssh.known_hosts",
        "there is no such file",
        "",
    ),
    "api_key_env": (
        NODES + "server:\n  api_key_env: HAKUNA_TEST_UNSET # HERE\n",
        "server.api_key_env",
        "not set in the environment",
        "export HAKUNA_TEST_UNSET",
    ),
    "api_key_file": (
        NODES + "server:\n  api_key_file: ./nowhere # HERE\n",
        "server.api_key_file",
        "there is no such file",
        "nothing else",
    ),
    "two api keys": (
        NODES + "server:\n  api_key_env: PATH\n  api_key_file: x # HERE\n",
        "server.api_key_file",
        "api_key_env is set as well",
        "one of the two",
    ),
    "image": (NODES + "container:\n  image: '' # HERE\n", "container.image", "is empty", "engine: none"),
    "image of blanks": (
        NODES + "container:\n  image: 'a b' # HERE\n",
        "container.image",
        "no image reference",
        "engine: none",
    ),
    "mount": (
        NODES + "container:\n  mounts:\n    - /a:/a:ro\n    - models:/models # HERE\n",
        "container.mounts[1]",
        "not a mount",
        "HOST_PATH:CONTAINER_PATH",
    ),
    "gloo interface": (
        NODES + "env:\n  GLOO_SOCKET_IFNAME: bond0 # HERE\n",
        "env.GLOO_SOCKET_IFNAME",
        "node-a has interface eth0",
        "remove it",
    ),
    "tp interface": (
        NODES + "server:\n  env:\n    TP_SOCKET_IFNAME: bond0 # HERE\n",
        "server.env.TP_SOCKET_IFNAME",
        "node-a has interface eth0",
        "remove it",
    ),
    "hccl address": (
        NODES + "env:\n  HCCL_IF_IP: 192.0.2.11 # HERE\n",
        "env.HCCL_IF_IP",
        "one address for all nodes",
        "node_ip",
    ),
    "noset": (
        NODES + "env:\n  RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES: 0 # HERE\n",
        "env.RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES",
        "must be 1",
        "remove it",
    ),
    "rank table variable": (
        NODES + "env:\n  ASCEND_RANK_TABLE_FILE_PATH: /x.json # HERE\n",
        "env.ASCEND_RANK_TABLE_FILE_PATH",
        "rank_table.path is /tmp/hakuna/rank_table.json",
        "rank_table.path",
    ),
    "run variable": (NODES + "env:\n  HAKUNA_RUN: x # HERE\n", "env.HAKUNA_RUN", "set by every run", "remove it"),
    "fault without place": (
        NODES + "simulation:\n  faults: ['x@'] # HERE\n",
        "simulation.faults[0]",
        "not a fault",
        "NAME@node",
    ),
    "fault with a bad place": (
        NODES + "simulation:\n  faults: [x@node-a/b] # HERE\n",
        "simulation.faults[0]",
        "not a place",
        "NAME@node",
    ),
    "fault on no node": (
        NODES + "simulation:\n  faults: [x@node-z] # HERE\n",
        "simulation.faults[0]",
        "no node is called node-z",
        "did you mean",
    ),
    "fault on no device": (
        NODES + "simulation:\n  faults: [x@node-a/9] # HERE\n",
        "simulation.faults[0]",
        "node-a has no device 9",
        "",
    ),
    "group alone": (NODES + "group: npu # HERE\n", "group", "without hosts_from", "Ansible"),
    "hosts_from": ("hosts_from: nowhere.yaml # HERE\n", "hosts_from", "there is no such file", "nowhere.yaml"),
    "hosts_from is a list": ("hosts_from: [a] # HERE\n", "hosts_from", "must be the path", ""),
    "node_defaults is a word": ("node_defaults: x # HERE\n" + NODES, "node_defaults", "must be a mapping", ""),
    "name in node_defaults": (
        "node_defaults:\n  address: a # HERE\n" + NODES,
        "node_defaults.address",
        "differs from node to node",
        "nodes:",
    ),
    "unknown key in node_defaults": (
        "node_defaults:\n  ssh:\n    usr: a # HERE\n" + NODES,
        "node_defaults.ssh.usr",
        "unknown key",
        '"user"',
    ),
    "range that counts down": (
        "nodes:\n  - name: n[3-1] # HERE\n    address: n[1-3]\n    node_ip: 192.0.2.[1-3]\n",
        "nodes[0].name",
        "counts down",
        "node[01-16]",
    ),
    "range of letters": (
        "nodes:\n  - name: n[a-c] # HERE\n    address: n[1-3]\n    node_ip: 192.0.2.[1-3]\n",
        "nodes[0].name",
        "not a number",
        "node[01-16]",
    ),
    "range not closed": (
        "nodes:\n  - name: n[1-3 # HERE\n    address: n\n    node_ip: 192.0.2.1\n",
        "nodes[0].name",
        "without its partner",
        "",
    ),
    "range too short": (
        "nodes:\n  - name: n[1-3]\n    address: n[1-3]\n    node_ip: 192.0.2.[1-2] # HERE\n",
        "nodes[0].node_ip",
        "stands for 2 nodes, the name for 3 nodes",
        "same length",
    ),
    "range beside none": (
        "nodes:\n  - name: n[1-3]\n    address: n # HERE\n    node_ip: 192.0.2.[1-3]\n",
        "nodes[0].address",
        "stands for 1 node, the name for 3 nodes",
        "same length",
    ),
    "range without a name's": (
        "nodes:\n  - name: n\n    address: n\n    node_ip: 192.0.2.[1-3] # HERE\n",
        "nodes[0].node_ip",
        "stands for 3 nodes, the name for 1 node",
        "same length",
    ),
    "range beyond the address": (
        "nodes:\n  - name: n[1-2]\n    address: n[1-2]\n    node_ip: 192.0.2.[255-256] # HERE\n",
        "nodes[0].node_ip",
        "not an IP address",
        "",
    ),
    "huge range": (
        "nodes:\n  - name: n[1-999999999] # HERE\n    address: n\n    node_ip: 192.0.2.1\n",
        "nodes[0].name",
        "more than 4096",
        "",
    ),
    "duplicate key": (
        NODES + "ray: {}\nenv: {}\nray: {} # HERE\n",
        "ray",
        "given twice, first in line 4",
        "one of the two",
    ),
    "duplicate key deep": (
        ONE + "    ssh:\n      user: a\n      port: 22\n      user: b # HERE\n",
        "nodes[0].ssh.user",
        "given twice, first in line 6",
        "one of the two",
    ),
    "tag": (NODES + "cluster: !vault x # HERE\n", "cluster", "the tag !vault is not known", "remove"),
    "key that is a list": (NODES + "? [a] # HERE\n: b\n", "", "a key that is a list", "plain words"),
    "merge of a word": (NODES + "ray:\n  <<: a # HERE\n", "ray", "merges only mappings", "anchor"),
    "not YAML": (NODES + "ray: {port: 1 # HERE\n", "", "not YAML", "brackets"),
    "tab": (NODES + "ray:\n\tport: 1 # HERE\n", "", "a tab", "spaces"),
    "unknown alias": (NODES + "ray: *ray # HERE\n", "", "undefined alias", "anchor"),
    "second document": (NODES + "--- # HERE\na: 1\n", "", "a second document", "---"),
    "control character": (NODES + "cluster: \x07 # HERE\n", "", "not YAML", ""),
    "not a mapping": ("- a # HERE\n", "", "not a mapping", "nodes:"),
    "alias of itself": ("nodes: &n [*n] # HERE\n", "", "line 1: an alias that holds itself", ""),
}


@pytest.mark.parametrize(("text", "where", "message", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told_with_its_line(tmp_path: Path, text: str, where: str, message: str, hint: str) -> None:
    problems = problems_of(tmp_path, text)
    assert len(problems) == 1, "\n".join(map(str, problems))
    problem = problems[0]
    line = next(n for n, content in enumerate(text.splitlines(), 1) if "# HERE" in content)
    assert problem.where == where
    assert message in problem.message
    assert hint in problem.hint
    assert problem.hint
    if message != "line 1: an alias that holds itself":
        assert problem.line == line
        assert problem.column >= 1
        assert str(problem).startswith(f"{tmp_path / 'site.yaml'}:{line}: ")
    assert "sk-1" not in str(problem)


FLAGS = {
    "server": ["--tp", "--tp=8", "--eager-mode", "--eager_mode", "--backend", "--device", "--server-port", "--server_port=1", "--model-name", "--api-keys=sk-1"],
    "container": ["--name", "--name=x", "-d", "-it", "-itd", "--detach=true", "--privileged", "--privileged=true", "--net=host", "--network", "--rm", "--entrypoint", "--shm-size=1g"],
}  # fmt: skip


@pytest.mark.parametrize(("section", "flag"), [(s, f) for s, flags in FLAGS.items() for f in flags])
def test_flag_that_the_inventory_sets_itself(tmp_path: Path, section: str, flag: str) -> None:
    text = NODES + f"{section}:\n  extra_args:\n    - --other\n    - {flag}\n"
    (problem,) = problems_of(tmp_path, text)
    assert (problem.line, problem.where) == (7, f"{section}.extra_args[1]")
    assert problem.value == flag.partition("=")[0]
    assert "sets this flag itself" in problem.message


@pytest.mark.parametrize("section", ["server", "container"])
def test_two_words_in_one_entry(tmp_path: Path, section: str) -> None:
    (problem,) = problems_of(tmp_path, NODES + f"{section}:\n  extra_args: [--ok, '--session-len 8192']\n")
    assert (problem.line, problem.where) == (5, f"{section}.extra_args[1]")
    assert "several words" in problem.message


@pytest.mark.parametrize("words", ["[--label, hakuna.run=x]", "[--label=hakuna.run=x]", "[-l, hakuna.run]"])
def test_the_label_of_a_run_is_not_to_be_faked(tmp_path: Path, words: str) -> None:
    (problem,) = problems_of(tmp_path, NODES + f"container:\n  extra_args: {words}\n")
    assert "label" in problem.message


def test_other_flags_are_free(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(NODES + "server: {extra_args: [--session-len, '8192', --log-level=INFO, '--chat-template={\"a\": 1}']}\n"
                    "container: {extra_args: [--ulimit, nofile=65535, -e, A=b c, --dns=192.0.2.53, --device=/dev/x]}\n")  # fmt: skip
    assert load(file).inventory.container.extra_args[-1] == "--device=/dev/x"


def test_all_mistakes_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        "clustre: x\n"  # 1
        "chip: atlas\n"  # 2
        "nodes:\n"
        "  - name: a\n"
        "    address: me@host\n"  # 5
        "    node_ip: 192.0.2.999\n"  # 6
        "    ssh: {prot: 1, port: 0}\n"  # 7, twice
        "  - name: a\n"  # 8
        "    address: b\n"
        "    node_ip: 192.0.2.2\n"
        "    device_ids: [0, 0]\n"  # 11
        "head: c\n"  # 12
        "server:\n"
        "  tp: 12\n"  # 14
        "  tp: 13\n"  # 15
        "  extra_args: [--tp]\n"  # 16
    )
    problems = problems_of(tmp_path, text)
    assert [p.line for p in problems] == [1, 2, 5, 6, 7, 7, 8, 11, 12, 14, 15, 16]


def test_str_lists_all_problems_in_the_form_file_line_what_why_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(NODES + "ray: {prot: 1}\nserver: {port: 70000}\n")
    with pytest.raises(InventoryError) as caught:
        load(file)
    assert str(caught.value).splitlines() == [
        f'{file}:4: ray.prot - unknown key - did you mean "port"?',
        f"{file}:5: server.port: 70000 - must be at most 65535 - a port from 1 to 65535",
    ]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="there is no such file") as caught:
        load(tmp_path / "none.yaml")
    assert [(p.line, p.file) for p in caught.value.problems] == [(0, str(tmp_path / "none.yaml"))]


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="this is a directory"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
def test_empty_file(tmp_path: Path, text: str) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert problem.message in ("the file is empty", "not a mapping")
    assert "empty" in problem.message or text == "---\n"


def test_not_utf8(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, b"cluster: \xff\xfe\n")
    assert "not UTF-8" in problem.message


def test_exploding_aliases_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "ITEM_LIMIT", 20_000)  # what is beyond it is the same, and half a million take long
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 9))
    (problem,) = problems_of(tmp_path, f"l0: &l0 [{', '.join('x' * 10)}]\n{levels}")
    assert "values" in problem.message


def test_deep_nesting_is_no_traceback(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "[" * 1000 + "]" * 1000)
    assert "nested too deeply" in problem.message


def test_a_mistake_in_a_range_is_told_once(tmp_path: Path) -> None:
    text = "nodes:\n  - name: n[1-9]\n    address: n[1-9]\n    node_ip: 192.0.2.[1-9]\n    interfaces: eth1\n"
    (problem,) = problems_of(tmp_path, text)
    assert (problem.line, problem.where) == (5, "nodes[0].interfaces")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_ssh_key_as_a_user(tmp_path: Path) -> None:
    (tmp_path / "key").touch(mode=0)
    (problem,) = problems_of(tmp_path, ONE + "    ssh: {key: key}\n")
    assert "can not be read by this user" in problem.message


def test_unreadable_ssh_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (problem,) = problems_of(tmp_path, ONE + "    ssh: {key: key}\n")
    assert (problem.line, problem.message) == (5, "can not be read by this user")


@pytest.mark.parametrize("key", ["", "   ", "two words", "schlüssel", "a\nb"])
def test_api_key_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("HAKUNA_TEST_KEY", key)
    (problem,) = problems_of(tmp_path, NODES + "server:\n  api_key_env: HAKUNA_TEST_KEY\n")
    assert problem.line == 5
    (tmp_path / "key").write_text(key)
    (problem,) = problems_of(tmp_path, NODES + "server:\n  api_key_file: ./key\n")
    assert problem.line == 5
    assert not key.strip() or key not in str(problem)


@pytest.mark.parametrize("setting", ["api_key", "api_key_env", "api_key_file", "api_keys"])
def test_a_key_written_into_the_file_is_never_shown(tmp_path: Path, setting: str) -> None:
    problems = problems_of(tmp_path, NODES + f"server:\n  {setting}: sk-verysecret\n")
    assert [p.line for p in problems] == [5]
    assert "verysecret" not in "".join(map(str, problems))


def test_override_that_is_wrong_names_no_line(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, NODES, **{"server.tp": 8})
    assert str(problem).startswith("override: server.tp: 8 - the inventory has 16 devices (2 x 8)")


@pytest.mark.parametrize("setting", ["", "server tp", "nodes[7].interface", "nodes[0", "cluster.name"])
def test_override_of_nothing(tmp_path: Path, setting: str) -> None:
    problems = problems_of(tmp_path, "cluster: x\n" + NODES, **{setting: 8})
    assert [p.file for p in problems] == ["override"]


def test_override_with_unknown_key(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, NODES, **{"server.eager": True})
    assert (problem.file, problem.line, problem.hint) == ("override", 0, 'did you mean "eager_mode"?')
