# SPDX-License-Identifier: Apache-2.0
"""The lab's networks: one switch for hosts, one for devices, both in a network namespace of their own."""

from __future__ import annotations

import subprocess

from lab.machine import LabError, Process, run, wait_for
from lab.plan import DEVICES_MASK, MARK, UPLINK, Plan, controller_ip, namespace, switch_port, switch_port_of_host

HOSTS_BRIDGE = "hosts"
DEVICES_BRIDGE = "devices"


def start_switch() -> Process:
    """The namespace of both switches, and the machine's own port on the hosts' one."""
    keeper = subprocess.Popen(
        ["env", MARK, "unshare", "--net", "--", "sleep", "infinity"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    switch = Process.of(keeper.pid)
    wait_for(
        lambda: run(["readlink", f"/proc/{keeper.pid}/ns/net"]) != run(["readlink", "/proc/self/ns/net"]), "switch"
    )
    lines = ["link set lo up"]
    for bridge in (HOSTS_BRIDGE, DEVICES_BRIDGE):
        lines += [f"link add {bridge} type bridge stp_state 0 forward_delay 0", f"link set {bridge} up"]
    ip(switch.beside("ip"), lines)
    ip(["ip"], [f"link add {UPLINK} type veth peer name uplink netns {switch.pid}"])
    ip(["ip"], [f"addr add {controller_ip()}/24 dev {UPLINK}", f"link set {UPLINK} up"])
    ip(switch.beside("ip"), [f"link set uplink master {HOSTS_BRIDGE}", "link set uplink up"])
    return switch


def plug_in(plan: Plan, host: str, init: Process, switch: Process) -> None:
    """Give a host its eth0, and each of its devices a port in a namespace of its own."""
    own = switch_port_of_host(host)
    lines = [f"link add {own} type veth peer name eth0 netns {init.pid}"]
    lines += [f"link set {own} master {HOSTS_BRIDGE}", f"link set {own} up"]
    for device in range(plan.devices):
        port = switch_port(host, device)
        lines += [f"link add {port} type veth peer name {namespace(device)} netns {init.pid}"]
        lines += [f"link set {port} master {DEVICES_BRIDGE}", f"link set {port} up"]
    ip(switch.beside("ip"), lines)
    ip(init.inside("ip"), [f"addr add {plan.host_ip(host)}/24 dev eth0", "link set eth0 up"])
    for device in range(plan.devices):
        name = namespace(device)
        ip(init.inside("ip"), [f"netns add {name}", f"link set {name} netns {name}"])
        address = f"{plan.device_ip(host, device)}/{DEVICES_MASK}"
        within = ["link set lo up", f"addr add {address} dev {name}", f"link set {name} up"]
        ip(init.inside("ip", "-n", name), within)


def ip(words: list[str], lines: list[str]) -> None:
    """Run lines of ``ip -batch``.

    Raises:
        LabError: one of them failed.
    """
    try:
        run([*words, "-batch", "-"], stdin="\n".join(lines) + "\n")
    except LabError as error:
        raise LabError(f"{error}; in: {'; '.join(lines)[:300]}") from error
