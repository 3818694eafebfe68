# SPDX-License-Identifier: Apache-2.0
"""What befalls a host in the middle of a run. Unlike the faults, which are there before one begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab import build, engine, host, network
from lab.build import Lab
from lab.machine import run, wait_for
from lab.plan import switch_port_of_host

Act = Callable[[Lab, str], None]
#: Where a host has its files: two file systems in memory, which a real one would have on one disk.
DISKS = ("/tmp", "/var/lib/docker")  # noqa: S108  # the host's own
#: Every sshd of a host but the one that listens: those that serve the sessions.
_SESSIONS = (
    'main=$(cat /run/sshd.pid); for p in $(grep -ls "^Name:.sshd" /proc/[0-9]*/status | cut -d/ -f3); do '
    'if [ "$p" != "$main" ]; then kill -s "$1" "$p"; fi; done; true'
)


@dataclass(frozen=True)
class Disaster:
    """``mend`` makes the host whole again; what mends itself has none."""

    words: str
    strike: Act
    mend: Act | None = None


def _shell(lab: Lab, name: str, text: str, *words: str) -> str:
    return run(lab.host(name).inside("sh", "-c", text, "disaster", *words))


def _reboot(lab: Lab, name: str) -> None:
    """Process 1 is killed, and with it everything in the host; another one boots, with another boot id."""
    mac = run(lab.host(name).inside("cat", "/sys/class/net/eth0/address")).strip()
    lab.host(name).kill()
    again = host.start(lab.plan, name)
    network.plug_in(lab.plan, name, again, lab.switch)
    run(again.inside("ip", "link", "set", "eth0", "address", mac))  # its network card is still the same one
    build.remember(Lab(lab.plan, lab.switch, {**lab.hosts, name: again}))
    build.daemons(lab.plan, name, again)


def _engine_dies(lab: Lab, name: str) -> None:
    _shell(lab, name, "kill -9 $(cat /run/docker.pid)")


def _engine_again(lab: Lab, name: str) -> None:
    _shell(lab, name, "rm -f /run/docker.pid /run/docker.sock")
    engine.dockerd(name, lab.host(name))


def _fill(lab: Lab, name: str) -> None:
    """The disk has grown no smaller: it is as large as what is on it, to the page."""
    for folder in DISKS:
        used = _shell(lab, name, 'df -P -k "$1" | tail -n 1 | awk "{print \\$3}"', folder).strip()
        _shell(lab, name, 'mount -o "remount,size=$2k" "$1"', folder, used)


def _room(lab: Lab, name: str) -> None:
    for folder in DISKS:
        _shell(lab, name, 'mount -o remount,size=16g "$1"', folder)


def _cut(lab: Lab, name: str) -> None:
    _shell(lab, name, _SESSIONS, "KILL")


def _hang(signal: str) -> Act:
    def act(lab: Lab, name: str) -> None:
        _shell(lab, name, 'kill -s "$1" $(cat /run/sshd.pid)', signal)
        _shell(lab, name, _SESSIONS, signal)

    return act


def _server_dies(lab: Lab, name: str) -> None:
    """As soon as it is there: it may only just have been started."""
    find = "for p in $(grep -lsa api_server /proc/[0-9]*/cmdline | cut -d/ -f3); do readlink /proc/$p/exe; done; true"
    wait_for(lambda: "python" in _shell(lab, name, find), "the api_server")
    kill = (
        "for p in $(grep -lsa api_server /proc/[0-9]*/cmdline | cut -d/ -f3); do case $(readlink /proc/$p/exe) in "
        "*python*) kill -9 $p;; esac; done; true"
    )
    _shell(lab, name, kill)


def _cable(state: str) -> Act:
    def act(lab: Lab, name: str) -> None:
        run(lab.switch.beside("ip", "link", "set", switch_port_of_host(name), state))

    return act


CATALOGUE = {
    "reboot": Disaster("the host starts anew, and nothing that ran or lay on it is left", _reboot),
    "engine-dies": Disaster("dockerd is killed", _engine_dies, _engine_again),
    "disk-full": Disaster("there is no room left in /tmp and for the containers", _fill, _room),
    "ssh-cut": Disaster("every ssh session is killed; new ones are let in", _cut),
    "hang": Disaster("every sshd is stopped in its tracks", _hang("STOP"), _hang("CONT")),
    "server-dies": Disaster("the api_server on it is killed while it loads", _server_dies),
    "network-gone": Disaster("the switch's end of the host's wire is down", _cable("down"), _cable("up")),
}


def strike(name: str, place: str) -> None:
    """Let it happen to a host of the lab that is up; read anew, as an earlier one may have given it another process 1.

    Raises:
        LabError: no such disaster or host, or no lab is up.
    """
    _do(CATALOGUE[name].strike, place)


def mend(name: str, place: str) -> None:
    """Make the host whole again after it.

    Raises:
        LabError: as :func:`strike`.
    """
    act = CATALOGUE[name].mend
    if act is not None:
        _do(act, place)


def _do(act: Act, place: str) -> None:
    lab = build.find()
    if lab is None:
        raise build.LabError("no lab is up")
    act(lab, place)
    wait_for(lambda: build.find() is not None, "the lab to be whole")
