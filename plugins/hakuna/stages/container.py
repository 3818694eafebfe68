# SPDX-License-Identifier: Apache-2.0
"""Stage ``container``: one container per node by the guide's ``docker run`` (section 1), read back from both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hakuna.evidence import Batch, Command
from hakuna.inventory.model import Engine, Inventory, Node
from hakuna.probes import containers, host, model_dir, npu_smi, table_file, versions
from hakuna.probes.reading import Table
from hakuna.stages import lease as leases
from hakuna.stages.host import TOOLS
from hakuna.stages.journal import Trace
from hakuna.stages.run import Run

#: What must be found inside.
INSIDE_TOOLS = (*TOOLS, "ray", "lmdeploy")


@dataclass(frozen=True)
class ContainerFacts:
    """``started`` holds what the engine said to ``run``; the other tables are read after that, by node."""

    used: bool
    lease: Table[host.LeaseState]
    started: Table[containers.Started]
    info: Table[containers.ContainerInfo]
    device_nodes: Table[host.DeviceNodes]
    tools: Table[Mapping[str, str | None]]
    npu_info: Table[npu_smi.NpuInfo]
    driver: Table[versions.VersionInfo]
    cann: Table[versions.CannFile]
    shm: Table[tuple[host.Disk, ...]]
    nofile: Table[int]
    model_files: Table[model_dir.ModelFiles]
    packages: Table[versions.PackageVersions]

    @property
    def lmdeploy_version(self) -> Table[str | None]:
        """The LMDeploy that each node would run; None where it is not installed."""
        return self.packages.map(lambda p: p.packages.get("lmdeploy"))


def inside_commands(inventory: Inventory, node: Node) -> list[Command]:
    """What is asked inside the container (or on the host, without one)."""
    del node
    asked = [
        host.device_nodes(),
        host.tools(INSIDE_TOOLS),
        npu_smi.info(),
        versions.driver(),
        versions.cann(),
        host.disk(("/dev/shm",)),  # noqa: S108  # asked for its size
        host.limits(),
        model_dir.files(inventory.server.model_path),
        versions.packages(),
    ]
    return [containers.inside(inventory, c) for c in asked]


def collect(run: Run) -> ContainerFacts:
    """Take the lease of every node, start the containers on all nodes at once, then look from both sides."""
    inventory = run.inventory
    used = inventory.container.engine is not Engine.NONE
    lease = leases.take(run)
    ours = all(r.fact is not None and r.fact.acquired for r in lease.readings.values())
    start: dict[str, Batch] = {}
    if run.brings_up and used and ours:
        run.intend(*(Trace("container", n.name, inventory.container.name) for n in inventory.nodes))
        run.intend(*(Trace("file", n.name, table_file.OWN_FOLDER) for n in inventory.nodes))
        made = containers.folders(inventory)
        start = {n.name: Batch((made, containers.run(inventory, n, run.label))) for n in inventory.nodes}
    started = run.send("container.run", start)
    inspect = [containers.inspect(inventory)] if used else []
    answers = run.send("container", run.everywhere(lambda node: [*inspect, *inside_commands(inventory, node)]))
    table = answers.per_node
    return ContainerFacts(
        used=used,
        lease=lease,
        started=started.per_node("container.run", containers.parse_run),
        info=table("container.inspect", containers.parse_inspect),
        device_nodes=table("host.device_nodes", host.parse_device_nodes),
        tools=table("host.tools", host.parse_tools),
        npu_info=table("npu.info", npu_smi.parse_info),
        driver=table("host.driver", versions.parse_version_info),
        cann=table("host.cann", versions.parse_cann),
        shm=table("host.disk", host.parse_disk),
        nofile=table("host.limits", host.parse_limits).map(lambda limits: limits.nofile_soft),
        model_files=table("model.files", model_dir.parse_files),
        packages=table("versions", versions.parse_packages),
    )


def lmdeploy_version(run: Run, facts: ContainerFacts) -> str | None:
    """The version that the rules go by: the inventory's word, or what most nodes have installed; None if unknown."""
    named = run.inventory.server.lmdeploy_version
    if named != "detect":
        return named
    found = [r.fact for r in facts.lmdeploy_version.readings.values() if r.readable and r.fact]
    return max(sorted(set(found)), key=found.count) if found else None
