# SPDX-License-Identifier: Apache-2.0
"""Which function collects which stage's facts."""

from __future__ import annotations

from collections.abc import Mapping

from hakuna.judgement.stage import Stage
from hakuna.stages import collective, container, generation, host, inventory, network, rank_table, ray, server, teardown
from hakuna.stages.run import Collector

COLLECTORS: Mapping[Stage, Collector] = {
    Stage.INVENTORY: inventory.collect,
    Stage.HOST: host.collect,
    Stage.NETWORK: network.collect,
    Stage.CONTAINER: container.collect,
    Stage.RANK_TABLE: rank_table.collect,
    Stage.RAY: ray.collect,
    Stage.COLLECTIVE: collective.collect,
    Stage.SERVER: server.collect,
    Stage.GENERATION: generation.collect,
    Stage.TEARDOWN: teardown.collect,
}
