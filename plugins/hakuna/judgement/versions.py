# SPDX-License-Identifier: Apache-2.0
"""LMDeploy releases: what each one does, as a table of data with the source of every row.

A version is the text that ``lmdeploy.__version__`` or the inventory gives. ``None`` (or ``"detect"``, or text that is
no version) means that it is not known: every function then answers on the safe side and its ``source`` says so.
Versions are ordered as PEP 440 says, so a pre-release of 0.15.0 is judged as what came before 0.15.0.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, TypeVar

from packaging.version import InvalidVersion, Version

from hakuna.inventory.model import Chip
from hakuna.judgement.hccl_variables import hccl_variable_problem
from hakuna.judgement.sizes import size_in_bytes, size_in_gib

__all__ = [
    "DeviceChoice",
    "EagerDemand",
    "Ruling",
    "auth_everywhere",
    "device_chosen_by",
    "eager_demand",
    "eager_required",
    "engine_death_detected",
    "env_inherited_from_raylet",
    "hccl_if_ip_leaks",
    "hccl_variable_problem",
    "health_is_json",
    "needs_rank_table",
    "parse_version",
    "rank_contiguity_checked",
    "rank_table_format",
    "size_in_bytes",
    "size_in_gib",
    "validation_error_status",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Ruling(Generic[T]):
    """What holds for one version, and on which ground. ``certain`` is false when the version is not known."""

    value: T
    source: str
    certain: bool = True


@dataclass(frozen=True)
class _Row(Generic[T]):
    """From release ``since`` on (until the next row) ``value`` holds."""

    since: str
    value: T
    source: str


@dataclass(frozen=True)
class _Rule(Generic[T]):
    """The rows of one behaviour, oldest first, and what is assumed for a version that is not known."""

    rows: tuple[_Row[T], ...]
    unknown: T
    assumed: str

    def ruling(self, version: str | None) -> Ruling[T]:
        parsed = parse_version(version)
        if parsed is None:
            return Ruling(self.unknown, f"the LMDeploy version is not known: {self.assumed}", certain=False)
        row = next((r for r in reversed(self.rows) if parsed >= Version(r.since)), self.rows[0])
        return Ruling(row.value, row.source)


def parse_version(text: str | None) -> Version | None:
    """The version that the text names, or None if it names none (``None``, empty, ``"detect"``, not PEP 440)."""
    try:
        return Version((text or "").strip())
    except InvalidVersion:
        return None


class EagerDemand(enum.Enum):
    """Whether a deployment must run in eager mode."""

    REQUIRED = "required"
    ADVISED = "advised"
    FORBIDDEN = "forbidden"
    FREE = "free"

    @property
    def source(self) -> str:
        """The ground on which the table of releases and chips makes this demand."""
        return _EAGER_SOURCES[self]


_EAGER_SOURCES = {
    EagerDemand.REQUIRED: (
        "across nodes LMDeploy up to 0.14.0 works in eager mode only, and a release that is not known is judged "
        "likewise: guide 0 and 4 (dlinfer 4c329c9); without it dlinfer's ATB graph selects lccl, which cannot span "
        'nodes ("rankSize [16] is invalid", xllm #498)'
    ),
    EagerDemand.ADVISED: (
        "from LMDeploy 0.15.0 on the guide's successor (dlinfer b44fbe0, #331, 2026-07-03) no longer asks for "
        "--eager-mode, but keeps tensor parallelism across nodes for quick feasibility only; eager mode is the path "
        "that is known to work"
    ),
    EagerDemand.FORBIDDEN: "Atlas 300I Duo runs in graph mode with fp16 only: LMDeploy get_started/ascend",
    EagerDemand.FREE: "on one node LMDeploy's Ascend backend works with and without eager mode: get_started/ascend",
}


class DeviceChoice(enum.Enum):
    """What a worker takes its device from."""

    LIST_POSITION = "list-position"  # the position in the table's device list; device_id is ignored
    DEVICE_ID = "device-id"  # device_id of the table (the position where it is missing)
    WORKER_INDEX = "worker-index"  # the worker's index within its node; no table


_NEEDS_TABLE = _Rule(
    (
        _Row(
            "0",
            value=True,
            source="LMDeploy up to 0.14.0 reads ASCEND_RANK_TABLE_FILE_PATH (dac197c42, #3260); without it two nodes "
            "are treated as one and devices 8 to 15 do not exist",
        ),
        _Row(
            "0.15.0",
            value=False,
            source="LMDeploy from 0.15.0 on never reads ASCEND_RANK_TABLE_FILE_PATH (removed by e1b73cd1a, #4711)",
        ),
    ),
    unknown=True,
    assumed="a rank table is provided, which releases that do not read it ignore",
)

_DEVICE_CHOICE = _Rule(
    (
        _Row("0", DeviceChoice.LIST_POSITION, "LMDeploy up to 0.11.1 takes the list position for the device"),
        _Row("0.12.0", DeviceChoice.DEVICE_ID, "LMDeploy 0.12.0 to 0.14.0 takes device_id (2ef2a046b, #4268)"),
        _Row("0.15.0", DeviceChoice.WORKER_INDEX, "LMDeploy from 0.15.0 on numbers workers per node (#4711)"),
    ),
    unknown=DeviceChoice.LIST_POSITION,
    assumed="the table must suit 0.11.1 too, which takes the list position for the device",
)

_CONTIGUITY = _Rule(
    (
        _Row("0", value=False, source="LMDeploy up to 0.11.1 does not check the ranks of the table"),
        _Row(
            "0.12.0",
            value=True,
            source='LMDeploy 0.12.0 to 0.14.0: "Rank ids are not contiguous starting from 0" (ray_executor.py)',
        ),
        _Row("0.15.0", value=False, source="LMDeploy from 0.15.0 on reads no rank table (#4711)"),
    ),
    unknown=True,
    assumed="the ranks must be contiguous, as 0.12.0 to 0.14.0 demand",
)

_HCCL_IF_IP = _Rule(
    (
        _Row("0", value=False, source="LMDeploy up to 0.14.0 forwards no environment to Ascend workers"),
        _Row(
            "0.15.0",
            value=True,
            source="LMDeploy from 0.15.0 on forwards the driver's HCCL_IF_IP to the workers of every node "
            "(runtime_env; reproduced with 0.18.0)",
        ),
    ),
    unknown=True,
    assumed="HCCL_IF_IP in the serving shell is taken for forwarded to all workers",
)

_INHERITED = _Rule(
    (
        _Row(
            "0",
            value=True,
            source="LMDeploy up to 0.14.0 gives Ascend workers no runtime_env: they have only what the raylet had",
        ),
        _Row(
            "0.15.0",
            value=False,
            source="LMDeploy from 0.15.0 on forwards HCCL_BUFFSIZE, HCCL_CONNECT_TIMEOUT, HCCL_OP_EXPANSION_MODE, "
            "HCCL_IF_IP and LMDEPLOY_*; GLOO_* and HCCL_SOCKET_IFNAME still come from the raylet",
        ),
    ),
    unknown=True,
    assumed="variables must be set before ray start, which suits every release",
)

_HEALTH = _Rule(
    (
        _Row("0", value=False, source="LMDeploy up to 0.13.0: /health is an empty 200 whatever the engine does"),
        _Row("0.14.0", value=True, source="LMDeploy from 0.14.0 on: /health is JSON; 503 unless healthy or sleeping"),
    ),
    unknown=False,
    assumed="only the status code of /health is judged",
)

_DEATH = _Rule(
    (
        _Row("0", value=False, source="LMDeploy up to 0.13.0 hangs when its engine process dies in its start"),
        _Row(
            "0.14.0",
            value=True,
            source='LMDeploy from 0.14.0 on: "PyTorch ZMQ engine process exited before publishing RPC server port."',
        ),
    ),
    unknown=False,
    assumed="a dead engine is taken for unnoticed by its parent",
)

_REFUSAL = _Rule(
    (
        _Row("0", 422, "LMDeploy up to 0.15.0 answers a validation error with 422 (FastAPI's handler)"),
        _Row("0.16.0", 400, "LMDeploy from 0.16.0 on answers a validation error with 400 and an error object"),
    ),
    unknown=422,
    assumed="422 is accepted besides 400",
)

_AUTH = _Rule(
    (
        _Row("0", value=False, source="LMDeploy up to 0.12.1 asks for the key per route; several routes are open"),
        _Row(
            "0.12.2",
            value=True,
            source="LMDeploy from 0.12.2 on asks for the key everywhere but /health, /docs, /redoc and /nodes",
        ),
    ),
    unknown=False,
    assumed="a route that answers without the key is not held against it",
)


def needs_rank_table(version: str | None, *, spans_nodes: bool) -> Ruling[bool]:
    """Whether LMDeploy needs ``ASCEND_RANK_TABLE_FILE_PATH`` when tensor parallelism spans nodes (or does not)."""
    if not spans_nodes:
        return Ruling(value=False, source="on one node LMDeploy needs no rank table")
    return _NEEDS_TABLE.ruling(version)


def eager_demand(version: str | None, chip: Chip, *, nodes: int) -> EagerDemand:
    """Whether eager mode is demanded of this release on this chip and number of nodes."""
    return eager_required(version, chip, nodes=nodes).value


def eager_required(version: str | None, chip: Chip, *, nodes: int) -> Ruling[EagerDemand]:
    """As :func:`eager_demand`, and whether the answer rests on a known version."""
    if chip is Chip.ATLAS_300I_DUO:
        demand, certain = EagerDemand.FORBIDDEN, True
    elif nodes <= 1:
        demand, certain = EagerDemand.FREE, True
    else:
        parsed = parse_version(version)
        certain = parsed is not None
        late = parsed is not None and parsed >= Version("0.15.0")
        demand = EagerDemand.ADVISED if late else EagerDemand.REQUIRED
    source = demand.source if certain else f"the LMDeploy version is not known: {demand.source}"
    return Ruling(demand, source, certain)


def device_chosen_by(version: str | None) -> Ruling[DeviceChoice]:
    """What a worker of this release takes its local device from."""
    return _DEVICE_CHOICE.ruling(version)


def rank_contiguity_checked(version: str | None) -> Ruling[bool]:
    """Whether LMDeploy itself refuses a table whose ranks are not 0 to N-1."""
    return _CONTIGUITY.ruling(version)


def hccl_if_ip_leaks(version: str | None) -> Ruling[bool]:
    """Whether ``HCCL_IF_IP`` of the serving shell reaches the workers of other nodes."""
    return _HCCL_IF_IP.ruling(version)


def env_inherited_from_raylet(version: str | None) -> Ruling[bool]:
    """Whether workers have only those ``HCCL_*`` variables that were set before ``ray start``."""
    return _INHERITED.ruling(version)


def health_is_json(version: str | None) -> Ruling[bool]:
    """Whether ``/health`` tells the engine's state as JSON."""
    return _HEALTH.ruling(version)


def engine_death_detected(version: str | None) -> Ruling[bool]:
    """Whether ``api_server`` ends by itself when its engine process dies while it starts."""
    return _DEATH.ruling(version)


def validation_error_status(version: str | None) -> Ruling[int]:
    """The HTTP status of an answer to a request that is not valid."""
    return _REFUSAL.ruling(version)


def auth_everywhere(version: str | None) -> Ruling[bool]:
    """Whether the API key is asked for on every route (but a few that are documented as open)."""
    return _AUTH.ruling(version)


def rank_table_format(chip: Chip) -> str:
    """The rank table version that HCCL reads on this chip (hicann/hccl rank_table_config_a2.md, _a3.md)."""
    return "1.2" if chip is Chip.ATLAS_800T_A3 else "1.0"
