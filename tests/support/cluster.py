# SPDX-License-Identifier: Apache-2.0
"""A cluster of two machines that are real to ssh: each is an sshd whose logins find the simulator's tools on PATH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from hakuna.inventory import load
from hakuna.simulator import processes
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.faults import parse_faults
from hakuna.simulator.lmdeploy_launch import LITERAL_PORTS
from hakuna.simulator.service import SimulatorService
from hakuna.simulator.shim import install_shims
from hakuna.simulator.state import SECTIONS, ClusterState
from support.sessions import Session, environment, pytest_session
from support.shells import program
from support.sshd import Sshd, free_port, keygen

NODES = ("node-a", "node-b")
#: Calls that change nothing, by their first words; of hccn_tool those that get.
READING = (
    *(("cat",), ("date",), ("df",), ("find",), ("sha256sum",), ("ss",), ("tail",), ("uname",)),
    *(("ip", "-j", "addr", "show"), ("npu-smi", "info"), ("hccn_tool", "-i")),
    *(("docker", "version"), ("docker", "image", "inspect"), ("docker", "ps"), ("docker", "inspect")),
    *(("hakuna-hostname",), ("hakuna-which",), ("hakuna-cann",), ("hakuna-tcp",), ("hakuna-procs",)),
    *(("hakuna-alive",), ("hakuna-logs",), ("hakuna-lease", "show"), ("hakuna-pings",)),
)


def only_reads(argv: tuple[str, ...]) -> bool:
    """Whether a call that a node got leaves it as it is."""
    words = argv[3:] if argv[:2] == ("sh", "-c") else argv
    return any(words[: len(known)] == known for known in READING) and (words[0] != "hccn_tool" or "-g" in words)


class Cluster:
    """Its own folder holds everything: keys, sshds, the inventory, the reports and the home of who runs it."""

    def __init__(
        self, folder: Path, faults: Sequence[str] = (), *, devices: int = 8, server: Mapping[str, Any] | None = None
    ) -> None:
        folder.mkdir()
        self.devices = devices
        self.folder = folder
        self.reports = folder / "reports"
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        # A unix socket's path has to be short.
        self._short = Path(tempfile.mkdtemp(prefix="hk-"))
        key = keygen(folder / "key")
        self.sshds = {
            name: Sshd(
                folder / name,
                user_key=key,
                environment={"PATH": f"{self._short / name}:/usr/local/bin:/usr/bin:/bin"},
            )
            for name in NODES
        }
        self.port = free_port()
        #: Real scripts write the server's log on the machine itself.
        self.log = folder / "log" / "api_server.log"
        self.inventory = folder / "lab.yaml"
        self.inventory.write_text(json.dumps(self._document(server or {})), encoding="utf-8")  # JSON is YAML
        self.state = ClusterState(folder / "state.json")
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self._services = self._make_services(faults)
        # The port of the inventory is the one that is really listened on.
        self._ports = mock.patch.dict(os.environ, {LITERAL_PORTS: "1"})

    def _document(self, server: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "cluster": "lab",
            "nodes": [
                {
                    "name": name,
                    "address": "127.0.0.1",
                    "node_ip": f"192.0.2.{11 + i}",
                    "device_ids": list(range(self.devices)),
                    "ssh": self.sshds[name].ssh(),
                }
                for i, name in enumerate(NODES)
            ],
            "container": {"engine": "docker"},
            "ray": {"join_timeout": 30},
            "server": {"port": self.port, "http": "tunnel", "log": str(self.log), **server},
            "thresholds": {"time_to_ready": 60},
        }

    def _make_services(self, faults: Sequence[str]) -> list[SimulatorService]:
        # Not the run's own view of it: the node needs no key to answer, and its environment holds none.
        document = self._document({})
        path = self.folder / "simulated.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        inventory = load(path).inventory
        spec = ClusterSpec(inventory, parse_faults(list(faults), inventory))
        made = []
        for name in NODES:
            socket = self._short / f"{name}.s"
            install_shims(self._short / name, socket)
            # As on a machine where this user has no right to it: it is used only where the inventory says so.
            program(self._short / name / "sudo", "echo 'sudo: a password is required' >&2; exit 1")
            # A state object each: as two machines' services would, they share the file only.
            service = SimulatorService(spec, ClusterState(self.state.path), name, socket)
            service.node.execute = self._heard(name, service.node.execute)
            made.append(service)
        return made

    def _heard(self, name: str, execute: Any) -> Any:
        def hear(argv: tuple[str, ...], *rest: Any, **more: Any) -> Any:
            self.calls.append((name, argv))
            return execute(argv, *rest, **more)

        return hear

    def start(self) -> None:
        self._ports.start()
        for service in self._services:
            service.start()
        for sshd in self.sshds.values():
            sshd.start()

    def stop(self) -> None:
        """End it all, also the processes of a service that a test left up."""
        for sshd in self.sshds.values():
            sshd.stop()
        with self.state.transaction() as data:
            for process in [p for node in NODES for p in processes.of_node(data, node)]:
                processes.end(data, process["node"], process["pid"])
        for service in self._services:
            service.stop()
        self._ports.stop()
        shutil.rmtree(self._short)

    @property
    def left(self) -> dict[str, Any]:
        """What is up on the machines: everything that a run may leave but files of the tools' own."""
        data = self.state.read()
        found: dict[str, Any] = {
            name: {node: held for node, held in data[name].items() if held} for name in SECTIONS if name != "files"
        }
        found["files"] = {
            node: [path for scope in held.values() for path in scope] for node, held in data["files"].items()
        }
        found["log"] = self.log.exists()
        return {name: held for name, held in found.items() if (any(held.values()) if isinstance(held, dict) else held)}

    def environment(self, **more: str) -> dict[str, str]:
        """What a session of this cluster's operator runs in: no agent, and a home without keys."""
        return {"HOME": str(self.home), "SSH_AUTH_SOCK": "", **more}

    def run(self, *arguments: str, **more: str) -> Session:
        """One session of pytest, as the operator types it; ``more`` is in its environment."""
        return pytest_session(self.reports, f"--inventory={self.inventory}", *arguments, env=self.environment(**more))

    def hakuna(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """One call of the ``hakuna`` command on this cluster's inventory."""
        program = "import sys; from hakuna.cli import main; sys.exit(main())"
        return subprocess.run(
            [sys.executable, "-c", program, *arguments, f"--inventory={self.inventory}"],
            env=environment(**self.environment(**more)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
