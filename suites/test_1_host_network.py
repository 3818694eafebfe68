# SPDX-License-Identifier: Apache-2.0
"""Stage 1, the host network and its limits: names, interfaces, and TCP between the nodes (guide, 2.1 and 2.3)."""

import ipaddress

from hakuna import rule
from hakuna.stages.host import HCCL_PORTS


@rule("HST123", guide="2.1")
def test_the_interface_carries_the_node_ip(hosts, inventory, findings):
    """GLOO_SOCKET_IFNAME names an interface, HCCL_IF_IP an address: they must belong together on each node.

    Judged on ip addr: the interface of the inventory exists, is up, and carries node_ip.

    Fix: on {node}: ip addr; then set interface and node_ip in the inventory to what is there
    Source: guide 2.1 tip; EI0001 "set ifname ... but not found"
    """
    for place, interfaces in hosts.interfaces:
        node = inventory.model.node(place.node)
        named = next((i for i in interfaces if i.name == node.interface), None)
        holder = next((i.name for i in interfaces if node.node_ip in _plain(i.addresses)), None)
        wanted = f"{node.interface} with {node.node_ip}"
        if named is None:
            observed = f"no {node.interface}; interfaces: {', '.join(i.name for i in interfaces)}"
            findings.fail(node, expected=wanted, observed=observed)
        elif not named.up:
            findings.fail(node, expected=wanted, observed=f"{node.interface} is down")
        elif holder != node.interface:
            findings.fail(node, expected=wanted, observed=f"{node.node_ip} is on {holder or 'no interface'}")


def _plain(addresses):
    return [str(ipaddress.ip_interface(a).ip) for a in addresses]


@rule("HST124", guide="2.1")
def test_no_hostname_resolves_to_loopback(hosts, findings):
    """Gloo and Ray look their own name up; 127.0.1.1 in /etc/hosts makes other nodes connect to themselves.

    Judged on what the node's own hostname resolves to on that node.

    Fix: on {node}: in /etc/hosts, give {name} its node IP instead of {observed}
    Source: gpustack #2125, AReaL #777; "Gloo connectFullMesh failed ... remote=[127.0.0.1]"
    """
    for node, name in hosts.hostname:
        loops = [a for a in name.addresses if ipaddress.ip_address(a).is_loopback]
        if loops:
            findings.fail(node, expected="the node IP", observed=loops, name=name.name)


@rule("HST125", guide="2.1")
def test_hostnames_are_unique(hosts, findings):
    """Two machines of one name cannot be told apart in Ray's and HCCL's logs, nor reach each other by name.

    Judged on hostname of every node.

    Fix: hostnamectl set-hostname on one of them
    Source: hccl_test guide (gethostbyname failed)
    """
    for name, places in hosts.hostname.map(lambda h: h.name).duplicates():
        for node in places[1:]:
            findings.fail(node, expected="a name of its own", observed=f"{name}, as {places[0]}")


@rule("HST126", guide="0, 2.3")
def test_nodes_reach_each_other_by_tcp(hosts, findings):
    """Ray, gloo and HCCL's root-info exchange run over the host network; a firewall there shows as EI0015 after
    two minutes, or as a join that never ends.

    Judged on TCP connects from every node to every other one, on Ray's and the server's port and HCCL's first
    and last: an open port and a refusal both show that the way is free, silence does not.

    Fix: on {peer}: open Ray's port, the server's, and 60000-60031 for {node} (iptables -S; firewall-cmd --list-all)
    Source: hicann/hccl cluster_info_nego.md (EI0015)
    """
    if not hosts.tcp.readings:
        findings.skip("one node has no other to reach")
    for pair, probe in hosts.tcp:
        silent = sorted(port for port, state in probe.results.items() if not state.passes)
        if silent:
            findings.fail(pair, expected="a way through", observed=f"no answer on {', '.join(map(str, silent))}")


@rule("HST127", guide="5", gates=False)
def test_hccl_ports_are_not_handed_out(hosts, findings):
    """HCCL binds 60000 to 60031; inside the kernel's ephemeral range any client may take one of them first.

    Judged on net.ipv4.ip_local_reserved_ports.

    Fix: on {node}: sysctl -w net.ipv4.ip_local_reserved_ports=60000-60031
    Source: hicann/hccl docs/zh/user_guide/hccl_env/HCCL_IF_BASE_PORT.md
    """
    for node, text in hosts.reserved_ports:
        reserved: set[int] = set()
        for part in filter(None, text.split(",")):
            first, _, last = part.partition("-")
            reserved.update(range(int(first), int(last or first) + 1))
        if not set(HCCL_PORTS) <= reserved:
            findings.warn(node, expected="60000-60031 reserved", observed=text or "nothing reserved")


@rule("HST128", guide="5", gates=False)
def test_limits_are_high_enough(hosts, inventory, findings):
    """The root rank accepts a connection from every rank at once: few open files or a short backlog look like
    unreachable hosts (EI0015).

    Judged on the open-files limit of a login and on net.core.somaxconn, against the thresholds.

    Fix: on {node}: {advice}
    Source: Ascend FaultDiag AISW_CANN_HCCL_004, 005; hccl_test guide
    """
    thresholds = inventory.model.thresholds
    for node, soft in hosts.nofile:
        if soft < thresholds.nofile:
            advice = f"set nofile {thresholds.nofile} in /etc/security/limits.conf"
            findings.warn(node, expected=f"nofile {thresholds.nofile}", observed=soft, advice=advice)
    for node, backlog in hosts.somaxconn:
        if backlog < thresholds.somaxconn:
            advice = f"sysctl -w net.core.somaxconn={thresholds.somaxconn}"
            findings.warn(node, expected=f"somaxconn {thresholds.somaxconn}", observed=backlog, advice=advice)
