# SPDX-License-Identifier: Apache-2.0
"""Opens a run from the command line's options: new, joined by an xdist worker, or replayed."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from hakuna.evidence.redaction import Redactor
from hakuna.evidence.store import EvidenceStore
from hakuna.inventory import InventoryError, load, secrets_of
from hakuna.inventory.model import Inventory, TransportKind
from hakuna.judgement.past import Past
from hakuna.judgement.stage import Stage
from hakuna.reports import history
from hakuna.reports.notify import NotifyError, check
from hakuna.stages.collectors import COLLECTORS
from hakuna.stages.connecting import connect
from hakuna.stages.holder import Holder
from hakuna.stages.journal import Journal
from hakuna.stages.run import Mode, Plan, Run, save_run
from hakuna.transports import Transport
from hakuna.transports.replay import ReplayTransport
from hakuna.transports.ways import FanOut


def plan_of(config: pytest.Config) -> Plan:
    """The plan that the options ask for.

    Raises:
        pytest.UsageError: two options contradict each other.
    """
    preflight, attach = config.getoption("--preflight"), config.getoption("--attach")
    if preflight and attach:
        raise pytest.UsageError("--preflight and --attach exclude each other: the first looks before, the second after")
    if config.getoption("--keep") and (preflight or attach):
        raise pytest.UsageError("--keep needs a run that brings something up: leave --preflight and --attach out")
    mode = Mode.PREFLIGHT if preflight else Mode.ATTACH if attach else Mode.FULL
    until = config.getoption("--until")
    return Plan(
        mode,
        bool(config.getoption("--keep")),
        Stage(until) if until else Stage.TEARDOWN,
        config.getoption("--mesh"),
        FanOut(config.getoption("--fan-out")),
        config.getoption("hakuna_wait"),
    )


def reports_folder(config: pytest.Config) -> Path:
    named = config.getoption("hakuna_reports")
    if named:
        return Path(config.invocation_params.dir, named)
    return Path(config.rootpath, str(config.getini("hakuna_reports")))


def notify_command(config: pytest.Config) -> str:
    """What hears of the finished run, or an empty text."""
    return str(config.getoption("hakuna_notify") or config.getini("hakuna_notify"))


def open_run(config: pytest.Config) -> Run:
    """A new run with a folder of its own, or a replay.

    Raises:
        pytest.UsageError: the inventory, the replayed folder or a fault's name is wrong.
    """
    replayed = config.getoption("--replay")
    if replayed:
        if config.getoption("--inventory"):
            raise pytest.UsageError("--replay takes the inventory from the replayed run: leave --inventory out")
        return _replay(config, Path(config.invocation_params.dir, replayed))
    path = Path(config.invocation_params.dir, config.getoption("--inventory"))
    try:
        if notify_command(config):
            check(notify_command(config))
        loaded = load(path)
    except NotifyError as error:
        raise pytest.UsageError(f"--notify: {error}") from None
    except InventoryError as error:
        raise pytest.UsageError(str(error)) from None
    inventory = loaded.inventory
    faults = config.getoption("--fault")
    if faults and inventory.transport is not TransportKind.SIMULATED:
        raise pytest.UsageError("--fault works on a simulated cluster only: the inventory says transport: ssh")
    if faults:
        simulation = inventory.simulation
        simulation = simulation.model_copy(update={"faults": (*simulation.faults, *faults)})
        inventory = inventory.model_copy(update={"simulation": simulation})
    reports = reports_folder(config)
    identity = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
    folder = reports / identity
    folder.mkdir(parents=True)
    transport = _own_transport(config, inventory)
    run = assemble(identity, folder, inventory, path.name, plan_of(config), transport=transport)
    run.journal.write("run", id=identity, holder=run.holder.as_json(), plan=run.plan.as_json())
    about = {"inventory_path": str(loaded.path), "digest": loaded.digest, "language": config.getoption("hakuna_lang")}
    save_run(run, lines=dict(loaded.lines), past=remembered(run, reports).as_json(), **about)
    return run


def remembered(run: Run, reports: Path) -> Past:
    """What the last good runs of this cluster found; a history that cannot be read is noted and costs nothing."""
    me = history.Entry(run.id, run.inventory.cluster, simulated=is_simulated(run), started=time.time())
    try:
        runs = history.entries(reports / history.NAME, me.cluster, last=60)
    except history.HistoryError as error:
        run.journal.write("note", text=str(error))
        return Past()
    return history.past_of(history.good_before(runs, me))


def join_run(config: pytest.Config, folder: Path, whole: str) -> Run:
    """The run that the xdist controller opened, seen by a worker; ``whole`` is what :func:`whole_inventory` gave."""
    data = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    inventory = Inventory.model_validate(json.loads(whole))
    holder = Holder(**data["holder"])  # the controller's: it is the run that holds a lease, not one of its processes
    plan, transport = Plan.from_json(data["plan"]), _own_transport(config, inventory)
    return assemble(data["id"], folder, inventory, data["inventory_name"], plan, holder, transport)


def whole_inventory(run: Run) -> str:
    """The inventory with its secrets, for an xdist worker; it travels through memory only."""
    dump = run.inventory.model_dump(mode="json")
    return json.dumps({**dump, "api_key": run.inventory.api_key.get_secret_value()})


def assemble(
    identity: str,
    folder: Path,
    inventory: Inventory,
    name: str,
    plan: Plan,
    holder: Holder | None = None,
    transport: Transport | None = None,
) -> Run:
    """A live run on ``folder``, held by this process and carried as the inventory says unless others are named."""
    redactor = Redactor(secrets_of(inventory))
    journal = Journal(folder, redactor)
    run = Run(
        id=identity,
        folder=folder,
        inventory=inventory,
        inventory_name=name,
        transport=transport or _transport(inventory, folder.parent, plan, journal),
        store=EvidenceStore(folder / "evidence", redactor),
        journal=journal,
        plan=plan,
        holder=holder or Holder.me(),
    )
    run.use(COLLECTORS)
    return run


def _own_transport(config: pytest.Config, inventory: Inventory) -> Transport | None:
    own: Transport | None = config.hook.pytest_hakuna_transport(config=config, inventory=inventory)
    return own


def _transport(inventory: Inventory, reports: Path, plan: Plan, journal: Journal) -> Transport:
    try:
        return connect(inventory, reports, plan.fan_out, lambda text: journal.write("note", text=text))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def _replay(config: pytest.Config, source: Path) -> Run:
    try:
        data: dict[str, Any] = json.loads((source / "run.json").read_text(encoding="utf-8"))
        inventory = Inventory.model_validate(data["inventory"])
        plan = Plan.from_json(data["plan"])
    except FileNotFoundError:
        raise pytest.UsageError(f"--replay: {source} is not a run folder (it has no run.json)") from None
    except (ValueError, KeyError) as error:
        raise pytest.UsageError(f"--replay: {source / 'run.json'} cannot be read: {error}") from None
    store = EvidenceStore(source / "evidence")
    identity = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2) + "-replay"
    folder = reports_folder(config) / identity
    folder.mkdir(parents=True)
    run = Run(
        id=data["id"],
        folder=folder,
        inventory=inventory,
        inventory_name=data["inventory_name"],
        transport=ReplayTransport(store),
        store=store,
        journal=Journal(folder),
        plan=plan,
        holder=Holder(**data["holder"]),
        live=False,
    )
    run.use(COLLECTORS)
    run.journal.write("run", id=identity, holder=Holder.me().as_json(), plan=plan.as_json(), replay_of=data["id"])
    more: dict[str, Any] = {k: data[k] for k in ("lines", "inventory_path", "digest", "past") if k in data}
    more |= {"replay_of": data["id"], "replay_source": str(source), "language": config.getoption("hakuna_lang")}
    save_run(run, **more)
    return run


def usage_without_inventory() -> str:
    """What to pass when nothing was passed."""
    return (
        "Hakuna needs to know which deployment to check:\n"
        "  pytest --inventory=inventory/mock.yaml            the guide on a simulated cluster, no NPU needed\n"
        "  pytest --inventory=prod.yaml --preflight          look only: what would keep it from working\n"
        "  pytest --inventory=prod.yaml                      bring it up, check it, take it down\n"
        "  pytest --inventory=prod.yaml --attach             check what is already serving\n"
        "  pytest --replay=reports/RUN                       judge an earlier run's evidence again\n"
        "inventory/atlas-800t-a2-2x8.yaml is the guide's deployment, to copy and fill in."
    )


def is_simulated(run: Run) -> bool:
    return run.inventory.transport is TransportKind.SIMULATED
