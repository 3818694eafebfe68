# SPDX-License-Identifier: Apache-2.0
"""Runs of the whole engine on a simulated cluster, in this process and without pytest's own session."""

from __future__ import annotations

from pathlib import Path

from hakuna.inventory import load
from hakuna.inventory.model import Inventory
from hakuna.judgement.verdict import Summary
from hakuna.plugin.opening import assemble
from hakuna.stages.judge import Judge
from hakuna.stages.run import Plan, Run, save_run
from hakuna.suites import load_rules

ROOT = Path(__file__).resolve().parents[2]


def mock(**changes: object) -> Inventory:
    """The mock inventory, with some of its top-level fields changed."""
    return load(ROOT / "inventory" / "mock.yaml").inventory.model_copy(update=changes)


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


def verdicts(reports: Path, *faults: str, inventory: Inventory | None = None, plan: Plan | None = None) -> Summary:
    """Everything judged on the mock cluster with these faults; what was started is taken down."""
    run = new_run(reports, with_faults(*faults, inventory=inventory), plan)
    try:
        return Judge(run).everything()
    finally:
        run.transport.close()
