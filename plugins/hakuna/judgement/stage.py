# SPDX-License-Identifier: Apache-2.0
"""The stages of a run, in the order of the guide."""

from __future__ import annotations

import enum


class Stage(enum.Enum):
    """One layer of the deployment; each needs those before it."""

    INVENTORY = "inventory"
    HOST = "host"
    NETWORK = "network"
    CONTAINER = "container"
    RANK_TABLE = "rank_table"
    RAY = "ray"
    COLLECTIVE = "collective"
    SERVER = "server"
    GENERATION = "generation"
    TEARDOWN = "teardown"

    @property
    def order(self) -> int:
        return _ORDERS[self]

    @property
    def prefix(self) -> str:
        """The letters that the stage's rule codes begin with."""
        return _PREFIXES[self]

    @property
    def read_only(self) -> bool:
        """Whether collecting the stage's facts leaves every node as it is."""
        return self in (Stage.INVENTORY, Stage.HOST, Stage.NETWORK)

    @property
    def title(self) -> str:
        return self.value.replace("_", " ")

    @property
    def before(self) -> tuple[Stage, ...]:
        """All earlier stages, in order."""
        return tuple(Stage)[: self.order]

    @classmethod
    def of_code(cls, code: str) -> Stage:
        """The stage that a rule code belongs to.

        Raises:
            ValueError: the code is not three capital letters of a stage and three digits.
        """
        for stage, prefix in _PREFIXES.items():
            if code[:3] == prefix and len(code) == len("NET204") and code[3:].isdigit():
                return stage
        msg = f"{code!r} is not a rule code: {', '.join(_PREFIXES.values())} and three digits"
        raise ValueError(msg)


_PREFIXES = {
    Stage.INVENTORY: "INV",
    Stage.HOST: "HST",
    Stage.NETWORK: "NET",
    Stage.CONTAINER: "CTR",
    Stage.RANK_TABLE: "RNK",
    Stage.RAY: "RAY",
    Stage.COLLECTIVE: "COL",
    Stage.SERVER: "SRV",
    Stage.GENERATION: "GEN",
    Stage.TEARDOWN: "TDN",
}
#: Asked for some thousand times in a run.
_ORDERS = {stage: number for number, stage in enumerate(Stage)}
