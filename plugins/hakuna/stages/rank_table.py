# SPDX-License-Identifier: Apache-2.0
"""Stage ``rank_table``: the table made from the live device IPs, at the same path on every node (guide, section 3).

This is the script that the guide promises and never shipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from hakuna.evidence import Batch
from hakuna.inventory.model import Chip, Inventory, RankTableMode
from hakuna.judgement import rank_table as tables
from hakuna.judgement import versions as lmdeploy_versions
from hakuna.judgement.rank_table_fault import Profile, TableContext, TableFault
from hakuna.judgement.rank_table_rules import judge
from hakuna.judgement.stage import Stage
from hakuna.probes import containers, hccn, model_dir, npu_smi, table_file
from hakuna.probes.reading import Reading, Table
from hakuna.stages.answers import Answers
from hakuna.stages.carrying import carry
from hakuna.stages.container import ContainerFacts, lmdeploy_version
from hakuna.stages.journal import Trace
from hakuna.stages.network import NetworkFacts, addresses_of
from hakuna.stages.run import Run
from hakuna.transports import Transport
from hakuna.where import Where


@dataclass(frozen=True)
class RankTableFacts:
    """``needed`` says whether the deployment uses a table at all, and ``why``. ``text`` is what most nodes hold.

    ``problem`` says why no table could be made from what is live, ``problem_at`` of which devices something is missing.
    ``super_pods`` are asked for only where the table names them (version 1.2).
    """

    needed: bool
    why: str
    version: str | None
    written: str
    text: str
    files: Table[str]
    hashes: Table[str]
    hccl: tuple[TableFault, ...]
    lmdeploy: tuple[TableFault, ...]
    super_pods: Table[npu_smi.SuperPod] = field(default_factory=lambda: Table({}))
    problem: str = ""
    problem_at: tuple[Where, ...] = ()

    def faults(self, *codes: str) -> list[TableFault]:
        """The faults of these codes that either profile found, each once."""
        found: dict[tuple[object, ...], TableFault] = {}
        for fault in (*self.hccl, *self.lmdeploy):
            if fault.code.name in codes:
                found.setdefault((fault.code, fault.path), fault)
        return list(found.values())


def needs_table(inventory: Inventory, version: str | None) -> tuple[bool, str]:
    """Whether the run uses a rank table, and on which ground."""
    mode = inventory.rank_table.mode
    if mode is RankTableMode.OFF:
        return False, "the inventory says rank_table.mode: off"
    if mode is RankTableMode.REQUIRED:
        return True, "the inventory says rank_table.mode: required"
    demand = lmdeploy_versions.needs_rank_table(version, spans_nodes=len(inventory.nodes) > 1)
    return demand.value, demand.source


def collect(run: Run) -> RankTableFacts:
    """Write the table everywhere (unless the site brings its own), then read it back everywhere."""
    inventory = run.inventory
    network: NetworkFacts = run.facts(Stage.NETWORK)
    container: ContainerFacts = run.facts(Stage.CONTAINER)
    version = lmdeploy_version(run, container)
    needed, why = needs_table(inventory, version)
    empty: Table[str] = Table({})
    if not needed:
        return RankTableFacts(False, why, version, "", "", empty, empty, (), ())
    path = inventory.rank_table.path
    addresses = live_addresses(network)
    written = problem = ""
    problem_at: tuple[Where, ...] = ()
    super_pods: Table[npu_smi.SuperPod] = Table({})
    if run.brings_up and inventory.rank_table.generate:
        if wants_super_pods(inventory):
            answers = run.send("rank_table.spod", super_pod_batches(inventory))
            super_pods = super_pods_of(answers, inventory)
        try:
            written = _made(inventory, addresses, super_pods.readings)
        except tables.RankTableError as error:
            problem, problem_at = str(error), error.places
    if written:
        run.intend(*(Trace("file", n.name, path, inside=container.used) for n in inventory.nodes))
        write = containers.inside(inventory, table_file.write(path, written), interactive=True)
        run.send("rank_table.write", {n.name: Batch((write,)) for n in inventory.nodes})
    asked = [containers.inside(inventory, table_file.show(path)), containers.inside(inventory, table_file.digest(path))]
    answers = run.send("rank_table", run.everywhere(lambda _node: asked))
    files = answers.per_node("rank_table.file", table_file.parse_file)
    text = _most_common(files, written)
    context = context_of(inventory, addresses, version)
    return RankTableFacts(
        needed=True,
        why=why,
        version=version,
        written=written,
        text=text,
        files=files,
        hashes=answers.per_node("rank_table.hash", model_dir.parse_digest),
        hccl=judge(text, Profile.HCCL, context) if text else (),
        lmdeploy=judge(text, Profile.LMDEPLOY, context) if text else (),
        super_pods=super_pods,
        problem=problem,
        problem_at=problem_at,
    )


def wants_super_pods(inventory: Inventory) -> bool:
    """Whether the table names super pods: version 1.2, for A3 (hicann/hccl rank_table_config_a3.md)."""
    wanted = inventory.rank_table.version or lmdeploy_versions.rank_table_format(inventory.chip)
    return inventory.chip is Chip.ATLAS_800T_A3 and wanted == tables.VERSION_A3


def super_pod_batches(inventory: Inventory) -> dict[str, Batch]:
    """What asks every device for its place in its super pod."""
    return {n.name: Batch(tuple(npu_smi.super_pod(i, inventory.chip) for i in n.device_ids)) for n in inventory.nodes}


def super_pods_of(answers: Answers, inventory: Inventory) -> Table[npu_smi.SuperPod]:
    return answers.per_device("npu.spod", npu_smi.parse_super_pod, inventory.devices)


def _made(
    inventory: Inventory, addresses: Mapping[Where, str], super_pods: Mapping[Where, Reading[npu_smi.SuperPod]]
) -> str:
    """The table's text.

    Raises:
        RankTableError: as :func:`hakuna.judgement.rank_table.from_inventory`.
    """
    known = {w: r.fact for w, r in super_pods.items() if r.fact is not None}
    return tables.from_inventory(
        inventory,
        addresses,
        {w: pod.sdid for w, pod in known.items()},
        {w.node: pod.super_pod_id for w, pod in known.items()},
    )


def context_of(inventory: Inventory, addresses: Mapping[Where, str], version: str | None) -> TableContext:
    """What a table of this deployment is judged against."""
    live = {(inventory.node(w.node).node_ip, w.device): ip for w, ip in addresses.items()}
    return TableContext(
        chip=inventory.chip,
        node_ips=tuple(n.node_ip for n in inventory.ordered_nodes),
        world_size=inventory.tp,
        live=live,
        lmdeploy_version=version,
        path=inventory.rank_table.path,
    )


def live_addresses(network: NetworkFacts) -> dict[Where, str]:
    """The device IPs that could be read."""
    return {
        w: r.fact.ip for w, r in network.address.readings.items() if r.readable and r.fact is not None and r.fact.ip
    }


def _most_common(files: Table[str], written: str) -> str:
    """The text that most nodes hold; on a tie, the one that was written, else the head's."""
    held = [r.fact for r in files.readings.values() if r.readable and r.fact]
    if not held:
        return ""
    counts = Counter(held)
    most = max(counts.values())
    best = [t for t in held if counts[t] == most]
    return written if written in best else best[0]


class CannotGenerateError(Exception):
    """The live addresses do not make a table; the message says which device and why."""


def generate_live(inventory: Inventory, transport: Transport) -> str:
    """Make the table from the addresses that the devices have now; nothing is written to any node.

    Raises:
        CannotGenerateError: a node or a device gives no address.
    """
    batches = {
        n.name: Batch(tuple(c for i in n.device_ids for c in (hccn.address(i), hccn.address6(i))))
        for n in inventory.nodes
    }
    answers = carry(transport, inventory, "rank_table.addresses", batches)
    readings = addresses_of(answers, inventory.devices).readings
    problems = [
        f"{where}: {reading.detail or 'no address is set'}"
        for where, reading in readings.items()
        if reading.fact is None or not reading.fact.ip
    ]
    if problems:
        raise CannotGenerateError("no rank table without the address of every device:\n  " + "\n  ".join(problems))
    addresses = {w: r.fact.ip for w, r in readings.items() if r.fact is not None and r.fact.ip}
    super_pods: Mapping[Where, Reading[npu_smi.SuperPod]] = {}
    if wants_super_pods(inventory):
        asked = carry(transport, inventory, "rank_table.spod", super_pod_batches(inventory))
        super_pods = super_pods_of(asked, inventory).readings
    try:
        return _made(inventory, addresses, super_pods)
    except tables.RankTableError as error:
        raise CannotGenerateError(str(error)) from None
