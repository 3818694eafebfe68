# SPDX-License-Identifier: Apache-2.0
"""Stage ``host``: every node as it is, before anything is started (guide, sections 0 and 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hakuna.evidence import Command, NodeTrouble
from hakuna.inventory.model import Engine, Inventory, Node
from hakuna.probes import containers, host, model_dir, npu_smi, procs, table_file, versions
from hakuna.probes.reading import Reading, ReadingState, Table
from hakuna.stages import lease, reaper
from hakuna.stages.answers import Answers
from hakuna.stages.holder import LEASE_FOLDER
from hakuna.stages.run import Run
from hakuna.where import Where

#: HCCL's own ports on the host network, unless HCCL_IF_BASE_PORT moves them (CANN docs, HCCL_IF_BASE_PORT).
HCCL_PORTS = range(60000, 60032)
TOOLS = ("hccn_tool", "npu-smi")
#: Up to so many nodes every pair is tried by TCP; beyond, the head and a ring.
FULL_TCP = 32


@dataclass(frozen=True)
class HostFacts:
    """One table per fact, by node or by device."""

    reached: Table[NodeTrouble | None]
    boot_id: Table[str]
    clock_offset: Table[float]
    hostname: Table[host.HostName]
    interfaces: Table[tuple[host.Interface, ...]]
    disk: Table[tuple[host.Disk, ...]]
    listeners: Table[tuple[host.Listener, ...]]
    nofile: Table[int]
    somaxconn: Table[int]
    syn_backlog: Table[int]
    reserved_ports: Table[str]
    kernel: Table[str]
    tools: Table[Mapping[str, str | None]]
    device_nodes: Table[host.DeviceNodes]
    driver: Table[versions.VersionInfo]
    firmware: Table[versions.VersionInfo]
    cann: Table[versions.CannFile]
    npu_info: Table[npu_smi.NpuInfo]
    npu_health: Table[npu_smi.NpuHealth]
    npu_board: Table[npu_smi.NpuBoard]
    engine: Table[containers.EngineVersion]
    image: Table[containers.ImageInfo]
    labelled_containers: Table[tuple[containers.ContainerRow, ...]]
    labelled_processes: Table[tuple[procs.Process, ...]]
    model_files: Table[model_dir.ModelFiles]
    model_config: Table[str]
    tcp: Table[host.TcpProbe]
    lease: Table[host.LeaseState]
    rank_table: Table[str]
    reaped: tuple[str, ...]

    def restarted(self, boot_id: Table[str]) -> Iterator[tuple[Where, str, str]]:
        """The nodes whose boot id is now another one: (node, then, now)."""
        for node, now in boot_id:
            before = self.boot_id.get(node)
            if before is not None and before != now:
                yield node, before, now

    @property
    def software(self) -> Mapping[str, Table[str]]:
        """What is installed, in the words that a history keeps."""
        return {
            "driver": self.driver.map(lambda v: v.version),
            "firmware": self.firmware.map(lambda v: v.version),
            "npu-smi": self.npu_info.map(lambda i: i.version),
            "CANN": self.cann.map(lambda c: c.version or "-"),
            "kernel": self.kernel,
            "container engine": self.engine.map(lambda e: e.server or e.client),
            "image": self.image.map(lambda i: short_digest(i.digest)),
            "model config": self.model_config.map(short_digest),
        }


def short_digest(digest: str | None) -> str:
    """A digest as people compare it; a dash where there is none."""
    return (digest or "-").removeprefix("sha256:")[:12]


def ports_of(inventory: Inventory) -> tuple[int, ...]:
    """The ports that the deployment will listen on: Ray's, the server's, and HCCL's."""
    return (inventory.ray.port, inventory.server.port, *HCCL_PORTS)


def tcp_ports(inventory: Inventory) -> tuple[int, ...]:
    """The ports that are tried between nodes: Ray's, the server's, HCCL's first and last."""
    return (inventory.ray.port, inventory.server.port, HCCL_PORTS[0], HCCL_PORTS[-1])


def peers(inventory: Inventory, node: Node) -> tuple[Node, ...]:
    """The nodes that a node tries to reach by TCP: all others, or in large clusters the head and the next one."""
    nodes = inventory.nodes
    if len(nodes) <= FULL_TCP:
        return tuple(n for n in nodes if n.name != node.name)
    following = nodes[([n.name for n in nodes].index(node.name) + 1) % len(nodes)]
    return tuple({n.name: n for n in (inventory.head_node, following) if n.name != node.name}.values())


def boot_ids(run: Run, batch: str) -> Table[str]:
    """The boot id of every node as it is now, in a batch of its own: it is the host's, and never travels by Ray."""
    return run.send(batch, run.everywhere(lambda _node: [host.boot_id()])).per_node("host.boot_id", host.parse_boot_id)


def commands(inventory: Inventory, node: Node) -> list[Command]:
    """Everything that the stage asks of one node, in one batch; the same facts in one lane, the NPUs in theirs."""
    out = [
        host.boot_id(),
        host.clock(),
        host.hostname(),
        host.addresses(),
        host.disk(("/", "/tmp", "/dev/shm")),  # noqa: S108  # asked for their size
        host.ports(),
        host.limits(),
        host.somaxconn(),
        host.syn_backlog(),
        host.reserved_ports(),
        host.kernel(),
        host.tools(TOOLS),
        host.device_nodes(),
        versions.driver(),
        versions.firmware(),
        versions.cann(),
        npu_smi.info(),
        model_dir.files(inventory.server.model_path),
        model_dir.config(inventory.server.model_path),
        procs.procs("labelled", "HAKUNA_RUN="),
        host.lease_show(LEASE_FOLDER),
        table_file.show(inventory.rank_table.path),
    ]
    for device in node.device_ids:
        out += [npu_smi.health(device, inventory.chip), npu_smi.board(device, inventory.chip)]
    for peer in peers(inventory, node):
        out.append(host.tcp(peer.name, peer.node_ip, tcp_ports(inventory)))
    if inventory.container.engine is not Engine.NONE:
        out += [containers.version(inventory), containers.image(inventory), containers.ps_labelled(inventory)]
    return out


#: How often the nodes are asked anew, because something was cleaned up or waited for, before what is said counts.
LOOKS = 4


def collect(run: Run) -> HostFacts:
    """Clean up after dead runs first (they may hold ports), then ask every node."""
    reaped = reaper.clean_up(run) if run.brings_up else ()
    inventory = run.inventory
    answers = _ask(run)
    node = answers.per_node
    device = inventory.devices
    pairs = [(a.name, b.name) for a in inventory.nodes for b in peers(inventory, a)]
    return HostFacts(
        reached=_reached(inventory, answers),
        boot_id=node("host.boot_id", host.parse_boot_id),
        clock_offset=_clock_offsets(answers),
        hostname=node("host.hostname", host.parse_hostname),
        interfaces=node("host.addresses", host.parse_addresses),
        disk=node("host.disk", host.parse_disk),
        listeners=node("host.ports", host.parse_ports),
        nofile=node("host.limits", host.parse_limits).map(lambda limits: limits.nofile_soft),
        somaxconn=node("host.somaxconn", host.parse_number),
        syn_backlog=node("host.syn_backlog", host.parse_number),
        reserved_ports=node("host.reserved_ports", str.strip),
        kernel=node("host.kernel", host.parse_kernel),
        tools=node("host.tools", host.parse_tools),
        device_nodes=node("host.device_nodes", host.parse_device_nodes),
        driver=node("host.driver", versions.parse_version_info),
        firmware=node("host.firmware", versions.parse_version_info),
        cann=node("host.cann", versions.parse_cann),
        npu_info=node("npu.info", npu_smi.parse_info),
        npu_health=answers.per_device("npu.health", npu_smi.parse_health, device),
        npu_board=answers.per_device("npu.board", npu_smi.parse_board, device),
        engine=node("engine.version", containers.parse_version),
        image=node("engine.image", containers.parse_image),
        labelled_containers=node("engine.containers", containers.parse_ps),
        labelled_processes=node("procs.labelled", procs.parse_procs),
        model_files=node("model.files", model_dir.parse_files),
        model_config=node("model.config", model_dir.parse_digest),
        tcp=Table(
            {Where(a, -1, b): answers.reading(a, f"host.tcp/{b}", host.parse_tcp, Where(a, -1, b)) for a, b in pairs}
        ),
        lease=node("host.lease", host.parse_lease),
        rank_table=node("rank_table.file", table_file.parse_file),
        reaped=reaped,
    )


def _ask(run: Run) -> Answers:
    """Ask every node; ask again when dead runs were found and cleaned up, or another run was waited for."""
    for number in range(1, LOOKS + 1):
        name = f"host.{number}" if number > 1 else "host"
        following = f"host.{number + 1}"
        answers = run.send(name, run.everywhere(lambda node: commands(run.inventory, node)))
        if not run.brings_up or number == LOOKS or not run.asked_or_live(following):
            break
        if not (reaper.clean_strangers(run, answers) or lease.await_free(run, answers, f"host.wait.{number}")):
            break
    return answers


def _reached(inventory: Inventory, answers: Answers) -> Table[NodeTrouble | None]:
    """The transport's own word on every node: None where the whole batch went through."""
    found = [(n.where, answers.by_node[n.name].trouble) for n in inventory.nodes]
    return Table({w: Reading(w, ReadingState.READ, t, "", f"{answers.name}/{w.node}") for w, t in found})


def _clock_offsets(answers: Answers) -> Table[float]:
    """Each node's clock less the controller's, in seconds.

    The controller's time of the command is known only to lie within its batch, so an offset counts from the
    nearer end of that span: a slow network never looks like a wrong clock.
    """
    clocks = answers.per_node("host.clock", host.parse_clock)

    def offset(where: Where, seconds: float) -> float:
        answer = answers.by_node[where.node]
        if seconds < answer.sent:
            return seconds - answer.sent
        return max(0.0, seconds - answer.received)

    return Table(
        {
            w: Reading(
                w,
                r.state,
                offset(w, r.fact) if r.readable and r.fact is not None else None,
                r.detail,
                r.source,
                r.trouble,
            )
            for w, r in clocks.readings.items()
        }
    )
