# SPDX-License-Identifier: Apache-2.0
"""Loads an inventory file: reads it, checks it, and either gives the whole of it or tells all its mistakes at once."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from hakuna.inventory.ansible import is_ansible
from hakuna.inventory.checks import Context, check, unreadable
from hakuna.inventory.document import Item, read_document
from hakuna.inventory.model import Inventory, Node
from hakuna.inventory.nodes import build_nodes
from hakuna.inventory.problems import SECRET_NAME, InventoryError, Problems, Spot
from hakuna.inventory.validation import validate

#: What problems call the "file" of a setting that was given on the command line.
OVERRIDE = "override"
_NOTHING: Mapping[str, object] = MappingProxyType({})
_PART = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]")
_ASSIGNMENT = re.compile(r"(--?[\w-]+|\w+)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Loaded:
    """An inventory and where it came from.

    ``lines`` gives the line in ``path`` of every setting that stands there, by its dotted path in the inventory
    ("nodes[1].ssh.port"; nodes are counted after ranges were expanded). ``spots`` also knows settings that came
    from the Ansible file or an override.
    """

    inventory: Inventory
    path: Path
    lines: Mapping[str, int] = field(default_factory=dict)
    spots: Mapping[str, Spot] = field(default_factory=dict, repr=False)

    @property
    def digest(self) -> str:
        """See :func:`digest`."""
        return digest(self.inventory)

    def place_of(self, setting: str) -> str:
        """``FILE:LINE`` of the setting or, where the file leaves it out, of the section around it; else ``FILE``."""
        for path in _outwards(setting):
            if path in self.spots:
                spot = self.spots[path]
                return f"{spot.file}:{spot.line}" if spot.line else spot.file
        return str(self.path)


def line_of(loaded: Loaded, setting: str) -> int | None:
    """The line of a setting, or of the innermost section around it that the file has; None when it has neither."""
    return next((loaded.lines[path] for path in _outwards(setting) if path in loaded.lines), None)


def digest(inventory: Inventory) -> str:
    """SHA-256 (hex) of the inventory as canonical JSON, without secrets: the same settings give the same digest."""
    dump = _without_secrets(inventory.model_dump(mode="json"))
    text = json.dumps(dump, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load(path: Path, *, overrides: Mapping[str, object] = _NOTHING) -> Loaded:
    """Load the inventory file at ``path``.

    ``overrides`` sets single settings over the file's, by dotted path: ``{"server.tp": 8}`` or
    ``{"nodes[0].ssh.user": "root"}`` (nodes counted after ranges were expanded). Paths of keys in the file have
    ``~`` expanded and are relative to the file's folder. The API key is read from the environment variable or file
    that the inventory names.

    Raises:
        InventoryError: there is something wrong; all mistakes are in it.
    """
    path = Path(path).expanduser()
    problems = Problems()
    root = read_document(path, problems)
    if root is None:
        raise InventoryError(problems)
    if not isinstance(root.value, dict):
        problems.add(root.spot, "not a mapping", "an inventory begins with lines like nodes: and container:")
        raise InventoryError(problems)
    if is_ansible(root):
        _refuse_ansible(root, path, problems)
    late = {k: v for k, v in overrides.items() if k.partition(".")[0] != "node_defaults"}
    root = _override(root, {k: v for k, v in overrides.items() if k not in late}, problems)
    root = _without_key(_override(build_nodes(root, path.parent, problems), late, problems), problems)
    inventory, refused = validate(root, problems)
    if inventory is None:
        raise InventoryError(problems)
    spots = {"": root.spot, **dict(root.walk())}
    inventory = _settled(inventory, spots, path.parent)
    context = Context(inventory, spots, refused, problems)
    check(context)
    api_key = _api_key(context, path.parent)
    problems.raise_if_any()
    lines = {key: spot.line for key, spot in spots.items() if key and spot.line and spot.file == root.spot.file}
    inventory = inventory.model_copy(update={"api_key": SecretStr(api_key)})
    return Loaded(inventory, path, MappingProxyType(lines), MappingProxyType(spots))


def _refuse_ansible(root: Item, path: Path, problems: Problems) -> None:
    first = next(iter(root.mapping.values()))
    message = "this is an Ansible inventory; hosts alone do not say what to deploy"
    hint = f'write a second file with "hosts_from: {path.name}", and chip:, container:, rank_table: and server: as in '
    problems.add(replace(first.spot, where=""), message, f"{hint}inventory/atlas-800t-a2-2x8.yaml, and give that one")
    raise InventoryError(problems)


def _without_key(root: Item, problems: Problems) -> Item:
    """The model has a field for the API key, but only this loader fills it."""
    key = root.mapping.get("api_key")
    if key is None:
        return root
    hint = "name it: server.api_key_env or server.api_key_file"
    problems.add(key.spot, "an API key must not stand in the file", hint)
    return replace(root, value={name: item for name, item in root.mapping.items() if name != "api_key"})


def _override(root: Item, overrides: Mapping[str, object], problems: Problems) -> Item:
    for setting, value in overrides.items():
        parts = [name or int(index) for name, index in _PART.findall(setting)]
        spot = Spot(OVERRIDE, where=setting)
        if not parts or not re.fullmatch(r"[A-Za-z_]\w*(\[\d+\]|\.[A-Za-z_]\w*)*", setting):
            problems.add(spot, "not the path of a setting", "e.g. server.tp or nodes[0].ssh.user")
            continue
        changed = _set(root, parts, _item(value, spot))
        if changed is None:
            problems.add(spot, "there is nothing at this path to set", "check the section and the node's number")
        else:
            root = changed
    return root


def _set(item: Item, parts: list[str | int], value: Item) -> Item | None:
    if not parts:
        return value
    first, rest = parts[0], parts[1:]
    if isinstance(first, int):
        if not isinstance(item.value, list) or first >= len(item.value):
            return None
        below = _set(item.value[first], rest, value)
        return None if below is None else replace(item, value=[*item.value[:first], below, *item.value[first + 1 :]])
    if item.value is not None and not isinstance(item.value, dict):
        return None
    below = _set(item.mapping.get(first, Item(None, value.spot)), rest, value)
    return None if below is None else item.with_key(first, below)


def _item(value: object, spot: Spot) -> Item:
    if isinstance(value, Mapping):
        return Item({str(k): _item(v, replace(spot, where=f"{spot.where}.{k}")) for k, v in value.items()}, spot)
    if isinstance(value, (list, tuple)):
        return Item([_item(v, replace(spot, where=f"{spot.where}[{i}]")) for i, v in enumerate(value)], spot)
    if value is None or isinstance(value, (str, int, float, bool)):
        return Item(value, spot, "" if value is None else str(value))
    return Item(str(getattr(value, "value", value)), spot)  # an enum's member, or a path


def _settled(inventory: Inventory, spots: Mapping[str, Spot], folder: Path) -> Inventory:
    """The inventory with node IPs in their canonical form and paths of this machine made absolute."""
    nodes: list[Node] = []
    for index, node in enumerate(inventory.nodes):
        changes = {
            key: str(_local(getattr(node.ssh, key), spots.get(f"nodes[{index}].ssh.{key}"), folder))
            for key in ("key", "known_hosts")
            if getattr(node.ssh, key)
        }
        nodes.append(
            node.model_copy(
                update={"node_ip": _canonical(node.node_ip), "ssh": node.ssh.model_copy(update=changes)},
            )
        )
    return inventory.model_copy(update={"nodes": tuple(nodes)})


def _canonical(ip: str) -> str:
    try:
        return str(ipaddress.ip_address(ip))
    except ValueError:
        return ip


def _local(name: str, spot: Spot | None, folder: Path) -> Path:
    """A path of this machine: relative ones count from the file they stand in, overrides from where we are."""
    base = folder if spot is None else Path() if spot.file == OVERRIDE else Path(spot.file).parent
    try:
        return (base / Path(name).expanduser()).absolute()
    except RuntimeError:  # "~somebody" whom this machine does not know
        return (base / name).absolute()


def _api_key(context: Context, folder: Path) -> str:
    server = context.inventory.server
    if server.api_key_env and server.api_key_file:
        context.add("server.api_key_file", "api_key_env is set as well", "keep one of the two")
        return ""
    if server.api_key_env:
        # Who writes the key itself here must not find it in a log: only plain names are shown.
        value = server.api_key_env if re.fullmatch(r"[A-Z][A-Z0-9_]*", server.api_key_env) else ""
        key, path = os.environ.get(server.api_key_env, ""), "server.api_key_env"
        missing = "not set in the environment" if server.api_key_env not in os.environ else "empty in the environment"
        hint = f"export {value or 'NAME'}=... before the run"
    elif server.api_key_file:
        value, path = server.api_key_file if "/" in server.api_key_file else "", "server.api_key_file"
        file = _local(server.api_key_file, context.spots.get(path), folder)
        missing = unreadable(file)
        key = "" if missing else file.read_text("utf-8", "replace").strip()
        missing, hint = missing or "the file is empty", "a file that holds the key and nothing else"
    else:
        return ""
    if not key.strip():
        context.add(path, missing, hint, value=value)
    elif not re.fullmatch(r"[!-~]+", key):
        context.add(path, "the key holds spaces, line ends or other signs that HTTP does not carry", hint, value=value)
    return key


def secrets_of(inventory: Inventory) -> list[str]:
    """Every value of the inventory that must not be kept: the API key, secret-looking variables, passwords in URLs."""
    found = [inventory.api_key.get_secret_value()]
    for env in (inventory.env, inventory.server.env):
        for name, value in env.items():
            if SECRET_NAME.search(name):
                found.append(value)
            found += re.findall(r"//[^/@\s:]*:([^/@\s]+)@", value)
    for words in (inventory.container.extra_args, inventory.server.extra_args):
        for word in words:
            name, _, value = word.partition("=")
            if value and SECRET_NAME.search(name.replace("-", "_")):
                found.append(value)
    return [value for value in found if value]


def _without_secrets(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _without_secrets(v, str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_secrets(v) for v in value]
    if isinstance(value, str):
        assigned = _ASSIGNMENT.fullmatch(value)
        if assigned and SECRET_NAME.search(assigned.group(1).replace("-", "_")):
            return f"{assigned.group(1)}=***"
        return "***" if value and SECRET_NAME.search(name) else re.sub(r"//[^/@\s]+@", "//***@", value)
    return value


def _outwards(setting: str) -> list[str]:
    """The path and those around it: ``a.b[0].c``, ``a.b[0]``, ``a.b``, ``a``."""
    paths = [setting]
    while "." in paths[-1] or "[" in paths[-1]:
        paths.append(paths[-1][: max(paths[-1].rfind("."), paths[-1].rfind("["))])
    return paths
