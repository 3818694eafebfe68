# SPDX-License-Identifier: Apache-2.0
"""Stage ``network``: the devices' own network (guide, section 5). Two round trips: the mesh needs the addresses.

Where packets are lost by halves, a third one asks the pairs of the suspects again, with more packets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hakuna.evidence import Batch, Command
from hakuna.inventory.model import Chip, Inventory, Node
from hakuna.judgement import mesh_again, mesh_schedule
from hakuna.probes import hccn, hccn_conf
from hakuna.probes.reading import Reading, ReadingState, Table
from hakuna.stages.answers import Answers, lost
from hakuna.stages.run import Run
from hakuna.where import Where

#: The batch of the second pings.
MESH_AGAIN = "network.mesh.again"


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
    pings: Table[hccn.Ping]
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
    known = {d: r.fact.ip for d, r in addresses.readings.items() if r.fact is not None and r.fact.ip}
    pings: dict[str, list[Command]] = {n.name: [] for n in inventory.nodes}
    pairs: list[tuple[Where, Where]] = []
    unprobed: dict[Where, Reading[hccn.Ping]] = {}
    for source, target in schedule.pairs:
        unknown = next((end for end in (source, target) if end not in known), None)
        if unknown is None:
            pings[source.node].append(hccn.ping(source.device, known[target], target.node, target.device))
            pairs.append((source, target))
        else:
            pair = Where.pair(source, target)
            unprobed[pair] = lost(pair, f"not probed: {unknown} has no known address", f"network/{unknown.node}")
    mesh = run.send("network.mesh", {n: Batch(tuple(c)) for n, c in pings.items()})
    probed = {Where.pair(a, b): _ping(mesh, a, b) for a, b in pairs}
    again = _ask_again(run, probed, known)
    more = f"; {len(again)} pairs asked again with {mesh_again.PACKETS} packets" if again else ""
    probed |= again
    return NetworkFacts(
        address=addresses,
        link=answers.per_device("hccn.link", hccn.parse_link, devices),
        health=answers.per_device("hccn.health", hccn.parse_net_health, devices),
        gateway=answers.per_device("hccn.gateway", hccn.parse_gateway, devices),
        netdetect=answers.per_device("hccn.netdetect", hccn.parse_netdetect, devices),
        tls=answers.per_device("hccn.tls", hccn.parse_tls, devices),
        lldp=answers.per_device("hccn.lldp", hccn.parse_lldp, devices),
        link_history=answers.per_device("hccn.link_stat", hccn.parse_link_stat, devices),
        conf=answers.per_node("hccn.conf", hccn_conf.parse_conf),
        pings=Table(probed | unprobed),
        coverage=schedule.coverage + (f"; {len(unprobed)} of them not probed" if unprobed else "") + more,
    )


def _ask_again(
    run: Run, first: Mapping[Where, Reading[hccn.Ping]], known: Mapping[Where, str]
) -> dict[Where, Reading[hccn.Ping]]:
    """Ping the pairs of devices that lose some packets once more; what both rounds said of each."""
    asked = mesh_again.to_ask_again({(w.source, w.target): r.fact for w, r in first.items() if r.fact is not None})
    if not asked or not run.asked_or_live(MESH_AGAIN):
        return {}
    batches: dict[str, list[Command]] = {}
    for source, target in asked:
        command = hccn.ping(source.device, known[target], target.node, target.device, mesh_again.PACKETS)
        batches.setdefault(source.node, []).append(command)
    answers = run.send(MESH_AGAIN, {n: Batch(tuple(c)) for n, c in batches.items()})
    both: dict[Where, Reading[hccn.Ping]] = {}
    for source, target in asked:
        pair, second = Where.pair(source, target), _ping(answers, source, target)
        before = first[pair].fact
        both[pair] = second if second.fact is None or before is None else replace(second, fact=before.plus(second.fact))
    return both


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


def _ping(mesh: Answers, source: Where, target: Where) -> Reading[hccn.Ping]:
    command = f"hccn.ping/{source.device}/{target.node}/{target.device}"
    return mesh.reading(source.node, command, hccn.parse_ping, Where.pair(source, target))
