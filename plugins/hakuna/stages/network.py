# SPDX-License-Identifier: Apache-2.0
"""Stage ``network``: the devices' own network (guide, section 5). Two round trips: the mesh needs the addresses.

Where packets are lost by halves, a further one asks the pairs of the suspects again, with more packets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hakuna.evidence import Batch, Command, Ending, NodeAnswer, Outcome
from hakuna.inventory.model import Chip, Inventory, Node
from hakuna.judgement import mesh_again, mesh_schedule
from hakuna.probes import hccn, hccn_conf
from hakuna.probes.hccn_pings import as_ray_task
from hakuna.probes.mesh import Lane, PingMesh
from hakuna.probes.mesh_columns import COLUMNS, save
from hakuna.probes.reading import Reading, ReadingState, Table
from hakuna.stages.answers import Answers
from hakuna.stages.run import Mode, Run
from hakuna.where import ByPlace, Where

#: The batch of the second pings.
MESH_AGAIN = "network.mesh.again"
#: How many devices that were not pinged are named.
SHOWN = 8


@dataclass(frozen=True)
class NetworkFacts:
    """By device, but for ``conf`` (by node) and ``pings`` (by directed pair). ``coverage`` says what the mesh held."""

    address: Table[hccn.DeviceAddress]
    link: Table[hccn.Link]
    health: Table[hccn.NetHealth]
    gateway: Table[hccn.Gateway]
    netdetect: Table[hccn.NetDetect]
    tls: Table[hccn.Tls]
    lldp: Table[hccn.Lldp]
    link_history: Table[hccn.LinkHistory]
    conf: Table[hccn_conf.HccnConf]
    pings: PingMesh
    coverage: str

    @property
    def switch(self) -> Table[bool]:
        """The TLS switch of every device."""
        return self.tls.map(lambda tls: tls.enabled)


def commands(inventory: Inventory, node: Node) -> list[Command]:
    """The first batch of one node: everything about its own devices."""
    out: list[Command] = [hccn_conf.conf()]
    for i in node.device_ids:
        out += [hccn.address(i), hccn.address6(i), hccn.link(i), hccn.net_health(i), hccn.gateway(i)]
        out += [hccn.netdetect(i), hccn.tls(i), hccn.lldp(i), hccn.link_stat(i)]
        if inventory.chip is Chip.ATLAS_800T_A3:
            out.append(hccn.vnic(i))
    return out


def collect(run: Run) -> NetworkFacts:
    """Ask every device about itself, then let each ping the others as the schedule says."""
    inventory = run.inventory
    answers = run.send("network", run.everywhere(lambda node: commands(inventory, node)))
    devices = inventory.devices
    addresses = addresses_of(answers, devices)
    schedule = mesh_schedule.choose(
        [(n.name, n.device_ids) for n in inventory.nodes], mode=run.plan.mesh, layout=inventory.layout
    )
    links = answers.per_device("hccn.link", hccn.parse_link, devices)
    mesh = PingMesh()
    known = _to_probe(answers, addresses, links, mesh)
    first, rest = schedule.split()
    _probe(run, "network.mesh", first, known, mesh)
    if rest is not None:
        for device in mesh.dead():
            mesh.leave_out(device, "it neither reaches nor is reached by any device of its index", f"network/{device}")
            known.pop(device)
        _probe(run, "network.mesh.rest", rest, known, mesh)
    again = _ask_again(run, mesh, known)
    more = f"; {again} pairs asked again with {mesh_again.PACKETS} packets" if again else ""
    if not (run.folder / COLUMNS).exists():
        save(mesh, run.folder / COLUMNS, devices)
    return NetworkFacts(
        address=addresses,
        link=links,
        health=answers.per_device("hccn.health", hccn.parse_net_health, devices),
        gateway=answers.per_device("hccn.gateway", hccn.parse_gateway, devices),
        netdetect=answers.per_device("hccn.netdetect", hccn.parse_netdetect, devices),
        tls=answers.per_device("hccn.tls", hccn.parse_tls, devices),
        lldp=answers.per_device("hccn.lldp", hccn.parse_lldp, devices),
        link_history=answers.per_device("hccn.link_stat", hccn.parse_link_stat, devices),
        conf=answers.per_node("hccn.conf", hccn_conf.parse_conf),
        pings=mesh,
        coverage=schedule.coverage + _left_out(mesh) + more,
    )


def _to_probe(
    answers: Answers, addresses: Table[hccn.DeviceAddress], links: Table[hccn.Link], mesh: PingMesh
) -> dict[Where, str]:
    """The addresses of the devices that can answer: a ping to any other would only wait for its time to be over."""
    known: dict[Where, str] = {}
    for device, reading in addresses.readings.items():
        link = links.readings[device]
        answer = answers.by_node.get(device.node)
        if reading.fact is None or not reading.fact.ip:
            trouble = answer.trouble if answer else None
            mesh.leave_out(device, "not pinged: it has no known address", f"network/{device.node}", trouble)
        elif link.fact is not None and not link.fact.up:
            mesh.leave_out(device, "not pinged: its link is down", link.source)
        else:
            known[device] = reading.fact.ip
    return known


def _probe(run: Run, name: str, plan: mesh_schedule.Schedule, known: Mapping[Where, str], mesh: PingMesh) -> None:
    """Let each device ping those that the plan gives it: one batch per node, one command per device."""
    ips_of = ByPlace(known)
    batches: dict[str, Batch] = {}
    lanes: dict[str, list[tuple[Where, Lane, list[str]]]] = {}
    for node, ids in plan.nodes:
        own = []
        for source in (Where.of_device(node, i) for i in ids):
            if source not in known:
                continue
            targets = plan.targets(source)
            try:
                ips = ips_of.all_of(targets)
            except KeyError:
                targets = tuple(t for t in targets if t in known)
                ips = ips_of.all_of(targets)
            if ips:
                own.append((source, mesh.open(source, targets), ips))
        commands = (hccn.pings(source.device, ips) for source, _, ips in own)
        # Where Ray is up already, the mesh may travel by it; before a bring-up there is none.
        batches[node] = Batch(tuple(map(as_ray_task, commands) if run.plan.mode is Mode.ATTACH else commands))
        lanes[node] = own

    def take(node: str, answer: NodeAnswer) -> None:
        for source, lane, ips in lanes.pop(node, ()):
            command = f"hccn.pings/{source.device}"
            outcome = answer.outcomes.get(command) or Outcome(command, Ending.NOT_RUN)
            mesh.read(lane, source, ips, outcome, f"{name}/{node}/{command}", answer.trouble)

    run.send_each(name, batches, take)
    for node in tuple(lanes):  # nothing is kept of these: a run that was cut off
        take(node, NodeAnswer({}))


def _ask_again(run: Run, mesh: PingMesh, known: Mapping[Where, str]) -> int:
    """Ping the pairs of devices that lose some packets once more, and keep what both rounds said; how many."""
    near = {(w.source, w.target): r.fact for w, r in mesh.near_loss().each() if r.fact is not None}
    asked = mesh_again.to_ask_again(near)
    if not asked or not run.asked_or_live(MESH_AGAIN):
        return 0
    batches: dict[str, list[Command]] = {}
    for source, target in asked:
        command = hccn.ping(source.device, known[target], target.node, target.device, mesh_again.PACKETS)
        batches.setdefault(source.node, []).append(command)
    answers = run.send(MESH_AGAIN, {n: Batch(tuple(c)) for n, c in batches.items()})
    for source, target in asked:
        before, second = near[source, target], _ping(answers, source, target)
        mesh.put(second if second.fact is None else replace(second, fact=before.plus(second.fact)))
    return len(asked)


def _ping(mesh: Answers, source: Where, target: Where) -> Reading[hccn.Ping]:
    command = f"hccn.ping/{source.device}/{target.node}/{target.device}"
    return mesh.reading(source.node, command, hccn.parse_ping, Where.pair(source, target))


def _left_out(mesh: PingMesh) -> str:
    """The devices that were not pinged, in words."""
    left = list(map(str, mesh.unprobed))
    shown = ", ".join(left[:SHOWN]) + (f" and {len(left) - SHOWN} more" if len(left) > SHOWN else "")
    return f"; not pinged: {shown}" if left else ""


def addresses_of(answers: Answers, devices: tuple[Where, ...]) -> Table[hccn.DeviceAddress]:
    """Each device's address: the IPv4 one, or the IPv6 one where no IPv4 is set (guide, 5.1)."""
    first = answers.per_device("hccn.ip", hccn.parse_address, devices)
    second = answers.per_device("hccn.ip6", hccn.parse_address6, devices)
    chosen: dict[Where, Reading[hccn.DeviceAddress]] = {}
    for device, reading in first.readings.items():
        other = second.readings[device]
        unset = reading.state is ReadingState.READ and reading.fact is not None and reading.fact.ip is None
        has_other = other.fact is not None and other.fact.ip is not None
        chosen[device] = other if unset and has_other else reading
    return Table(chosen)
