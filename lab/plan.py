# SPDX-License-Identifier: Apache-2.0
"""What a lab is: names, addresses and places, all of them functions of two numbers."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
#: Labs of several checkouts may stand side by side on one machine, each under a number of its own (0 to 99).
NUMBER = int(os.environ.get("HAKUNA_LAB_NUMBER", "0")) % 100
NAME = f"hakuna-lab{NUMBER}" if NUMBER else "hakuna-lab"
#: Everything that a lab keeps on the machine while it is up; ``down`` removes it.
FOLDER = Path("/run") / NAME
#: Kept between labs, as it takes long to make: the image and Ray's virtual environment.
CACHE = Path(os.environ.get("HAKUNA_LAB_CACHE") or Path.home() / ".cache" / "hakuna-lab")
INVENTORY = REPOSITORY / "lab" / (f"inventory-{NUMBER}.yaml" if NUMBER else "inventory.yaml")
#: The only network interface that the machine itself gets.
UPLINK = NAME
#: The control group of all containers of the lab.
CGROUP = NAME
#: Benchmark addresses (RFC 2544), which no network routes: hosts, then devices.
HOSTS_NET = f"198.18.{77 + NUMBER}"
DEVICES_NET = "198.19"
DEVICES_MASK = 16
#: In the environment of every process that holds a lab's namespaces, whatever became of the state file.
MARK = f"HAKUNA_LAB={FOLDER}"
#: In a lab host: the folder of what belongs to the lab and not to a real host.
IN_HOST = "/etc/hakuna-lab"
CONTROL_DEVICES = ("davinci_manager", "devmm_svm", "hisi_hdc")
MODEL = "/models/model"
ENGINES = ("docker", "podman")
MAX_NODES = 16
MAX_DEVICES = 16


@dataclass(frozen=True)
class Plan:
    """A lab of ``nodes`` hosts with ``devices`` NPUs each.

    ``bare`` leaves out container engine and Ray: networks and sshd only. ``engine`` is docker or podman. ``lmdeploy``
    is the release of the real LMDeploy that serves, on the CPU twin; without one the stand-in does.
    """

    nodes: int = 2
    devices: int = 8
    bare: bool = False
    engine: str = "docker"
    lmdeploy: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(f"lab-{chr(ord('a') + i)}" for i in range(self.nodes))

    def number(self, host: str) -> int:
        """The host's place, from 0; ValueError when the lab has no such host."""
        return self.hosts.index(host)

    def host_ip(self, host: str) -> str:
        return f"{HOSTS_NET}.{11 + self.number(host)}"

    def device_ip(self, host: str, device: int) -> str:
        return f"{DEVICES_NET}.{1 + self.number(host)}.{10 + device}"

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        return cls(**json.loads(text))


def controller_ip() -> str:
    """The machine's own address towards the hosts."""
    return f"{HOSTS_NET}.1"


def namespace(device: int) -> str:
    """The network namespace of a device's port, inside its host."""
    return f"npu{device}"


def switch_port_of_host(host: str) -> str:
    """The switch's name of the port that a host's eth0 is plugged into."""
    return f"{host.removeprefix('lab-')}-eth0"


def switch_port(host: str, device: int) -> str:
    """The switch's name of the port that a device is plugged into."""
    return f"{host.removeprefix('lab-')}-npu{device}"
