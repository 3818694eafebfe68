# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from hakuna.inventory.schema import json_schema

ROOT = Path(__file__).parents[2]
NODE = {"name": "a", "address": "a", "node_ip": "192.0.2.1"}
HEAL = "python -m hakuna.inventory.schema > inventory/schema.json"


def test_the_file_is_the_models() -> None:
    assert json.loads((ROOT / "inventory" / "schema.json").read_text()) == json_schema(), HEAL


def test_the_command_writes_the_file() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    command = [sys.executable, "-W", "error", "-m", "hakuna.inventory.schema"]
    done = subprocess.run(command, env=env, capture_output=True, check=True, text=True, timeout=60)
    assert done.stdout == (ROOT / "inventory" / "schema.json").read_text(), HEAL


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", ["mock.yaml", "atlas-800t-a2-2x8.yaml"])
def test_our_files_fit(name: str) -> None:
    data = YAML(typ="safe", pure=True).load(ROOT / "inventory" / name)
    jsonschema.validate(data, json_schema())


@pytest.mark.parametrize(
    "data",
    [
        {"nodes": [{**NODE, "name": "node[01-16]", "node_ip": "10.0.0.[1-16]"}]},
        {"hosts_from": "hosts.yaml", "group": "npu", "nodes": [{"name": "a", "interface": "eth1"}]},
        {"nodes": [NODE], "node_defaults": {"ssh": {"user": "root"}}, "env": {"A": 1, "B": "x"}},
    ],
)
def test_what_the_loader_adds_fits(data: object) -> None:
    jsonschema.validate(data, json_schema())


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"nodes": []},
        {"nodes": [{**NODE, "intreface": "eth1"}]},
        {"nodes": [NODE], "chip": "atlas"},
        {"nodes": [NODE], "api_key": "x"},
        {"nodes": [NODE], "server": {"port": 70000}},
        {"nodes": [NODE], "server": {"backend": "torch"}},
        {"nodes": [NODE], "node_defaults": {"name": "x"}},
        {"nodes": [{**NODE, "ssh": {"host_key": "never"}}]},
        {"nodes": [NODE], "env": {"9": "x"}},
    ],
)
def test_mistakes_do_not_fit(data: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema())
