# SPDX-License-Identifier: Apache-2.0
"""LMDeploy releases: what the table of :mod:`hakuna.releases` says of one, and what is assumed where it is not known.

A version is the text that ``lmdeploy.__version__`` or the inventory gives. ``None`` (or ``"detect"``, or text that is
no version) means that it is not known: every function then answers on the safe side and its ``source`` says so.
Versions are ordered as PEP 440 says, so a pre-release of 0.15.0 is judged as what came before 0.15.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from packaging.version import InvalidVersion, Version

from hakuna.inventory.model import Chip
from hakuna.judgement.hccl_variables import hccl_variable_problem
from hakuna.judgement.sizes import size_in_bytes, size_in_gib
from hakuna.releases import ASSUMED, Behaviour, DeviceChoice, EagerDemand, TableUse, Topology, row_of, rows_of

__all__ = [
    "Behaviour",
    "DeviceChoice",
    "EagerDemand",
    "Ruling",
    "Topology",
    "can_span_nodes",
    "device_chosen_by",
    "eager_required",
    "hccl_if_ip_leaks",
    "hccl_variable_problem",
    "health_is_json",
    "needs_rank_table",
    "parse_version",
    "rank_table_format",
    "reads_rank_table",
    "ruling",
    "size_in_bytes",
    "size_in_gib",
    "validation_error_status",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Ruling(Generic[T]):
    """What holds for one version, and on which ground. ``certain`` is false when the version is not known.

    ``row`` is the key of the row of the table of releases; empty when it is assumed.
    """

    value: T
    source: str
    certain: bool = True
    row: str = ""


def parse_version(text: str | None) -> Version | None:
    """The version that the text names, or None if it names none (``None``, empty, ``"detect"``, not PEP 440)."""
    try:
        return Version((text or "").strip())
    except InvalidVersion:
        return None


def ruling(
    behaviour: Behaviour, version: str | None, chip: Chip | None = None, topology: Topology | None = None
) -> Ruling[Any]:
    """What the table says of a behaviour; leave ``chip`` and ``topology`` out where it does not depend on them."""
    release = parse_version(version)
    rows = rows_of(behaviour, chip and chip.value, topology)
    if release is None and len(rows) > 1:
        assumed = ASSUMED[behaviour]
        return Ruling(assumed.value, f"the LMDeploy version is not known: {assumed.says}", certain=False)
    row = rows[0] if release is None else row_of(behaviour, release, Version, chip and chip.value, topology)
    return Ruling(row.value, row.ground, row=row.key)


def _topology(*, spans_nodes: bool) -> Topology:
    return Topology.SEVERAL if spans_nodes else Topology.ONE


def can_span_nodes(version: str | None) -> Ruling[bool]:
    """Whether this release can serve across Ascend nodes at all."""
    return ruling(Behaviour.SPANS, version, topology=Topology.SEVERAL)


def reads_rank_table(version: str | None) -> Ruling[bool]:
    """Whether this release reads a rank table across nodes (a version that is not known may)."""
    return needs_rank_table(version, spans_nodes=True)


def needs_rank_table(version: str | None, *, spans_nodes: bool) -> Ruling[bool]:
    """Whether LMDeploy needs ``ASCEND_RANK_TABLE_FILE_PATH`` when tensor parallelism spans nodes (or does not)."""
    if not spans_nodes and parse_version(version) is None:
        return Ruling(value=False, source="on one node no LMDeploy needs a rank table")
    found = ruling(Behaviour.TABLE, version, topology=_topology(spans_nodes=spans_nodes))
    return Ruling(found.value is TableUse.NEEDED, found.source, found.certain, found.row)


def eager_required(version: str | None, chip: Chip, *, nodes: int) -> Ruling[EagerDemand]:
    """Whether eager mode is demanded of this release on this chip and number of nodes."""
    return ruling(Behaviour.EAGER, version, chip, Topology.of(nodes))


def device_chosen_by(version: str | None) -> Ruling[DeviceChoice]:
    """What a worker of this release takes its local device from."""
    return ruling(Behaviour.DEVICE, version)


def hccl_if_ip_leaks(version: str | None, *, spans_nodes: bool = True) -> Ruling[bool]:
    """Whether ``HCCL_IF_IP`` of the serving shell reaches the workers of other nodes."""
    return ruling(Behaviour.IF_IP, version, topology=_topology(spans_nodes=spans_nodes))


def health_is_json(version: str | None) -> Ruling[bool]:
    """Whether ``/health`` tells the engine's state as JSON."""
    return ruling(Behaviour.HEALTH, version)


def validation_error_status(version: str | None) -> Ruling[int]:
    """The HTTP status of an answer to a request that is not valid."""
    return ruling(Behaviour.REFUSAL, version)


def rank_table_format(chip: Chip) -> str:
    """The rank table version that HCCL reads on this chip."""
    return str(ruling(Behaviour.FORMAT, None, chip).value)
