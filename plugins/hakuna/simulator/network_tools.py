# SPDX-License-Identifier: Apache-2.0
"""The host network's tools: ``ip addr`` and ``ss``."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from hakuna.simulator import processes
from hakuna.simulator.node import SimNode
from hakuna.simulator.tools import Call, Result, Tool, say, tool

#: The pid of the process that the fault port-taken puts on Ray's port.
REDIS_PID = 2211


@tool("ip")
class Ip(Tool):
    """``ip -j addr show``, or its text without ``-j``."""

    def run(self, call: Call) -> Result:
        rows = interfaces(call.node)
        if "-j" in call.argv or "-json" in call.argv:
            return say(json.dumps(rows, separators=(",", ":")) + "\n")
        return say("".join(_text(row) for row in rows))


def interfaces(node: SimNode) -> list[dict[str, Any]]:
    """The node's interfaces as iproute2's JSON has them."""
    number = node.spec.number(node.name)
    loopback = {
        "ifindex": 1,
        "ifname": "lo",
        "flags": ["LOOPBACK", "UP", "LOWER_UP"],
        "mtu": 65536,
        "qdisc": "noqueue",
        "operstate": "UNKNOWN",
        "group": "default",
        "txqlen": 1000,
        "link_type": "loopback",
        "address": "00:00:00:00:00:00",
        "broadcast": "00:00:00:00:00:00",
        "addr_info": [_address("127.0.0.1", 8, "host", "lo")],
    }
    name = node.spec.interface(node.name)
    six = ipaddress.ip_address(node.model.node_ip).version == 6  # noqa: PLR2004  # IPv6
    main = {
        "ifindex": 2,
        "ifname": name,
        "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
        "mtu": 1500,
        "qdisc": "mq",
        "operstate": "UP",
        "group": "default",
        "txqlen": 1000,
        "link_type": "ether",
        "address": f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}",
        "broadcast": "ff:ff:ff:ff:ff:ff",
        "addr_info": [_address(node.model.node_ip, 64 if six else 24, "global", name)],
    }
    if node.spec.has("interface-down", node.name):
        main |= {"flags": ["BROADCAST", "MULTICAST"], "operstate": "DOWN"}
    if node.spec.has("address-elsewhere", node.name):
        bond = {
            **main,
            "ifindex": 3,
            "ifname": "bond0",
            "addr_info": [_address(node.model.node_ip, 24, "global", "bond0")],
        }
        return [loopback, {**main, "addr_info": []}, bond]
    return [loopback, main]


def _address(ip: str, prefix: int, scope: str, label: str) -> dict[str, Any]:
    network = ipaddress.ip_interface(f"{ip}/{prefix}").network
    found: dict[str, Any] = {"family": "inet" if network.version == 4 else "inet6", "local": ip, "prefixlen": prefix}  # noqa: PLR2004  # IPv4
    if network.version == 4 and scope == "global":  # noqa: PLR2004  # IPv4
        found["broadcast"] = str(network.broadcast_address)
    found |= {"scope": scope, "label": label, "valid_life_time": 4294967295, "preferred_life_time": 4294967295}
    return found


def _text(row: dict[str, Any]) -> str:
    more = f"qdisc {row['qdisc']} state {row['operstate']} group {row['group']} qlen {row['txqlen']}"
    lines = [
        f"{row['ifindex']}: {row['ifname']}: <{','.join(row['flags'])}> mtu {row['mtu']} {more}",
        f"    link/{row['link_type']} {row['address']} brd {row['broadcast']}",
    ]
    for a in row["addr_info"]:
        brd = f" brd {a['broadcast']}" if "broadcast" in a else ""
        lines.append(f"    {a['family']} {a['local']}/{a['prefixlen']}{brd} scope {a['scope']} {a['label']}")
        lines.append("       valid_lft forever preferred_lft forever")
    return "\n".join(lines) + "\n"


@tool("ss")
class Ss(Tool):
    """``ss -H -l -t -n -p``: who listens on the host network (containers share it: --net=host)."""

    def run(self, call: Call) -> Result:
        rows = [] if "-H" in call.argv else ["State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process"]
        for port, name, pid in listeners(call.node):
            rows.append(
                f'LISTEN 0      4096         0.0.0.0:{port:<5}      0.0.0.0:*    users:(("{name}",pid={pid},fd=6))'
            )
        return say("".join(f"{row}\n" for row in rows))


def listeners(node: SimNode) -> list[tuple[int, str, int]]:
    """Listening ports with the name and pid of who listens."""
    found = [(22, "sshd", 1187)]
    if node.spec.has("port-taken", node.name):
        found.append((node.inventory.ray.port, "redis-server", REDIS_PID))
    if node.spec.has("hccl-port-taken", node.name):
        found.append((60000, "python", REDIS_PID + 1))
    if node.spec.has("server-port-taken", node.name):
        found.append((node.inventory.server.port, "lmdeploy", REDIS_PID + 2))
    for process in processes.of_node(node.state.read(), node.name):
        name = process["argv"][0].rpartition("/")[2][:15]
        found += [(port, name, process["pid"]) for port in process["ports"]]
    return found


def is_listening(node: SimNode, port: int) -> bool:
    return any(port == p for p, _, _ in listeners(node))
