# SPDX-License-Identifier: Apache-2.0
"""Turns what a file says about nodes into one item per node: Ansible hosts, defaults, and host ranges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hakuna.inventory.ansible import read_hosts
from hakuna.inventory.document import Item, Sealed, read_document
from hakuna.inventory.problems import Problems
from hakuna.inventory.ranges import RangeError, expand, has_range

#: Top-level keys of the file that are not part of the model.
FILE_KEYS = ("node_defaults", "hosts_from", "group")
_RANGED = ("name", "address", "node_ip")


def build_nodes(root: Item, folder: Path, problems: Problems) -> Item:
    """The document with ``node_defaults``, ``hosts_from`` and ``group`` worked into ``nodes``.

    What is not a list or a mapping where one belongs is left as it is, for the model to complain about.
    """
    keys = dict(root.mapping)
    defaults, source, group = (keys.pop(key, None) for key in FILE_KEYS)
    if defaults is not None:
        defaults = _checked_defaults(defaults, problems)
    hosts: list[Item] | None = None
    if source is not None:
        hosts = _ansible_hosts(source, group, folder, problems)
    elif group is not None:
        problems.add(group.spot, "means nothing without hosts_from", "hosts_from: names the Ansible inventory")
    written = keys.get("nodes")
    if written is not None and isinstance(written.value, list):
        expanded = [node for entry in written.value for node in _expand(entry, problems)]
        nodes = Item(list(_merge(hosts or [], expanded)), written.spot)
    elif source is not None and (written is None or written.value is None):
        # Nothing found there has been complained about: sealed, nobody asks for nodes again.
        nodes = Item(list(hosts) if hosts else Sealed(""), source.spot)
    else:
        return replace(root, value=keys)
    if defaults is not None and isinstance(nodes.value, list):
        nodes = replace(nodes, value=[node.over(defaults) for node in nodes.value])
    return replace(root, value={**keys, "nodes": nodes})


def _checked_defaults(defaults: Item, problems: Problems) -> Item | None:
    if defaults.value is None:
        return None
    if not isinstance(defaults.value, dict):
        problems.add(defaults.spot, "must be a mapping", "write settings of a node beneath it, like ssh:")
        return None
    for key in _RANGED:
        if key in defaults.value:
            problems.add(defaults.value[key].spot, "differs from node to node", "write it in each entry of nodes:")
    return replace(defaults, value={k: v for k, v in defaults.value.items() if k not in _RANGED})


def _ansible_hosts(source: Item, group: Item | None, folder: Path, problems: Problems) -> list[Item]:
    if not isinstance(source.value, str) or not source.value:
        problems.add(
            source.spot, "must be the path of an Ansible inventory", "hosts_from: hosts.yaml", value=source.plain
        )
        return []
    if group is not None and not isinstance(group.value, str):
        problems.add(group.spot, "must be the name of a group", "or remove it to take all hosts", value=group.plain)
        return []
    path = folder / Path(source.value).expanduser()
    if not path.is_file():
        problems.add(source.spot, "there is no such file", f"it is looked for at {path}", value=source.value)
        return []
    hosts = read_document(path, problems, sealed=True)
    if hosts is None:
        return []
    return read_hosts(hosts, str(group.value) if group else "", problems, (group or source).spot)


def _merge(hosts: list[Item], entries: list[Item]) -> list[Item]:
    """Ansible's hosts with our own entries of the same name over them; other entries follow."""
    merged = list(hosts)
    index = {host.mapping["name"].value: i for i, host in enumerate(hosts)}
    for entry in entries:
        name = entry.mapping["name"].value if "name" in entry.mapping else None
        if isinstance(name, str) and name in index:
            merged[index[name]] = entry.over(merged[index[name]])
        else:
            merged.append(entry)
    return merged


def _expand(entry: Item, problems: Problems) -> list[Item]:
    """The nodes that one entry stands for: as many as its name has, with address and node_ip in step."""
    fields = {k: entry.mapping[k] for k in _RANGED if k in entry.mapping and isinstance(entry.mapping[k].value, str)}
    ranged = {key: item for key, item in fields.items() if has_range(str(item.value))}
    if not ranged:
        return [entry]
    names: dict[str, list[str]] = {}
    for key, item in ranged.items():
        expanded = _names(item, problems)
        if expanded:
            names[key] = expanded
    bad = set(ranged) - set(names)
    count = len(names.get("name", ("",)))
    if "name" not in bad:
        for key, item in fields.items():
            if key not in bad and len(names.get(key, ("",))) != count:
                bad.add(key)
                message = f"stands for {_nodes(len(names.get(key, ('',))))}, the name for {_nodes(count)}"
                problems.add(item.spot, message, "give both ranges of the same length", value=item.value)
    if "name" in bad:
        bad = set(ranged)
    # What does not fit has been complained about: sealed, nobody asks for it again.
    kept = {key: replace(item, value=Sealed("")) if key in bad else item for key, item in entry.mapping.items()}
    usable = {key: values for key, values in names.items() if key not in bad}
    return [
        replace(entry, value={**kept, **{k: replace(kept[k], value=v[i], text=v[i]) for k, v in usable.items()}})
        for i in range(count if "name" not in bad else 1)
    ]


def _names(item: Item, problems: Problems) -> list[str]:
    try:
        return expand(str(item.value))
    except RangeError as error:
        problems.add(item.spot, str(error), "write it like node[01-16] or node[1-2,5]", value=item.value)
        return []


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"
