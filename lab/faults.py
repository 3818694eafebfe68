# SPDX-License-Identifier: Apache-2.0
"""Real faults: what each breaks, where, and how it is mended again. One at a time keeps a verdict readable."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from hakuna.inventory.model import GUIDE_IMAGE
from lab import host, image
from lab.build import Lab
from lab.engine import dockerd
from lab.machine import LabError, run, wait_for
from lab.network import DEVICES_BRIDGE, ip
from lab.npu import CHIP_FILE
from lab.plan import DEVICES_MASK, FOLDER, IN_HOST, MODEL, namespace, switch_port

FAULTS = FOLDER / "faults.json"
CLOCK = "/usr/local/sbin/date"


@dataclass(frozen=True)
class Place:
    """Where a fault is: a host or a device of it (-1: the host), and for a pair the other end."""

    host: str
    device: int = -1
    peer: Place | None = None

    @classmethod
    def parse(cls, text: str, lab: Lab) -> Place:
        """Read ``HOST[/DEVICE][>HOST[/DEVICE]]``.

        Raises:
            LabError: no such place in this lab.
        """
        first, arrow, second = text.partition(">")
        name, slash, number = first.partition("/")
        lab.host(name)
        if slash and not (number.isdigit() and int(number) < lab.plan.devices):
            raise LabError(f"{name} has no device {number!r}")
        return cls(name, int(number) if slash else -1, cls.parse(second, lab) if arrow else None)

    def __str__(self) -> str:
        here = self.host if self.device < 0 else f"{self.host}/{self.device}"
        return here if self.peer is None else f"{here}>{self.peer}"


Act = Callable[[Lab, Place], None]


@dataclass(frozen=True)
class Fault:
    """``scope`` is what it belongs to: host, device, or pair (of devices, from a sender to a receiver)."""

    scope: str
    words: str
    rule: str  # what a run must report, as the single root cause, at the place
    harm: Act
    mend: Act
    bare: bool = True  # whether it can be had without a container engine


def _in(lab: Lab, place: Place, *words: str) -> str:
    return run(lab.host(place.host).inside(*words))


def _shell(lab: Lab, place: Place, text: str) -> str:
    return _in(lab, place, "sh", "-c", text)


def _port(lab: Lab, place: Place, *words: str) -> None:
    """Run a program in the network namespace of a device."""
    _in(lab, place, "ip", "netns", "exec", namespace(place.device), *words)


def _link(state: str) -> Act:
    def act(lab: Lab, place: Place) -> None:
        _port(lab, place, "ip", "link", "set", namespace(place.device), state)

    return act


def _cable(state: str) -> Act:
    """The switch's end of the wire."""

    def act(lab: Lab, place: Place) -> None:
        run(lab.switch.beside("ip", "link", "set", switch_port(place.host, place.device), state))

    return act


def _drop(lab: Lab, place: Place, match: str) -> None:
    """An nft rule at the device that throws away what comes in and matches."""
    chain = "add table inet lab; add chain inet lab in { type filter hook input priority 0; }"
    _port(lab, place, "nft", f"{chain}; add rule inet lab in {match} drop")


def _no_rules(lab: Lab, place: Place) -> None:
    _port(lab, place.peer or place, "nft", "delete table inet lab")


def _loss(lab: Lab, place: Place) -> None:
    """30 % of what comes in: netem where the kernel has it, else nft's random numbers."""
    name = namespace(place.device)
    try:
        run(
            lab.switch.beside(
                "tc", "qdisc", "add", "dev", switch_port(place.host, place.device), "root", "netem", "loss", "30%"
            )
        )
    except LabError:
        _drop(lab, place, f"iifname {name} numgen random mod 100 < 30")


def _no_loss(lab: Lab, place: Place) -> None:
    port = switch_port(place.host, place.device)
    if "netem" in run(lab.switch.beside("tc", "qdisc", "show", "dev", port)):
        run(lab.switch.beside("tc", "qdisc", "del", "dev", port, "root"))
    else:
        _no_rules(lab, place)


def _one_way(lab: Lab, place: Place) -> None:
    if place.peer is None:
        raise LabError("a direction has two ends: HOST/DEVICE>HOST/DEVICE")
    _drop(lab, place.peer, f"ip saddr {lab.plan.device_ip(place.host, place.device)} icmp type echo-request")


def _address(choose: Callable[[Lab, Place], str]) -> Act:
    def act(lab: Lab, place: Place) -> None:
        name = namespace(place.device)
        _port(lab, place, "ip", "addr", "flush", "dev", name, "scope", "global")
        _port(lab, place, "ip", "addr", "add", choose(lab, place), "dev", name)
        # The neighbours forget the old owner's hardware address, as a switch-over of a real port makes them.
        for other in lab.hosts:
            for device in range(lab.plan.devices):
                _port(lab, Place(other, device), "ip", "neigh", "flush", "all")
        host.put(lab.host(place.host), "/etc/hccn.conf", _live_conf(lab, place).encode())

    return act


def _live_conf(lab: Lab, place: Place) -> str:
    """/etc/hccn.conf that agrees with what the devices have now, so that the one fault stays one."""
    rows = []
    for device in range(lab.plan.devices):
        name = namespace(device)
        found = json.loads(_in(lab, place, "ip", "-n", name, "-j", "-4", "addr", "show", "dev", name))
        rows += [f"address_{device}={a['local']}\n" for row in found for a in row["addr_info"]]
    return "".join(rows)


def _own(lab: Lab, place: Place) -> str:
    return f"{lab.plan.device_ip(place.host, place.device)}/{DEVICES_MASK}"


def _first(lab: Lab, place: Place) -> str:
    del place
    return f"{lab.plan.device_ip(lab.plan.hosts[0], 0)}/{DEVICES_MASK}"


def _narrow(lab: Lab, place: Place) -> str:
    return f"{lab.plan.device_ip(place.host, place.device)}/24"


def _other_vlan(lab: Lab, place: Place) -> None:
    """A switch's VLANs are broadcast domains of their own: the port moves to a bridge of its own."""
    port = switch_port(place.host, place.device)
    ip(lab.switch.beside("ip"), ["link add vlan20 type bridge", "link set vlan20 up", f"link set {port} master vlan20"])


def _own_vlan(lab: Lab, place: Place) -> None:
    port = switch_port(place.host, place.device)
    ip(lab.switch.beside("ip"), [f"link set {port} master {DEVICES_BRIDGE}", "link del vlan20"])


def _tls(switch: int) -> Act:
    def act(lab: Lab, place: Place) -> None:
        content = json.dumps({"tls": {str(place.device): switch}}).encode()
        host.put(lab.host(place.host), str(CHIP_FILE), content)

    return act


def _stale(lab: Lab, place: Place) -> None:
    text = host.hccn_conf(lab.plan, place.host)
    address = lab.plan.device_ip(place.host, place.device)
    stale = text.replace(f"={address}\n", f"={address[: address.rindex('.')]}.{200 + place.device}\n")
    host.put(lab.host(place.host), "/etc/hccn.conf", stale.encode())


def _fresh(lab: Lab, place: Place) -> None:
    host.put(lab.host(place.host), "/etc/hccn.conf", host.hccn_conf(lab.plan, place.host).encode())


def _sshd_down(lab: Lab, place: Place) -> None:
    host.stop_sshd(lab.host(place.host))


def _sshd_up(lab: Lab, place: Place) -> None:
    host.start_sshd(lab.host(place.host))


def _new_key(lab: Lab, place: Place) -> None:
    _sshd_down(lab, place)
    _shell(lab, place, f"rm -f {IN_HOST}/host_key && ssh-keygen -q -t ed25519 -N '' -f {IN_HOST}/host_key")
    _sshd_up(lab, place)


def _old_key(lab: Lab, place: Place) -> None:
    _sshd_down(lab, place)
    host.put(lab.host(place.host), f"{IN_HOST}/host_key", (FOLDER / "hosts" / place.host / "host_key").read_bytes())
    _shell(lab, place, f"chmod 600 {IN_HOST}/host_key")
    _sshd_up(lab, place)


def _freeze(signal: str) -> Act:
    def act(lab: Lab, place: Place) -> None:
        _shell(lab, place, f"kill -s {signal} $(cat /run/sshd.pid)")

    return act


def _late(lab: Lab, place: Place) -> None:
    """One kernel has one clock: the host's ``date`` is what goes wrong."""
    host.put(lab.host(place.host), CLOCK, b'#!/bin/sh\nexec /bin/date -d "30 seconds ago" "$@"\n')
    _shell(lab, place, f"chmod 755 {CLOCK} && ln -sf {CLOCK} /usr/local/bin/date")


def _on_time(lab: Lab, place: Place) -> None:
    _shell(lab, place, f"rm -f {CLOCK} /usr/local/bin/date")


def _take_port(lab: Lab, place: Place) -> None:
    init = lab.host(place.host)
    program = "import socket, signal; s = socket.create_server(('', 6379)); signal.pause()"
    script = 'echo $$ >/run/squatter.pid; exec /usr/bin/python3 -c "$1"'
    host.spawn(init, ["sh", "-c", script, "squat", program], "/var/log/squatter.log")
    wait_for(lambda: "LISTEN" in run(init.inside("ss", "-Hltn", "sport = :6379")), "the squatter")


def _free_port(lab: Lab, place: Place) -> None:
    _shell(lab, place, "kill $(cat /run/squatter.pid)")


def _silence(lab: Lab, place: Place) -> None:
    """The host's firewall throws away what the first other host sends to the ports of Ray, server and HCCL."""
    other = next(h for h in lab.plan.hosts if h != place.host)
    rule = f"ip saddr {lab.plan.host_ip(other)} tcp dport {{ 6379, 23333, 60000-60031 }} drop"
    chain = "add table inet lab; add chain inet lab in { type filter hook input priority 0; }"
    _in(lab, place, "nft", f"{chain}; add rule inet lab in {rule}")


def _hear(lab: Lab, place: Place) -> None:
    _in(lab, place, "nft", "delete table inet lab")


def _file(do: str) -> Act:
    def act(lab: Lab, place: Place) -> None:
        _shell(lab, place, do)

    return act


def _engine(lab: Lab, place: Place, text: str) -> None:
    _shell(lab, place, f"e={lab.plan.engine}; {text}")


def _other_image(lab: Lab, place: Place) -> None:
    """The same tag, pulled on another day: another image by that name."""
    made = f"c=$($e create {GUIDE_IMAGE} true) && $e commit -c 'LABEL day=another' $c {GUIDE_IMAGE} && $e rm $c"
    _engine(lab, place, made)


def _own_image(lab: Lab, place: Place) -> None:
    archive = image.path(twin=bool(lab.plan.lmdeploy))
    _engine(lab, place, f"$e rmi -f {GUIDE_IMAGE} && $e load -q -i {archive}")


def _no_daemon(lab: Lab, place: Place) -> None:
    _shell(lab, place, "kill $(cat /run/docker.pid) && while [ -e /run/docker.pid ]; do sleep 0.1; done")


def _daemon(lab: Lab, place: Place) -> None:
    dockerd(place.host, lab.host(place.host))


_CONFIG = shlex.quote(f"{MODEL}/config.json")
CATALOGUE = {
    "link-down": Fault("device", "the device's port is down", "NET207", _link("down"), _link("up")),
    "cable-out": Fault("device", "the switch's end of the wire is down", "NET207", _cable("down"), _cable("up")),
    "loss": Fault("device", "30 % of what it is sent is lost", "NET221", _loss, _no_loss),
    "one-way": Fault("pair", "requests of one device never reach another", "NET220", _one_way, _no_rules),
    "duplicate-ip": Fault("device", "it has the first device's address", "NET202", _address(_first), _address(_own)),
    "wrong-netmask": Fault("device", "its netmask is too narrow", "NET206", _address(_narrow), _address(_own)),
    "vlan": Fault("device", "the switch has its port in another VLAN", "NET220", _other_vlan, _own_vlan),
    "tls-differs": Fault("device", "its TLS switch is on", "NET204", _tls(1), _tls(0)),
    "stale-hccn-conf": Fault("device", "/etc/hccn.conf has another address", "NET205", _stale, _fresh),
    "sshd-down": Fault("host", "nobody listens on port 22", "HST101", _sshd_down, _sshd_up),
    "host-key": Fault("host", "another host key than known_hosts has", "HST102", _new_key, _old_key),
    "sshd-frozen": Fault("host", "sshd is stopped in its tracks", "HST101", _freeze("STOP"), _freeze("CONT")),
    "clock-skew": Fault("host", "its clock is 30 s late", "HST118", _late, _on_time),
    "port-taken": Fault("host", "somebody listens on 6379", "HST107", _take_port, _free_port),
    "tcp-silent": Fault("host", "its firewall drops the first other host's TCP", "HST126", _silence, _hear),
    "model-missing": Fault(
        "host", "no config.json", "HST122", _file(f"mv {_CONFIG} {_CONFIG}.off"), _file(f"mv {_CONFIG}.off {_CONFIG}")
    ),
    "image-differs": Fault("host", "another image has the tag", "HST121", _other_image, _own_image, bare=False),
    "docker-down": Fault("host", "its dockerd has ended", "HST120", _no_daemon, _daemon, bare=False),
}


def active() -> list[tuple[str, str]]:
    """The faults that are in now: name and place."""
    return [tuple(f) for f in json.loads(FAULTS.read_text(encoding="utf-8"))] if FAULTS.exists() else []


def _remember(faults: list[tuple[str, str]]) -> None:
    FAULTS.write_text(json.dumps(faults), encoding="utf-8")


def put_in(lab: Lab, name: str, text: str = "") -> Place:
    """Break one thing; without a place, at the last host (device 1, or from the first host's device 0 to it).

    Raises:
        LabError: no such fault or place, or it is in already.
    """
    if name not in CATALOGUE:
        raise LabError(f"no fault {name!r}; there are {', '.join(CATALOGUE)}")
    fault = CATALOGUE[name]
    place = Place.parse(text or default_place(fault, lab), lab)
    if (place.device < 0) is not (fault.scope == "host") or (place.peer is None) is (fault.scope == "pair"):
        raise LabError(f"{name} is at a {fault.scope}, not at {place}")
    if (name, str(place)) in active():
        raise LabError(f"{name} is at {place} already")
    _remember([*active(), (name, str(place))])
    try:
        fault.harm(lab, place)
    except LabError:
        _remember(active()[:-1])
        raise
    return place


def default_place(fault: Fault, lab: Lab) -> str:
    last = lab.plan.hosts[-1]
    device = min(1, lab.plan.devices - 1)
    return {"host": last, "device": f"{last}/{device}", "pair": f"{lab.plan.hosts[0]}/0>{last}/{device}"}[fault.scope]


def mend(lab: Lab) -> list[str]:
    """Take every fault out again, the last one first; what was mended."""
    told = []
    for name, text in reversed(active()):
        CATALOGUE[name].mend(lab, Place.parse(text, lab))
        told.append(f"{name}@{text}")
        _remember(active()[:-1])
    return told
