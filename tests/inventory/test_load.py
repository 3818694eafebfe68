# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from hakuna.inventory import Inventory, Loaded, line_of, load
from hakuna.inventory.model import Chip, Container, RankTable, Ray, Server, Thresholds, TransportKind

INVENTORIES = Path(__file__).parents[2] / "inventory"
NODES = """\
nodes:
  - {name: node-a, address: 192.0.2.11, node_ip: 192.0.2.11}
  - {name: node-b, address: 192.0.2.12, node_ip: 192.0.2.12}
"""


def loaded(tmp_path: Path, text: str, **overrides: object) -> Loaded:
    file = tmp_path / "site.yaml"
    file.write_text(text)
    return load(file, overrides=overrides)


def test_mock_is_the_guides_cluster_for_a_quick_run() -> None:
    inventory = load(INVENTORIES / "mock.yaml").inventory
    assert inventory.transport is TransportKind.SIMULATED
    assert inventory.chip is Chip.ATLAS_800T_A2
    assert [n.name for n in inventory.nodes] == ["node-a", "node-b"]
    assert (inventory.world_size, inventory.tp, inventory.thresholds.time_to_ready) == (16, 16, 5)


def test_the_template_is_the_guides_deployment() -> None:
    inventory = load(INVENTORIES / "atlas-800t-a2-2x8.yaml").inventory
    assert inventory.transport is TransportKind.SSH
    assert [len(n.device_ids) for n in inventory.nodes] == [8, 8]
    assert (inventory.ray, inventory.rank_table, inventory.thresholds) == (Ray(), RankTable(), Thresholds())
    assert inventory.container == Container(mounts=("/data/models:/models",))
    assert inventory.server == Server(tp=16)
    assert all(n.ssh.key == "" for n in inventory.nodes)


def test_the_template_shows_every_setting() -> None:
    text = (INVENTORIES / "atlas-800t-a2-2x8.yaml").read_text()
    for section in (Container, Ray, RankTable, Server, Thresholds):
        for name in section.model_fields:
            assert re.search(rf"^ *(# )?{name}:", text, re.MULTILINE), f"{section.__name__}.{name}"


@pytest.mark.parametrize("file", sorted(INVENTORIES.glob("*.yaml")), ids=lambda p: p.name)
def test_files_name_their_schema_and_no_real_address(file: Path) -> None:
    text = file.read_text()
    assert "# yaml-language-server: $schema=./schema.json" in text.splitlines()[:3]
    addresses = re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)
    assert all(a.startswith(("192.0.2.", "198.51.100.", "127.0.0.")) for a in addresses)


def test_lines_of_settings(tmp_path: Path) -> None:
    result = loaded(tmp_path, NODES + "server:\n  port: 8000\n  expect:\n    contains: x\n")
    assert line_of(result, "server.port") == 5
    assert line_of(result, "server.expect.contains") == 7
    assert line_of(result, "server.expect.prompt") == 6  # left out: the section around it
    assert line_of(result, "nodes[1].node_ip") == 3
    assert line_of(result, "nodes[1].device_ids[3]") == 3
    assert line_of(result, "ray.port") is None
    assert result.lines["nodes[0]"] == 2
    assert result.place_of("server.tp") == f"{result.path}:4"
    assert result.place_of("ray.port") == str(result.path)
    assert result.place_of("cluster") == str(result.path)


def test_ranges_expand_in_step(tmp_path: Path) -> None:
    text = "nodes:\n  - name: node[08-11]\n    address: node[08-11].example\n    node_ip: 192.0.2.[1-2,7-8]\n  - {name: x, address: x, node_ip: 192.0.2.99}\n"
    result = loaded(tmp_path, text)
    assert [(n.name, n.address, n.node_ip) for n in result.inventory.nodes] == [
        ("node08", "node08.example", "192.0.2.1"),
        ("node09", "node09.example", "192.0.2.2"),
        ("node10", "node10.example", "192.0.2.7"),
        ("node11", "node11.example", "192.0.2.8"),
        ("x", "x", "192.0.2.99"),
    ]
    assert [line_of(result, f"nodes[{i}].node_ip") for i in range(5)] == [4, 4, 4, 4, 5]


def test_defaults_lie_beneath_every_node(tmp_path: Path) -> None:
    text = (
        "node_defaults:\n  interface: bond0\n  ssh: {user: root, port: 2222}\n"
        "nodes:\n"
        "  - {name: a, address: a, node_ip: 192.0.2.1}\n"
        "  - {name: b, address: b, node_ip: 192.0.2.2, interface: eth1, ssh: {user: me}}\n"
    )
    result = loaded(tmp_path, text)
    a, b = result.inventory.nodes
    assert (a.interface, a.ssh.user, a.ssh.port) == ("bond0", "root", 2222)
    assert (b.interface, b.ssh.user, b.ssh.port) == ("eth1", "me", 2222)
    assert (line_of(result, "nodes[0].interface"), line_of(result, "nodes[1].interface")) == (2, 6)


def test_anchors_and_merges(tmp_path: Path) -> None:
    text = "nodes:\n  - &a {name: a, address: a, node_ip: 192.0.2.1, interface: ib0}\n  - {<<: *a, name: b, address: b, node_ip: 192.0.2.2}\n"
    assert loaded(tmp_path, text).inventory.node("b").interface == "ib0"


def test_numbers_are_taken_as_written_where_text_belongs(tmp_path: Path) -> None:
    text = (
        NODES
        + "env: {A: 7200, B: 1.10}\nserver: {lmdeploy_version: 0.10, served_name: 007}\nrank_table: {version: 1.0}\n"
    )
    inventory = loaded(tmp_path, text).inventory
    assert inventory.env == {"A": "7200", "B": "1.10"}
    assert (inventory.server.lmdeploy_version, inventory.server.served_name) == ("0.10", "007")
    assert inventory.rank_table.version == "1.0"


def test_sections_with_all_lines_commented_out(tmp_path: Path) -> None:
    text = NODES + "node_defaults:\nserver:\n  extra_args:\n  expect:\ncontainer:\nenv:\n"
    assert loaded(tmp_path, text).inventory.server == Server()


def test_eager_mode_off_across_nodes_is_left_to_the_suites(tmp_path: Path) -> None:
    assert loaded(tmp_path, NODES + "server: {eager_mode: false}\n").inventory.server.eager_mode is False


def test_no_image_is_needed_without_containers(tmp_path: Path) -> None:
    assert loaded(tmp_path, NODES + "container: {engine: none, image: ''}\n").inventory.container.image == ""


def test_guide_variables_that_agree_are_no_mistake(tmp_path: Path) -> None:
    text = (
        NODES
        + "env: {GLOO_SOCKET_IFNAME: eth0, TP_SOCKET_IFNAME: eth0, RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES: 1, ASCEND_RANK_TABLE_FILE_PATH: /tmp/hakuna/rank_table.json}\n"
    )
    assert len(loaded(tmp_path, text).inventory.env) == 4


def test_one_address_with_two_ports_is_two_hosts(tmp_path: Path) -> None:
    text = "nodes:\n  - {name: a, address: h, node_ip: 192.0.2.1, ssh: {port: 2201}}\n  - {name: b, address: h, node_ip: 192.0.2.2, ssh: {port: 2202}}\n"
    assert len(loaded(tmp_path, text).inventory.nodes) == 2


def test_node_ips_are_canonical(tmp_path: Path) -> None:
    text = "nodes:\n  - {name: a, address: 'fe80::1%eth0', node_ip: '2001:DB8:0:0::1'}\n"
    assert loaded(tmp_path, text).inventory.nodes[0].node_ip == "2001:db8::1"


def test_ssh_key_is_found_beside_the_file_and_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / "key").touch()
    (tmp_path / "key").touch()
    text = "nodes:\n  - {name: a, address: a, node_ip: 192.0.2.1, ssh: {key: ~/key}}\n  - {name: b, address: b, node_ip: 192.0.2.2, ssh: {key: key}}\n"
    a, b = loaded(tmp_path, text).inventory.nodes
    assert (a.ssh.key, b.ssh.key) == (str(home / "key"), str(tmp_path / "key"))


def test_ssh_keys_are_not_needed_for_a_simulation(tmp_path: Path) -> None:
    text = "node_defaults: {ssh: {key: nowhere}}\n" + NODES
    assert loaded(tmp_path, text, transport="simulated").inventory.transport is TransportKind.SIMULATED


def test_api_key_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAKUNA_TEST_KEY", "sk-verysecret")
    result = loaded(tmp_path, NODES + "server: {api_key_env: HAKUNA_TEST_KEY}\n")
    assert result.inventory.api_key.get_secret_value() == "sk-verysecret"
    assert "verysecret" not in repr(result) + result.inventory.model_dump_json()


def test_api_key_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-verysecret\n")
    result = loaded(tmp_path, NODES + "server: {api_key_file: key}\n")
    assert result.inventory.api_key.get_secret_value() == "sk-verysecret"


def test_without_a_key_there_is_none(tmp_path: Path) -> None:
    assert loaded(tmp_path, NODES).inventory.api_key.get_secret_value() == ""


def test_overrides_win(tmp_path: Path) -> None:
    result = loaded(
        tmp_path,
        "node_defaults: {interface: eth9}\n" + NODES + "server: {port: 8000}\n",
        **{
            "server.port": "9000",
            "nodes[1].ssh.user": "me",
            "thresholds": {"clock_skew": 5},
            "transport": TransportKind.SIMULATED,
            "simulation.faults": ("x@node-a",),
            "node_defaults.interface": "eth1",
        },
    )
    inventory = result.inventory
    assert (inventory.server.port, inventory.nodes[1].ssh.user, inventory.nodes[0].ssh.user) == (9000, "me", "")
    assert (inventory.thresholds.clock_skew, inventory.simulation.faults) == (5, ("x@node-a",))
    assert inventory.transport is TransportKind.SIMULATED
    assert {n.interface for n in inventory.nodes} == {"eth1"}
    assert result.place_of("server.port") == "override"
    assert "server.port" not in result.lines


def test_digest_tells_settings_apart_and_ignores_layout(tmp_path: Path) -> None:
    plain = loaded(tmp_path, NODES).digest
    assert re.fullmatch(r"[0-9a-f]{64}", plain)
    assert loaded(tmp_path, "# a comment\n" + NODES + "ray:\n  port: 6379\n").digest == plain
    assert loaded(tmp_path, NODES + "ray:\n  port: 6380\n").digest != plain


@pytest.mark.parametrize(
    "line",
    [
        "server: {api_key_env: HAKUNA_TEST_KEY}",
        "env: {HF_TOKEN: KEY}",
        "server: {env: {OPENAI_API_KEY: KEY}}",
        "container: {extra_args: [-e, HF_TOKEN=KEY]}",
        "env: {https_proxy: 'http://me:KEY@192.0.2.1:3128'}",
    ],
)
def test_digest_does_not_depend_on_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    digests = set()
    for key in ("first", "second"):
        monkeypatch.setenv("HAKUNA_TEST_KEY", key)
        digests.add(
            loaded(
                tmp_path,
                NODES
                + line.replace("KEY}", f"{key}}}")
                .replace("KEY]", f"{key}]")
                .replace("KEY@", f"{key}@")
                .replace("TEST_first", "TEST_KEY")
                .replace("TEST_second", "TEST_KEY")
                + "\n",
            ).digest
        )
    assert len(digests) == 1
    assert hashlib.sha256(b"").hexdigest() not in digests


def test_dump_and_validate_give_the_same_inventory(tmp_path: Path) -> None:
    inventory = load(INVENTORIES / "atlas-800t-a2-2x8.yaml").inventory
    assert Inventory.model_validate_json(inventory.model_dump_json()) == inventory


def test_the_defaults_alone_survive_json() -> None:
    text = '{"nodes": [{"name": "a", "address": "a", "node_ip": "192.0.2.1"}]}'
    inventory = Inventory.model_validate_json(text)
    assert Inventory.model_validate(inventory.model_dump(mode="json")) == inventory


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + NODES.replace("\n", "\r\n").encode())
    assert len(load(file).inventory.nodes) == 2
