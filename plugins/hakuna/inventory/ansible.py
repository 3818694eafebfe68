# SPDX-License-Identifier: Apache-2.0
"""Takes hosts and ssh settings from an Ansible inventory in YAML.

Understood: ``all``, ``children``, ``hosts``, ``vars``, ranges like ``node[01:16]``, and Ansible's order of precedence
(parent group, child group, host). Not read: ``group_vars`` and ``host_vars`` folders, templates, vaults.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hakuna.inventory.document import Item, Sealed
from hakuna.inventory.problems import Problems, Spot, nearest, one_of
from hakuna.inventory.ranges import RangeError, expand

_GROUP_KEYS = frozenset({"hosts", "children", "vars"})
_SSH = {
    "ansible_user": "user",
    "ansible_ssh_user": "user",
    "ansible_port": "port",
    "ansible_ssh_port": "port",
    "ansible_ssh_private_key_file": "key",
    "ansible_private_key_file": "key",
    "ansible_become": "sudo",
}
_OWN = ("hakuna_node_ip", "hakuna_interface", "hakuna_devices")
_LETTERS = re.compile(r"\[([a-z]):([a-z])\]")


@dataclass
class _Group:
    name: str
    depth: int = 0
    vars: dict[str, Item] = field(default_factory=dict)
    hosts: dict[str, Item] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)


def is_ansible(root: Item) -> bool:
    """Whether a document looks like an Ansible inventory: groups of hosts, children and vars."""
    groups = root.mapping
    if not groups:
        return False
    if set(groups["all"].mapping if "all" in groups else ()) & _GROUP_KEYS:
        return True
    return all(set(g.mapping) & {"hosts", "children"} and set(g.mapping) <= _GROUP_KEYS for g in groups.values())


def read_hosts(root: Item, group: str, problems: Problems, asked: Spot) -> list[Item]:
    """The hosts of ``group`` ("" for all of them) as nodes of our own inventory, in the file's order.

    ``asked`` is where our inventory names the group.
    """
    if not is_ansible(root):
        problems.add(root.spot, "not an Ansible inventory", "it needs all: with hosts: or children: beneath")
        return []
    before = len(problems)
    groups = _read_groups(root, problems)
    if group and group not in groups:
        problems.add(asked, "the Ansible inventory has no such group", one_of(group, groups), value=group)
        return []
    names = list(dict.fromkeys(_members(groups, group or "all", set())))
    if not names and len(problems) == before:
        problems.add(asked, "the Ansible inventory has no hosts there", "add hosts: to the group", value=group)
    members = {g: set(_members(groups, g, set())) for g in groups}
    return [_node(name, *_variables(groups, members, name), problems) for name in names]


def _read_groups(root: Item, problems: Problems) -> dict[str, _Group]:
    groups = {"all": _Group("all")}
    for name, item in root.mapping.items():
        if name != "all":
            groups["all"].children[name] = None
        _read_group(groups, name, item, 0 if name == "all" else 1, problems)
    return groups


def _read_group(groups: dict[str, _Group], name: str, item: Item, depth: int, problems: Problems) -> None:
    """Add what stands at one place about a group; Ansible lets a group be described at several."""
    group = groups.setdefault(name, _Group(name))
    group.depth = max(group.depth, depth)
    if item.value is not None and not isinstance(item.value, dict):
        problems.add(item.spot, "a group must be a mapping", "hosts:, children: or vars: beneath it")
    for key, part in item.mapping.items():
        if key not in _GROUP_KEYS:
            problems.add(part.spot, "not a key of an Ansible group", one_of(key, sorted(_GROUP_KEYS)))
        elif part.value is not None and not isinstance(part.value, dict):
            problems.add(part.spot, "must be a mapping", "write each name as a key: NAME:")
    parts = {key: part.mapping for key, part in item.mapping.items()}
    group.vars.update(parts.get("vars", {}))
    for pattern, host in parts.get("hosts", {}).items():
        for host_name in _expand(pattern, host, problems):
            group.hosts[host_name] = host.over(group.hosts.get(host_name, host))
    for child, below in parts.get("children", {}).items():
        group.children[child] = None
        _read_group(groups, child, below, depth + 1, problems)


def _expand(pattern: str, host: Item, problems: Problems) -> list[str]:
    letters = _LETTERS.search(pattern)
    if letters and letters.group(1) <= letters.group(2):
        codes = range(ord(letters.group(1)), ord(letters.group(2)) + 1)
        spelled = [pattern[: letters.start()] + chr(c) + pattern[letters.end() :] for c in codes]
        return [name for s in spelled for name in _expand(s, host, problems)]
    try:
        return expand(re.sub(r"\[(\d+):(\d+)\]", r"[\1-\2]", pattern))
    except RangeError as error:
        problems.add(host.spot, str(error), "write it like node[01:16]", value=pattern)
        return []


def _members(groups: dict[str, _Group], name: str, seen: set[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    yield from groups[name].hosts
    for child in groups[name].children:
        yield from _members(groups, child, seen)


def _variables(groups: dict[str, _Group], members: dict[str, set[str]], host: str) -> tuple[Spot, dict[str, Item]]:
    """Where the host stands, and its variables: those of its groups from the outermost inwards, then its own."""
    own = [g for g in groups.values() if host in g.hosts]
    around = [g for g in groups.values() if host in members[g.name]]
    merged: dict[str, Item] = {}
    for group in sorted(around, key=lambda g: (g.depth, g.name)):
        merged.update(group.vars)
    for group in sorted(own, key=lambda g: (g.depth, g.name)):
        merged.update(group.hosts[host].mapping)
    first = min((g.hosts[host].spot for g in own), key=lambda s: (s.line, s.column))
    return first, merged


def _node(name: str, spot: Spot, variables: dict[str, Item], problems: Problems) -> Item:
    known = (*_SSH, *_OWN, "ansible_host", "ansible_ssh_host", "ansible_ssh_common_args", "ansible_ssh_extra_args")
    used = {k: v for k, v in variables.items() if k in known and _plain_text(v, problems)}
    for key, item in variables.items():
        if key.startswith("hakuna_") and key not in _OWN:
            close = nearest(key, _OWN)
            problems.add(item.spot, "not a known variable", f'did you mean "{close}"?' if close else ", ".join(_OWN))
    ssh = {target: used[key] for key, target in reversed(_SSH.items()) if key in used and used[key].value is not None}
    for key in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        jump = _jump(used[key], problems) if key in used else ""
        if jump:
            ssh["jump"] = replace(used[key], value=jump, text=jump)
    named = Item(name, spot, name)
    address = used.get("ansible_host") or used.get("ansible_ssh_host") or named
    node = {"name": named, "address": address, "ssh": Item(ssh, spot)}
    if "hakuna_node_ip" in used:
        node["node_ip"] = used["hakuna_node_ip"]
    elif _is_ip(address.value):
        node["node_ip"] = address
    if "hakuna_interface" in used:
        node["interface"] = used["hakuna_interface"]
    if "hakuna_devices" in used:
        node["device_ids"] = _devices(used["hakuna_devices"], problems)
    return Item(node, spot)


def _plain_text(item: Item, problems: Problems) -> bool:
    if isinstance(item.value, Sealed):
        problems.add(item.spot, f"{item.value.tag} values can not be opened here", "write it in clear, or under nodes:")
        return False
    if isinstance(item.value, str) and "{{" in item.value:
        problems.add(
            item.spot, "templates are not filled in here", "write the value, or set it under nodes:", value=item.value
        )
        return False
    return True


def _is_ip(value: object) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True


def _jump(item: Item, problems: Problems) -> str:
    """The jump host in ssh arguments: ``-J HOST``, ``-o ProxyJump=HOST`` or ``-o "ProxyJump HOST"``; "" without one."""
    try:
        words = shlex.split(str(item.value or ""))
    except ValueError as error:
        problems.add(item.spot, f"not a list of arguments: {str(error).lower()}", "check the quotes", value=item.value)
        return ""
    found = ""
    for index, word in enumerate(words):
        value = words[index + 1] if index + 1 < len(words) else ""
        if word.startswith("-J"):
            found = word[2:] or value
        elif word.startswith("-o"):
            match = re.match(r"\s*(\w+)\s*[= ]\s*(.*)", word[2:] or value)
            option, argument = (match.group(1).lower(), match.group(2)) if match else ("", "")
            if option == "proxyjump" and argument != "none":
                found = argument
            elif option == "proxycommand" and argument != "none":
                problems.add(
                    item.spot,
                    "ProxyCommand is not understood",
                    "use -o ProxyJump=HOST, or set ssh.jump",
                    value=item.value,
                )
    return found


def _devices(item: Item, problems: Problems) -> Item:
    """``[0, 1]`` as it is; the text "0-7" or "0,2" as the numbers it stands for."""
    if not isinstance(item.value, str):
        return item
    try:
        numbers = expand(f"[{item.value}]")
    except RangeError as error:
        problems.add(item.spot, str(error), 'write [0, 1, 2] or "0-7"', value=item.value)
        return replace(item, value=[Item(0, item.spot)])
    return replace(item, value=[Item(int(n), item.spot, n) for n in numbers])
