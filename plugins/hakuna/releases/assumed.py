# SPDX-License-Identifier: Apache-2.0
"""What is assumed of a release that is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .row import Behaviour, DeviceChoice, EagerDemand, TableUse


@dataclass(frozen=True)
class Assumed:
    """What is taken for granted while the release is not known: the safe side."""

    value: Any
    says: str


#: What is assumed of a release that is not known. A behaviour that is not listed depends on no release.
ASSUMED: dict[Behaviour, Assumed] = {
    Behaviour.SPANS: Assumed(True, "a release that can span nodes is taken for granted"),
    Behaviour.TABLE: Assumed(TableUse.NEEDED, "a rank table is provided, which releases that do not read it ignore"),
    Behaviour.DEVICE: Assumed(
        DeviceChoice.LIST_POSITION, "the table must suit 0.11.1 too, which takes the list position for the device"
    ),
    Behaviour.RANKS: Assumed(True, "the ranks must be contiguous, as 0.12.0 to 0.14.0 demand"),
    Behaviour.EAGER: Assumed(EagerDemand.REQUIRED, "it is judged as releases up to 0.14.0 are"),
    Behaviour.FORWARDED: Assumed((), "variables must be set before ray start, which suits every release"),
    Behaviour.IF_IP: Assumed(True, "HCCL_IF_IP in the serving shell is taken for forwarded to all workers"),
    Behaviour.HEALTH: Assumed(False, "only the status code of /health is judged"),
    Behaviour.DEATH: Assumed(False, "a dead engine is taken for unnoticed by its parent"),
    Behaviour.REFUSAL: Assumed(422, "422 is accepted besides 400"),
    Behaviour.STOPPED: Assumed(200, 'a finish_reason of "error" counts as no answer, whatever the status'),
    Behaviour.KEY: Assumed(False, "a route that answers without the key is not held against it"),
}
