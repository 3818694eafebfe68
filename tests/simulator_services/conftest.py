# SPDX-License-Identifier: Apache-2.0
"""A simulated cluster without containers, and helpers that wait on conditions instead of sleeping."""

from __future__ import annotations

import json
import socket
import time

import pytest
import requests

from hakuna.inventory.model import Inventory
from hakuna.simulator import processes
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.faults import parse_faults
from hakuna.simulator.node import SimNode
from hakuna.simulator.state import ClusterState

ENV = {
    "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES": "1",
    "GLOO_SOCKET_IFNAME": "eth0",
    "HAKUNA_RUN": "run-1",
    "SPT_NOENV": "1",
}
TABLE = "/tmp/hakuna/rank_table.json"
SERVE = (
    "lmdeploy", "serve", "api_server", "/models/model", "--backend", "pytorch", "--device", "ascend",
    "--eager-mode", "--tp", "16",
)  # fmt: skip
LOG = "/tmp/hakuna/api_server.log"


class Cluster:
    """A simulated cluster whose state lies in a file of the test."""

    serve_words = SERVE

    def __init__(self, path, *, faults=(), nodes=2, engine="none", **simulation):
        document = {
            "transport": "simulated",
            "nodes": [
                {"name": f"node-{i}", "address": f"10.0.0.{i + 1}", "node_ip": f"10.0.0.{i + 1}"} for i in range(nodes)
            ],
            "container": {"engine": engine},
            "simulation": {"load_seconds": 0.05, **simulation},
        }
        self.inventory = Inventory.model_validate(document)
        self.state = ClusterState(path)
        self.spec = ClusterSpec(self.inventory, parse_faults(faults, self.inventory))
        self.nodes = [SimNode(self.spec, self.state, n.name) for n in self.inventory.nodes]
        self.head, *self.workers = self.nodes

    def run(self, *argv, node=None, env=None, **more):
        return (node or self.head).execute(argv, ENV if env is None else env, **more)

    def text(self, *argv, **more):
        result = self.run(*argv, **more)
        return (result.stdout + result.stderr).decode()

    def start_ray(self):
        head = self.run("ray", "start", "--head", "--port=6379", "--node-ip-address=10.0.0.1")
        joins = [
            self.run("ray", "start", "--address=10.0.0.1:6379", f"--node-ip-address={n.model.node_ip}", node=n)
            for n in self.workers
        ]
        return [head, *joins]

    def write_table(self, **changes):
        servers = [
            {
                "server_id": n.model.node_ip,
                "device": [{"device_id": str(d), "rank_id": str(8 * i + d)} for d in range(8)],
            }
            for i, n in enumerate(self.nodes)
        ]
        table = {"status": "completed", "version": "1.0", "server_count": str(len(servers)), "server_list": servers}
        self.head.write(TABLE, json.dumps({**table, **changes}).encode())
        return {**ENV, "ASCEND_RANK_TABLE_FILE_PATH": TABLE}

    def serve(self, *more, env=None, argv=SERVE, **options):
        """Start the server left behind; gives its pid."""
        result = self.run(*argv, *more, env=env or self.write_table(), spawn_log=LOG, **options)
        return int(result.stdout)

    @staticmethod
    def until(condition, seconds=10.0):
        """What ``condition`` gives when it gives something true."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.01)
        return found

    def ask(self, path="/health", **more):
        """Ask the server when it listens."""

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port())) == 0

        self.until(listens)
        url = f"http://127.0.0.1:{self.port()}{path}"
        return requests.request(more.pop("method", "GET"), url, timeout=5, **more)

    def log(self):
        return (self.head.file(LOG) or b"").decode()

    def port(self):
        return self.state.read()["listeners"].get("node-0", {}).get("23333")

    def processes(self, node="node-0", kind=""):
        return [p for p in processes.of_node(self.state.read(), node) if not kind or p["kind"] == kind]

    def close(self):
        with self.state.transaction() as data:
            for node in list(data["processes"]):
                for process in processes.of_node(data, node):
                    processes.end(data, node, process["pid"])


@pytest.fixture
def cluster(tmp_path):
    """Makes clusters; what they start ends with the test."""
    made = []

    def make(**options):
        made.append(Cluster(tmp_path / f"state-{len(made)}.json", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
