# SPDX-License-Identifier: Apache-2.0
"""Stage 2, the devices' own network: addresses, links, and whether every device reaches every other (guide, 5.1)."""

import ipaddress

from hakuna import Where, rule
from hakuna.judgement.mesh_blame import Loss, Sides, localise, matrix_of_mesh
from hakuna.probes.hccn import HealthStatus

# --- addresses --------------------------------------------------------------------------------------------------------


@rule("NET201", guide="5.1", needs=("HST113", "HST114"))
def test_every_device_has_an_address(network, findings):
    """Across machines HCCL talks from device to device over RoCE: a device without an IP cannot take part.

    Judged on hccn_tool -i N -ip -g (and -ip -inet6 -g) of every device.

    Fix: on {node}: hccn_tool -i {device_id} -ip -s address ADDRESS netmask NETMASK
    Source: guide 5.1; gpustack #2551, #2821
    """
    for device, address in network.address:
        if address.ip is None:
            findings.fail(device, expected="an IPv4 or IPv6 address", observed="none is set")


@rule("NET202", guide="5.1", needs=("NET201",))
def test_every_address_is_unique(network, findings):
    """Two devices with one address answer for each other: connections go to the wrong one, sometimes.

    Judged on the live addresses of all devices; all but the first holder are blamed.

    Fix: on {node}: hccn_tool -i {device_id} -ip -s address ANOTHER netmask {netmask}
    Source: HCCL: device_ip "is already exist"
    """
    for ip, places in network.address.map(lambda a: a.ip).duplicates():
        if ip is None:
            continue
        for device in places[1:]:
            netmask = network.address[device].netmask or "NETMASK"
            findings.fail(device, expected="an address of its own", observed=f"{ip}, as {places[0]}", netmask=netmask)


@rule("NET203", guide="5.1", needs=("NET201",))
def test_all_addresses_are_of_one_family(network, findings):
    """HCCL refuses a job whose devices mix IPv4 and IPv6 (EI0001, "device ip family").

    Judged on the family of every device's address; the minority is blamed.

    Fix: give device {device_id} of {node} an {expected} address
    Source: hicann/hccl env_config_error_EI0001.md; guide 5.1 tip
    """
    family = network.address.where(lambda d: (a := network.address.get(d)) is not None and a.ip is not None).map(
        lambda a: "IPv6" if ":" in str(a.ip) else "IPv4"
    )
    for device, observed in family.minority():
        findings.fail(device, expected=family.majority, observed=observed)


@rule("NET205", guide="5.1", needs=("NET201",))
def test_hccn_conf_says_what_is_live(network, findings):
    """A stale /etc/hccn.conf comes back at the next driver restart, and tools that read it build wrong rank tables:
    one of 32 devices is enough.

    Judged on address_N of /etc/hccn.conf against hccn_tool -i N -ip -g.

    Fix: on {node}: write address_{device_id}={expected} into /etc/hccn.conf (or set the device to the file's value)
    Source: vllm-ascend #16847
    """
    for device, address in network.address:
        conf = network.conf.get(Where(device.node))
        if conf is None or address.ip is None:
            continue
        written = (conf.addresses6 if ":" in address.ip else conf.addresses).get(device.device)
        if written is not None and written != address.ip:
            findings.fail(device, expected=address.ip, observed=f"address_{device.device}={written} in /etc/hccn.conf")


@rule("NET206", guide="5.1", needs=("NET201", "NET203"))
def test_netmasks_are_equal(network, findings):
    """A wrong netmask makes a device believe that its peers are next door, or far away: pings fail one way.

    Judged on the netmask (prefix) of every device; the minority is blamed.

    Fix: on {node}: hccn_tool -i {device_id} -ip -s address {address} netmask {expected}
    Source: guide 5.1 (routes, masks, VLANs)
    """
    masks = network.address.map(lambda a: a.netmask or (f"/{a.prefix}" if a.prefix is not None else None))
    for device, observed in masks.minority():
        address = network.address[device].ip
        findings.fail(device, expected=masks.majority, observed=observed, address=address)


# --- links ------------------------------------------------------------------------------------------------------------


@rule("NET207", guide="5", needs=("HST113", "HST114"))
def test_every_link_is_up(network, findings):
    """A link that is down is a cable, an optic or a switch port: no setting mends it.

    Judged on hccn_tool -i N -link -g of every device.

    Fix: check cable and switch port; then on {node}: hccn_tool -i {device_id} -cfg recovery
    Source: vllm-ascend #9447; hccn_tool reference (-link -g)
    """
    for device, link in network.link:
        if not link.up:
            findings.fail(device, expected="link status: UP", observed="link status: DOWN")


@rule("NET208", guide="5", needs=("NET207",))
def test_every_device_is_healthy_on_the_network(network, findings):
    """The device itself watches an address it was told to (netdetect); its word is the first sign of a bad path.

    Judged on hccn_tool -i N -net_health -g; "Init" only says that it watches none.

    Fix: on {node}: hccn_tool -i {device_id} -netdetect -g; check the path to that address
    Source: Ascend FaultDiag; hccn_tool reference (-net_health -g)
    """
    for device, health in network.health:
        if health.status is HealthStatus.BAD:
            findings.fail(device, expected="Success", observed=health.word)


@rule("NET209", guide="5", gates=False, needs=("NET207",))
def test_links_did_not_flap_lately(network, findings):
    """A link that is up now but went down often will do so again under load.

    Judged on hccn_tool -i N -link_stat -g: more than 3 downs are a warning.

    Fix: check cable and optic of device {device_id} on {node} (hccn_tool -i {device_id} -optical -g)
    Source: Ascend FaultDiag (link_stat)
    """
    limit = 3
    for device, history in network.link_history:
        downs = sum(not e.up for e in history.events) if history.down_count is None else history.down_count
        if downs > limit:
            findings.warn(device, expected=f"at most {limit} downs", observed=downs)


@rule("NET210", guide="5.1", needs=("NET201",))
def test_devices_in_other_subnets_have_a_gateway(network, findings):
    """Devices of different subnets reach each other through a gateway only.

    Judged on hccn_tool -i N -gateway -g where not all devices share one subnet.

    Fix: on {node}: hccn_tool -i {device_id} -gateway -s gateway ADDRESS
    Source: hccn_tool reference (-gateway -g)
    """
    # A device's odd netmask is NET206's: with it, it would seem to be in a subnet of its own.
    found = [(":" in a.ip, a.ip, a.prefix) for _, a in network.address if a.ip is not None and a.prefix is not None]
    subnets = set()
    for family in (False, True):
        prefixes = [prefix for six, _, prefix in found if six is family]
        usual = max(sorted(set(prefixes)), key=prefixes.count, default=0)
        subnets |= {ipaddress.ip_network(f"{ip}/{usual}", strict=False) for six, ip, _ in found if six is family}
    if len(subnets) <= 1:
        findings.note("all devices share one subnet")
        return
    for device, gateway in network.gateway:
        if gateway.ip is None:
            findings.fail(device, expected=f"a gateway ({len(subnets)} subnets)", observed="none is set")


@rule("NET211", guide="5", gates=False, needs=("NET207",))
def test_switch_ports_are_told_by_lldp(network, findings):
    """LLDP names the switch port of each device: without it a bad port has to be traced by hand.

    Judged on hccn_tool -i N -lldp -g.

    Fix: enable LLDP on the switch that device {device_id} of {node} is connected to
    Source: vllm-ascend installation docs (-lldp -g)
    """
    for device, lldp in network.lldp:
        if lldp.port is None:
            findings.warn(device, expected="the switch's port", observed="no LLDP neighbour")


# --- the mesh ---------------------------------------------------------------------------------------------------------


@rule("NET220", guide="5.1", needs=("NET201", "NET202", "NET206", "NET207"))
def test_every_device_reaches_every_other(network, inventory, findings):
    """Tensor parallelism talks between all devices all the time: one pair that cannot, and the whole job hangs until
    HCCL's timeout.

    Judged on hccn_tool -ping of the whole mesh, both directions. "0.00% packet loss" is not searched for (it stands
    in "100.00% packet loss" too): sent and received are compared. The smallest explanation of the lost pairs is
    blamed: device, direction, node, pair, VLAN, subnet, leaf switch, netmask or address; what it cannot be told from
    is named, with the ping that decides. Pairs that layout: rail does not wire are not expected to work.

    Fix: check route, netmask, VLAN and firewall of device {device_id} on {node}; then try again:
    hccn_tool -i {device_id} -ping -g address {target}
    Source: guide 5.1; vllm-ascend #16847, #9447
    """
    if not network.pings and not network.pings.unprobed:
        findings.skip("one node has no other to reach")
    findings.note(network.coverage)
    found = _localised(network, inventory)
    if found.chance:
        findings.note(f"{len(found.chance)} pairs lost all packets at a place that loses some: see NET221")
    for blamed in found.of(Loss.TOTAL):
        findings.fail(
            blamed.where,
            expected="0 % loss",
            observed=blamed.words,
            message=blamed.evidence,
            target=_address(network, blamed.where.target if blamed.where.is_pair else blamed.where),
            evidence=blamed.sources,
        )


@rule("NET221", guide="0, 5.1", needs=("NET220", "NET207", "NET202"))
def test_no_packets_are_lost_on_the_way(network, inventory, findings):
    """The guide asks for low loss: RoCE answers loss by going back and sending again, and throughput collapses.

    Judged on the same mesh: pairs that lost some but not all packets, against thresholds.ping_loss_percent. The
    smallest explanation is blamed.

    Fix: check the optic and PFC counters of that port; on {node}: hccn_tool -i {device_id} -stat -g
    Source: guide 0 and 5.1
    """
    if not network.pings and not network.pings.unprobed:
        findings.skip("one node has no other to reach")
    limit = inventory.model.thresholds.ping_loss_percent
    for blamed in _localised(network, inventory).of(Loss.PARTIAL):
        findings.fail(
            blamed.where,
            expected=f"at most {limit:g} % loss",
            observed=blamed.words,
            message=blamed.evidence,
            evidence=blamed.sources,
        )


@rule("NET222", guide="0", needs=("NET220", "NET221"), gates=False)
def test_latency_is_low(network, inventory, findings):
    """The guide asks for stable latency: tensor parallelism waits for the slowest pair in every layer.

    Judged on the median round trip of each pair against thresholds.ping_latency_ms.

    Fix: compare the switch path of this pair with a fast one's (hccn_tool -i {device_id} -lldp -g)
    Source: vllm-ascend multi-node docs (hccn_tool -ping)
    """
    if not network.pings and not network.pings.unprobed:
        findings.skip("one node has no other to reach")
    limit = inventory.model.thresholds.ping_latency_ms
    for pair, median in network.pings.slower_than(limit):
        findings.fail(pair, expected=f"at most {limit:g} ms", observed=f"{median:.3f} ms")
    if network.pings.slowest:
        findings.note(f"slowest pair {network.pings.slowest:.3f} ms")


def _localised(network, inventory):
    """Where the packets are lost. What is known of the devices besides is looked at where it could be read: other rules
    judge it.
    """
    model = inventory.model
    matrix = matrix_of_mesh(network.pings, layout=model.layout, limit=model.thresholds.ping_loss_percent)
    address, lldp, tls = (
        {d: r.fact for d, r in t.readings.items() if r.fact} for t in (network.address, network.lldp, network.tls)
    )
    sides = Sides(
        addresses={d: (a.ip, a.prefix) for d, a in address.items() if a.ip is not None and a.prefix is not None},
        leaves={d: neighbour.system for d, neighbour in lldp.items() if neighbour.system},
        tls={d: switch.enabled for d, switch in tls.items()},
    )
    return localise(matrix, sides, model.layout)


def _address(network, device):
    address = network.address.get(device) if device in network.address else None
    return (address and address.ip) or "ADDRESS"
