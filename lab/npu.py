# SPDX-License-Identifier: Apache-2.0
"""What answers ``hccn_tool`` and ``npu-smi`` on a lab host: the network part is real, the chip is the simulator's.

``python -m lab.npu INVENTORY NODE SOCKET`` serves inside the host; the executables on PATH hand it their calls.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from hakuna.inventory.model import Inventory
from hakuna.simulator import load_tools
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.hccn_tool import PACKETS, USAGE, HccnTool
from hakuna.simulator.service import SimulatorService
from hakuna.simulator.state import ClusterState
from hakuna.simulator.tools import TOOLS, Call, Result, say
from lab.plan import IN_HOST, namespace, switch_port

#: What no network can tell: {"tls": {"3": 1}}; absent devices have the switch off.
CHIP_FILE = Path(IN_HOST) / "chips.json"
#: Seconds between the packets of a ping, and how long the last answer is waited for.
INTERVAL, PATIENCE = "0.01", "1"


class RealNetwork(HccnTool):
    """``hccn_tool -i N -WHAT -g`` out of the device's own network namespace."""

    def run(self, call: Call) -> Result:
        words = list(call.argv[1:])
        answer = None
        if len(words) > 3 and words[0] == "-i" and words[1].isdigit() and "-g" in words:  # noqa: PLR2004  # the shortest query
            ask = _ASK.get(words[2])
            if ask is not None and int(words[1]) in call.node.spec.present_devices(call.node.name):
                answer = ask(call.node.name, int(words[1]), words[3:])
        return answer if answer is not None else super().run(call)


def _ip(device: int, *words: str) -> Any:
    name = namespace(device)
    done = subprocess.run(["ip", "-n", name, "-j", *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout or "[]")


def _failed(reason: str) -> Result:
    return say("Command execute failed!\n", f"{reason}\n", 1)


def _up(device: int) -> bool:
    """Whether the port is up and the other end of the wire too."""
    return bool(_ip(device, "link", "show", "dev", namespace(device))[0]["operstate"] == "UP")


def address(node: str, device: int, words: list[str]) -> Result:
    del node
    six = "-inet6" in words
    family = "inet6" if six else "inet"
    found = [
        a
        for row in _ip(device, "addr", "show", "dev", namespace(device))
        for a in row.get("addr_info", ())
        if a["family"] == family and a["scope"] == "global"
    ]
    if not found:
        return _failed("Get ipconf failed, because no ip was preset there!")
    prefix = int(found[0]["prefixlen"])
    if six:
        return say(f"ipv6_address:{found[0]['local']}\nprefix_length:{prefix}\n")
    bits = (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF
    mask = ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))
    return say(f"ipaddr:{found[0]['local']}\nnetmask:{mask}\n")


def link(node: str, device: int, words: list[str]) -> Result:
    del node, words
    return say(f"link status: {'UP' if _up(device) else 'DOWN'}\n")


def net_health(node: str, device: int, words: list[str]) -> Result:
    """The lab's devices watch no address, which the tool calls Init."""
    del node, words
    return say(f"net health status: {'Init' if _up(device) else 'Fault'}\n")


def gateway(node: str, device: int, words: list[str]) -> Result:
    del node, words
    routes = [r for r in _ip(device, "route", "show", "default") if "gateway" in r]
    if not routes:
        return _failed("Get gateway failed, because no gateway was preset there!")
    return say(f"default gateway:{routes[0]['gateway']}, Iface:eth{device}\n")


def netdetect(node: str, device: int, words: list[str]) -> Result:
    del node, device, words
    return say("netdetect address:\n")


def lldp(node: str, device: int, words: list[str]) -> Result:
    """The switch's own name of the port, as the lab wired it; no neighbour without a link."""
    del words
    if not _up(device):
        return say("LLDP info: no neighbour\nChassis ID TLV\nTime to Live TLV\n\t0\n")
    return say(
        f"Port ID TLV\n\tIfname: {switch_port(node, device)}\nTime to Live TLV\n\t120\n"
        "System Name TLV\n\tlab-switch\nEnd of LLDPDU TLV\n"
    )


def link_stat(node: str, device: int, words: list[str]) -> Result:
    """The kernel's count of carrier changes; it keeps no dates."""
    del node, words
    statistics = _ip(device, "-s", "-s", "link", "show", "dev", namespace(device))[0]["stats64"]
    changes = int(statistics["tx"]["carrier_changes"])
    mark = f"[devid {device}]"
    rows = (f"{mark}link up count       : {(changes + 1) // 2}", f"{mark}link down count     : {changes // 2}")
    return say("\n".join([*rows, f"{mark}link change records :"]) + "\n")


def ping(node: str, device: int, words: list[str]) -> Result:
    """Real ICMP from the device's namespace, in the tool's words."""
    del node
    six = "-inet6" in words
    try:
        target = words[words.index("ipv6_address" if six else "address") + 1]
        packets = int(words[words.index("pkt") + 1]) if "pkt" in words else PACKETS
    except (ValueError, IndexError):
        return say(USAGE, "Input parameter error!\n", 1)
    if not _up(device):
        return _failed("Execute failed: Link status is down.")
    words = ["ping", "-6" if six else "-4", "-n", "-c", str(packets), "-i", INTERVAL, "-W", PATIENCE, "--", target]
    done = subprocess.run(
        ["ip", "netns", "exec", namespace(device), *words], capture_output=True, text=True, check=False
    )
    times = {int(n) - 1: float(t) for n, t in re.findall(r"icmp_seq=(\d+) ttl=\d+ time=([\d.]+) ms", done.stdout)}
    rows = [f"device {device} {'PING6' if six else 'PING'} {target}"]
    rows += [f"recv seq={n},time={times[n]:.6f}ms" if n in times else f"recv time out seq={n}" for n in range(packets)]
    loss = 100.0 * (packets - len(times)) / packets if packets else 0.0
    rows.append(f"{packets} packets transmitted, {len(times)} received, {loss:.2f}% packet loss")
    return say("\n".join(rows) + "\n")


def tls(node: str, device: int, words: list[str]) -> Result | None:
    """The switch as the chip's file has it, in the words of the simulator's tool."""
    del node, words
    chips = json.loads(CHIP_FILE.read_text(encoding="utf-8")) if CHIP_FILE.exists() else {}
    if not chips.get("tls", {}).get(str(device)):
        return None
    preset = "tls preconfigured[1](0:non-preset, 1:preset), tls alarm time threshold[60]days"
    return say(f"dev_id:{device}, tls switch[1](0:disable, 1:enable), {preset}\n")


_ASK = {
    "-ip": address,
    "-link": link,
    "-net_health": net_health,
    "-gateway": gateway,
    "-netdetect": netdetect,
    "-lldp": lldp,
    "-link_stat": link_stat,
    "-ping": ping,
    "-tls": tls,
}


def main(inventory: str, node: str, place: str) -> None:
    """Serve until SIGTERM, or until the socket's path is gone."""
    load_tools()
    TOOLS["hccn_tool"] = RealNetwork
    spec = ClusterSpec(Inventory.model_validate_json(Path(inventory).read_text(encoding="utf-8")))
    service = SimulatorService(spec, ClusterState(Path(IN_HOST) / "chip-state.json"), node, Path(place))
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    with service:
        service.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
