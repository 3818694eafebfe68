# SPDX-License-Identifier: Apache-2.0
"""Runs of the whole engine on a simulated cluster, in this process and without pytest's own session."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from hakuna.inventory import load
from hakuna.inventory.model import Chip, Inventory
from hakuna.judgement.verdict import Summary
from hakuna.plugin.opening import assemble
from hakuna.simulator.fault_kind import FaultKind
from hakuna.simulator.scenario import scenario, with_settings
from hakuna.stages.judge import Judge
from hakuna.stages.run import Plan, Run, save_run
from hakuna.suites import load_rules

ROOT = Path(__file__).resolve().parents[2]
#: What the simulated LMDeploy says to the mock inventory's prompt.
ANSWER = "Hakuna Matata! It means no worries for the rest of your days. (simulated LMDeploy 0.14.0)"
KEY = "a-key-of-the-proof"


@functools.cache
def _loaded() -> Inventory:
    return load(ROOT / "inventory" / "mock.yaml").inventory.model_copy(update={"api_key": SecretStr(KEY)})


def mock(**changes: object) -> Inventory:
    """The mock inventory, with some of its top-level fields changed."""
    return _loaded().model_copy(update=changes)


def shaped(nodes: int, devices: int, **settings: Any) -> Inventory:
    """The mock inventory with so many nodes of so many devices each, and other settings (``a__b`` is ``a.b``)."""
    base = mock()
    made = tuple(
        base.nodes[0].model_copy(
            update={
                "name": f"node-{chr(97 + i)}",
                "address": f"node-{chr(97 + i)}",
                "node_ip": f"192.0.2.{11 + i}",
                "device_ids": tuple(range(devices)),
            }
        )
        for i in range(nodes)
    )
    changed = with_settings(base, {name.replace("__", "."): value for name, value in settings.items()})
    return changed.model_copy(update={"nodes": made})


#: The clusters that must be green without a fault.
SHAPES: Mapping[str, Callable[[], Inventory]] = {
    "2 x 8": mock,
    "4 x 8": lambda: shaped(4, 8),
    "3 x 4": lambda: shaped(3, 4),
    "1 x 8": lambda: shaped(1, 8),
    "A3, 2 x 16": lambda: shaped(2, 16, chip=Chip.ATLAS_800T_A3.value),
    "IPv6": lambda: shaped(2, 8, simulation__ipv6=True),
    "a table of the site's own": lambda: shaped(2, 8, rank_table__generate=False),
    "no containers": lambda: shaped(2, 8, container__engine="none"),
    "4 x 8, fibres by rail": lambda: shaped(4, 8, layout="rail"),
    "an answer that is known": lambda: shaped(2, 8, server__expect__chat=ANSWER),
    "LMDeploy 0.11.1": lambda: shaped(2, 8, simulation__lmdeploy_version="0.11.1"),
    "LMDeploy 0.16.0": lambda: shaped(2, 8, simulation__lmdeploy_version="0.16.0"),
}


def with_faults(*faults: str, inventory: Inventory | None = None) -> Inventory:
    base = inventory or mock()
    simulation = base.simulation.model_copy(update={"faults": faults, "load_seconds": 0.0})
    return base.model_copy(update={"simulation": simulation})


def new_run(reports: Path, inventory: Inventory, plan: Plan | None = None, name: str = "run") -> Run:
    load_rules()
    folder = reports / name
    folder.mkdir(parents=True)
    run = assemble(name, folder, inventory, "mock.yaml", plan or Plan())
    run.journal.write("run", id=name, holder=run.holder.as_json(), plan=run.plan.as_json())
    save_run(run)
    return run


def judged(reports: Path, inventory: Inventory, plan: Plan | None = None) -> tuple[Run, Summary]:
    """A whole run and what was judged; what was started is taken down."""
    run = new_run(reports, inventory, plan)
    try:
        return run, Judge(run).everything()
    finally:
        run.transport.close()


def verdicts(reports: Path, *faults: str, inventory: Inventory | None = None, plan: Plan | None = None) -> Summary:
    """Everything judged on the mock cluster with these faults; what was started is taken down."""
    return judged(reports, with_faults(*faults, inventory=inventory), plan)[1]


def fault_inventory(kind: FaultKind) -> Inventory:
    """The mock inventory with one fault of the catalogue, at its default place."""
    inventory = scenario(kind, mock())
    patient = 0.3 if kind.name == "server-never-ready" else inventory.thresholds.time_to_ready
    return with_faults(*inventory.simulation.faults, inventory=inventory).model_copy(
        update={
            "thresholds": inventory.thresholds.model_copy(update={"time_to_ready": patient}),
            "ray": inventory.ray.model_copy(update={"join_timeout": 0.2}),
        }
    )


def fault_run(reports: Path, kind: FaultKind) -> Summary:
    """Everything judged with one fault of the catalogue in."""
    return judged(reports, fault_inventory(kind))[1]


def clean_run(reports: Path, settings: Mapping[str, Any]) -> Summary:
    """Everything judged without a fault, with these entries of the inventory changed."""
    return verdicts(reports, inventory=with_settings(mock(), settings))
