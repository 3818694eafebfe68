# SPDX-License-Identifier: Apache-2.0
"""Which node runs which version of what: a table with one column per set of nodes that are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hakuna.evidence import Ending, NodeAnswer, Outcome
from hakuna.probes import container_facts, host, model_dir, npu_smi, versions
from hakuna.probes.reading import Reading, read
from hakuna.stages.host import short_digest
from hakuna.where import Where

#: Up to so many nodes each has a column of its own, also where they are the same.
OWN_COLUMN = 8
PACKAGES = ("lmdeploy", "dlinfer-ascend", "torch", "torch-npu", "ray", "transformers")
UNREAD = "?"

Answers = Mapping[str, Mapping[str, NodeAnswer]]
Asked = tuple[str, str, str, Callable[[str], str]]

#: Row, batch, command, and what to show of the answer.
_ASKED: tuple[Asked, ...] = (
    ("driver", "host", "host.driver", lambda t: versions.parse_version_info(t).version),
    ("firmware", "host", "host.firmware", lambda t: versions.parse_version_info(t).version),
    ("npu-smi", "host", "npu.info", lambda t: npu_smi.parse_info(t).version),
    ("CANN", "host", "host.cann", lambda t: versions.parse_cann(t).version or "-"),
    ("kernel", "host", "host.kernel", host.parse_kernel),
    ("container engine", "host", "engine.version", lambda t: _engine(container_facts.parse_version(t))),
    ("image", "host", "engine.image", lambda t: short_digest(container_facts.parse_image(t).digest)),
    ("model config", "host", "model.config", lambda t: short_digest(model_dir.parse_digest(t))),
    ("CANN (container)", "container", "host.cann", lambda t: versions.parse_cann(t).version or "-"),
    ("Python (container)", "container", "versions", lambda t: versions.parse_packages(t).python),
)


@dataclass(frozen=True)
class Row:
    """One piece of software. ``odd`` holds the indices of the columns that differ from the most common value."""

    name: str
    values: tuple[str, ...]
    odd: tuple[int, ...] = ()


@dataclass(frozen=True)
class VersionTable:
    """``columns`` are nodes, or sets of nodes that agree in every row."""

    columns: tuple[tuple[str, ...], ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def odd_count(self) -> int:
        return sum(bool(r.odd) for r in self.rows)


def version_table(answers: Answers, nodes: tuple[str, ...]) -> VersionTable:
    """Make the table from the evidence of the stages host and container; what cannot be read is ``?``."""
    found: dict[str, dict[str, str]] = {}
    for name, batch, command, show in _ASKED:
        values = {n: _value(answers, batch, n, command, show) for n in nodes}
        if any(v for v in values.values()):
            found[name] = {n: v or UNREAD for n, v in values.items()}
    packages = {n: _packages(answers, n) for n in nodes}
    for package in PACKAGES:
        if any(p is not None for p in packages.values()):
            found[package] = {n: UNREAD if p is None else p.get(package) or "-" for n, p in packages.items()}
    if not found:
        return VersionTable()
    columns = _columns(found, nodes)
    rows = []
    for name, by_node in found.items():
        counted = Counter(v for v in by_node.values() if v != UNREAD)
        usual = counted.most_common(1)[0][0] if counted else UNREAD
        shown = tuple(by_node[column[0]] for column in columns)
        rows.append(Row(name, shown, tuple(i for i, v in enumerate(shown) if v not in (usual, UNREAD))))
    return VersionTable(columns, tuple(rows))


def _columns(found: Mapping[str, Mapping[str, str]], nodes: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    if len(nodes) <= OWN_COLUMN:
        return tuple((n,) for n in nodes)
    same: dict[tuple[str, ...], list[str]] = {}
    for node in nodes:
        same.setdefault(tuple(values[node] for values in found.values()), []).append(node)
    return tuple(tuple(c) for c in sorted(same.values(), key=lambda c: -len(c)))


def _read(answers: Answers, batch: str, node: str, command: str, parse: Callable[[str], str]) -> Reading[str]:
    answer = answers.get(batch, {}).get(node)
    outcome = (answer.outcomes.get(command) if answer else None) or Outcome(command, Ending.NOT_RUN)
    return read(Where(node), outcome, parse, "", answer.trouble if answer else None)


def _value(answers: Answers, batch: str, node: str, command: str, show: Callable[[str], str]) -> str:
    reading = _read(answers, batch, node, command, show)
    return str(reading.fact) if reading.readable and reading.fact is not None else ""


def _packages(answers: Answers, node: str) -> Mapping[str, str | None] | None:
    answer = answers.get("container", {}).get(node)
    outcome = answer.outcomes.get("versions") if answer else None
    if outcome is None:
        return None
    fact = read(Where(node), outcome, versions.parse_packages, "").fact
    return fact.packages if fact is not None else None


def _engine(version: container_facts.EngineVersion) -> str:
    return version.server or version.client
