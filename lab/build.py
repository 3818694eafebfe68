# SPDX-License-Identifier: Apache-2.0
"""Puts a lab up and takes it down again, whatever state it is in."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import engine, host, inventory, needs, network
from lab.machine import LabError, Process, marked, run, wait_for
from lab.plan import CGROUP, FOLDER, INVENTORY, MARK, UPLINK, Plan

STATE = FOLDER / "state.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Lab:
    """A lab that is up: its plan, and the processes that hold its namespaces."""

    plan: Plan
    switch: Process
    hosts: dict[str, Process]

    @property
    def alive(self) -> bool:
        return self.switch.alive and all(p.alive for p in self.hosts.values())

    def host(self, name: str) -> Process:
        """The host's process 1.

        Raises:
            LabError: the lab has no such host.
        """
        if name not in self.hosts:
            raise LabError(f"the lab has no host {name!r}; it has {', '.join(self.hosts)}")
        return self.hosts[name]


def find() -> Lab | None:
    """The lab that is up, or None; one that is half up counts as none."""
    try:
        data = json.loads(STATE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    hosts = {name: Process(*p) for name, p in data["hosts"].items()}
    lab = Lab(Plan(**data["plan"]), Process(*data["switch"]), hosts)
    return lab if lab.alive and set(hosts) == set(lab.plan.hosts) else None


def up(plan: Plan, say: Say) -> Lab:
    """Build the lab, unless this very one is up already. What fails half way is taken down again.

    Raises:
        LabError: it cannot be built; the text says why.
    """
    there = find()
    if there is not None and there.plan == plan:
        say("the lab is up already")
        return there
    needs.require_root()
    needs.install(plan, say)
    down(say)
    try:
        return _build(plan, say)
    except BaseException:  # Ctrl-C too: half a lab is never left; it goes on being raised
        down(say)
        raise


def _build(plan: Plan, say: Say) -> Lab:
    begun = time.monotonic()
    if not plan.bare:
        engine.prepare(plan, say)
    FOLDER.mkdir(parents=True)
    _keys(plan)
    inventory.write(plan)
    switch = network.start_switch()
    hosts: dict[str, Process] = {}
    for name in plan.hosts:
        hosts[name] = host.start(plan, name)
        network.plug_in(plan, name, hosts[name], switch)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda name: daemons(plan, name, hosts[name]), hosts))
    lab = Lab(plan, switch, hosts)
    remember(lab)
    say(f"{plan.nodes} hosts x {plan.devices} devices in {time.monotonic() - begun:.1f} s")
    say(f"try: pytest --inventory={os.path.relpath(INVENTORY)} --preflight")
    return lab


def remember(lab: Lab) -> None:
    """Write down which processes hold the lab."""
    state = {
        "plan": json.loads(lab.plan.as_json()),
        "switch": [lab.switch.pid, lab.switch.start],
        "hosts": {name: [p.pid, p.start] for name, p in lab.hosts.items()},
    }
    aside = STATE.with_suffix(".tmp")
    aside.write_text(json.dumps(state), encoding="utf-8")
    aside.replace(STATE)


def daemons(plan: Plan, name: str, init: Process) -> None:
    """Furnish a host that has just booted, and start what runs on it."""
    host.furnish(plan, name, init)
    host.start_sshd(init)
    host.start_chips(name, init)
    if not plan.bare:
        engine.start(plan, name, init)


def _keys(plan: Plan) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hakuna-lab", "-f", str(FOLDER / "key")])
    known = []
    for name in plan.hosts:
        folder = FOLDER / "hosts" / name
        folder.mkdir(parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / "host_key")])
        known.append(
            f"{plan.host_ip(name)} {(folder / 'host_key.pub').read_text(encoding='ascii').rsplit(' ', 1)[0]}\n"
        )
    (FOLDER / "known_hosts").write_text("".join(known), encoding="ascii")


def down(say: Say) -> None:
    """Take down whatever there is of a lab; nothing of it is left after.

    Raises:
        LabError: something could not be removed.
    """
    pids = sorted(marked(MARK))
    if not pids and not FOLDER.exists() and not INVENTORY.exists():
        return
    needs.require_root()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            Process.of(pid).kill()
    wait_for(lambda: not Path("/sys/class/net", UPLINK).exists(), "the uplink to go")
    for folder in sorted(Path("/sys/fs/cgroup").glob(f"**/{CGROUP}"), reverse=True):
        _remove_cgroup(folder)
    shutil.rmtree(FOLDER, ignore_errors=False) if FOLDER.exists() else None
    INVENTORY.unlink(missing_ok=True)
    say("the lab is down")


def _remove_cgroup(folder: Path) -> None:
    """Remove a group and those below it; they are empty as soon as the kernel has buried their processes."""

    def gone() -> bool:
        for below in sorted((p for p in folder.glob("**/") if p.is_dir()), key=lambda p: -len(p.parts)):
            with contextlib.suppress(OSError):  # busy yet: tried again
                below.rmdir()
        return not folder.exists()

    wait_for(gone, f"the control group {folder} to empty")
