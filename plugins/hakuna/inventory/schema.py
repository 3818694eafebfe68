# SPDX-License-Identifier: Apache-2.0
"""The JSON schema of inventory files, for editors: ``python -m hakuna.inventory.schema > inventory/schema.json``."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from hakuna.inventory.model import Inventory

_TEXT = ("name", "address", "node_ip")


def json_schema() -> dict[str, Any]:
    """The schema of the file: the model, and what the loader adds to it (ranges, node_defaults, hosts_from)."""
    schema: dict[str, Any] = _tidied(Inventory.model_json_schema(mode="validation"))
    properties, node = schema["properties"], schema["$defs"]["Node"]
    del properties["api_key"]
    node["properties"]["name"] = {"type": "string", "description": "A name, or a range like node[01-16]."}
    node["properties"]["node_ip"]["description"] = "The host network's IP address, or a range like 10.0.0.[1-16]."
    node["required"] = ["name"]  # the rest may come from an Ansible inventory
    beneath = {key: value for key, value in node["properties"].items() if key not in _TEXT}
    schema["$defs"]["NodeDefaults"] = {**node, "properties": beneath, "description": "Merged beneath every node."}
    del schema["$defs"]["NodeDefaults"]["required"]
    properties["node_defaults"] = {"$ref": "#/$defs/NodeDefaults"}
    properties["hosts_from"] = {
        "type": "string",
        "description": "An Ansible inventory in YAML, relative to this file: hosts and ssh settings are taken from it.",
    }
    properties["group"] = {"type": "string", "description": "Only this group of hosts_from."}
    for env in (properties["env"], schema["$defs"]["Server"]["properties"]["env"]):
        env["additionalProperties"] = {"type": ["string", "number"]}
        env["propertyNames"] = {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
        env.pop("patternProperties", None)
    schema.pop("required")
    schema["anyOf"] = [{"required": ["nodes"]}, {"required": ["hosts_from"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Hakuna inventory", **schema}


def _tidied(value: Any) -> Any:
    """Without the model library's titles, and with patterns that are only a choice written as one."""
    if isinstance(value, list):
        return [_tidied(v) for v in value]
    if not isinstance(value, dict):
        return value
    tidied = {k: _tidied(v) for k, v in value.items() if k != "title" or not isinstance(v, str)}
    choice = re.fullmatch(r"\^\(([\w|.\\-]+)\)\$", str(tidied.get("pattern", "")))
    if choice:
        del tidied["pattern"]
        tidied["enum"] = choice.group(1).replace("\\", "").split("|")
    return tidied


if __name__ == "__main__":
    json.dump(json_schema(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
