# SPDX-License-Identifier: Apache-2.0
"""The cluster as it is built: the same each time, and big enough."""

from __future__ import annotations

import ipaddress

from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.faults import parse_faults


def spec_of(inventory, *faults):
    return ClusterSpec(inventory, parse_faults(faults, inventory))


def test_the_same_inventory_gives_the_same_cluster(inventory):
    one, two = spec_of(inventory()), spec_of(inventory())
    assert [one.device("node-b", i) for i in range(8)] == [two.device("node-b", i) for i in range(8)]
    assert one.boot_id("node-a") == two.boot_id("node-a") != one.boot_id("node-b")
    assert one.device("node-b", 3).ip == "10.20.1.13"


def test_a_thousand_nodes_have_addresses_of_their_own(inventory):
    spec = spec_of(inventory(nodes=1024))
    ips = [spec.device(w.node, w.device).ip for w in spec.inventory.devices]
    assert len(set(ips)) == 8192
    assert all(ipaddress.ip_address(ip).version == 4 for ip in ips)
    assert spec.devices_at(spec.device("node-1023", 7).ip)[0].where.node == "node-1023"


def test_ipv6_devices_are_found_however_their_address_is_written(inventory):
    spec = spec_of(inventory(simulation={"ipv6": True}))
    device = spec.device("node-b", 3)
    assert device.ipv6
    assert spec.devices_at(ipaddress.ip_address(device.ip).exploded) == (device,)


def test_only_the_faulty_device_changes(inventory):
    good = spec_of(inventory())
    for name in ("tls-differs", "duplicate-device-ip", "stale-hccn-conf", "wrong-netmask", "no-device-ip", "link-down"):
        bad = spec_of(inventory(), f"{name}@node-b/3")
        changed = [w for w in bad.inventory.devices if bad.device(w.node, w.device) != good.device(w.node, w.device)]
        assert [str(w) for w in changed] == ["node-b/3"], name
