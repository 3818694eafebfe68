# SPDX-License-Identifier: Apache-2.0
"""The simulated Python programs: versions, Ray's nodes, the collective, and ``pipeline``."""

from __future__ import annotations

import json

from hakuna.simulator import lmdeploy_server_text as text
from hakuna.simulator.cluster import ClusterSpec
from hakuna.simulator.lmdeploy import make_plan
from hakuna.simulator.lmdeploy_server_release import Release
from hakuna.simulator.lmdeploy_story import tell
from hakuna.simulator.ray import PYTHON
from hakuna.simulator.ray_cluster import NOT_RUNNING, RayCluster, cluster_at, local
from hakuna.simulator.tools import Call, Result, Tool, program, say

#: An all-reduce over RoCE: seconds that any round takes, and the bandwidth that long ones reach in Gbit/s.
LATENCY = 6e-5
BANDWIDTH = 152.0
_FLOAT = 4
_RIGHT: dict[str, object] = {"wrong_ranks": [], "lost_ranks": []}
LIBRARY = "torch 2.8.0, torch_npu 2.8.0"
_TRANSFORMERS = {11: "4.56.2", 12: "4.57.3", 13: "4.57.6"}
_DLINFER = {11: "0.2.6", 12: "0.2.7", 13: "0.2.7"}


#: What a rank says that waits for another one (sample ei0006_link_error_info_tls).
HCCL_ERROR = (
    "RuntimeError: [ERROR] HCCL error: EI0006: Getting socket times out. Reason: 1. The remote does not initiate a "
    "connect request. 2. The local device cannot be connected."
)
#: And what the one says whose device another process holds (sample ej0001_hccp_exists).
HCCP_ERROR = (
    "RuntimeError: EJ0001: Failed to initialize the HCCP process. Reason: Maybe the last training process is running."
)


def _json(answer: object) -> Result:
    failed = isinstance(answer, dict) and "error" in answer
    return say("\n" + json.dumps(answer) + "\n", exit_code=1 if failed else 0)


@program("hakuna-versions")
class Versions(Tool):
    def run(self, call: Call) -> Result:
        simulation = call.node.inventory.simulation
        minor = Release(simulation.lmdeploy_version).number[1]
        packages = {
            "lmdeploy": simulation.lmdeploy_version,
            "ray": simulation.ray_version,
            "torch": "2.8.0",
            "torch-npu": "2.8.0",
            "dlinfer-ascend": _DLINFER.get(minor, "0.2.8"),
            "transformers": _TRANSFORMERS.get(minor, "4.57.6"),
        }
        spec, name = call.node.spec, call.node.name
        if spec.has("ray-differs", name):
            packages["ray"] = "2.9.3"
        if spec.has("lmdeploy-too-old"):
            packages["lmdeploy"] = "0.7.3"
        if spec.has("lmdeploy-not-there"):
            return _json({"python": PYTHON, "packages": {**packages, "lmdeploy": None}})
        return _json({"python": "3.10.14" if spec.has("python-differs", name) else PYTHON, "packages": packages})


def find_cluster(call: Call) -> RayCluster | str:
    """The cluster that ``ray.init(address="auto")`` joins here, or the words of its error."""
    data = call.node.state.read()
    address = local(call, data)
    if not address:
        return f"ConnectionError: {NOT_RUNNING}"
    found = cluster_at(call, data, address)
    if found is None:
        return (
            f"RuntimeError: Failed to connect to GCS at address {address} within 5 seconds. Check that (1) Ray GCS "
            "with matching version started successfully at the specified address, and (2) there is no firewall setting "
            "preventing access."
        )
    return found


@program("hakuna-ray-nodes")
class RayNodes(Tool):
    def run(self, call: Call) -> Result:
        cluster = find_cluster(call)
        if isinstance(cluster, str):
            return _json({"error": cluster})
        nodes = [
            {"id": m.id, "alive": True, "address": m.address, "hostname": m.hostname, "resources": dict(m.resources)}
            for m in cluster.members
        ]
        if call.node.spec.has("stray-member"):
            stray = {"id": "f" * 56, "alive": True, "address": "198.51.100.9", "hostname": "stray", "resources": {}}
            nodes.append(stray)
        ray = call.node.inventory.simulation.ray_version
        return _json({"ray": ray, "python": PYTHON, "gcs": cluster.address, "nodes": nodes})


@program("hakuna-collective")
class Collective(Tool):
    """One all-reduce per size over all NPUs that the cluster has; every sum is right."""

    def run(self, call: Call) -> Result:
        cluster = find_cluster(call)
        if isinstance(cluster, str):
            return _json({"error": cluster})
        members = sorted(cluster.members, key=lambda m: (m.node != call.node.name, m.address))
        ranks: list[dict[str, object]] = []
        for member in members:
            ids = call.node.spec.present_devices(member.node)
            for index in range(member.npus):
                device = ids[index] if index < len(ids) else index
                ranks.append({"rank": len(ranks), "node_ip": member.address, "device": device})
        if not ranks:
            return _json({"error": "RuntimeError: the Ray cluster offers no NPU"})
        if cluster.free_npus < len(ranks):
            return _json({"error": "GetTimeoutError: Get timed out: some object(s) not ready."})
        if call.node.spec.has("collective-hangs"):
            return _json({"error": HCCL_ERROR})
        answer = {"backend": "hccl", "library": LIBRARY, "world_size": len(ranks), "ranks": ranks, "rounds": []}
        for rank in ranks:
            place = call.node.spec.node_of_ip(str(rank["node_ip"])) or ""
            if call.node.spec.has("collective-rank-fails", place, int(str(rank["device"]))):
                told = f"joining over hccl: rank {rank['rank']} failed first: {HCCP_ERROR}"
                return _json({**answer, "error": told, "failed_rank": rank["rank"]})
        rounds = _spoilt(call.node.spec, ranks, [_round(int(word)) for word in call.argv[1:]])
        return _json({**answer, "rounds": rounds})


def _spoilt(
    spec: ClusterSpec, ranks: list[dict[str, object]], rounds: list[dict[str, object]]
) -> list[dict[str, object]]:
    """The rounds as the faults leave them; a rank that is on another's device is moved in place."""
    wrong: list[object] = []
    for rank in ranks:
        place, device = spec.node_of_ip(str(rank["node_ip"])) or "", int(str(rank["device"]))
        if spec.has("ranks-share-device", place, device):
            rank["device"] = device - 1
        if rounds and (spec.has("collective-wrong-sum", place, device) or spec.has("collective-wrong-everywhere")):
            wrong.append(rank["rank"])
            rounds[-1]["wrong_ranks"] = wrong
        if rounds and spec.has("collective-rank-lost", place, device):
            rounds[-1] |= {"wrong_ranks": [r["rank"] for r in ranks], "lost_ranks": [rank["rank"]]}
    slower = 100 if spec.has("slow-collective") else 1
    return [{**r, "gbps": float(str(r["gbps"])) / slower} for r in rounds]


def _round(size: int) -> dict[str, object]:
    count = max(_FLOAT, size // _FLOAT * _FLOAT)
    bits = count * 8 / 1e9
    seconds = LATENCY + bits / BANDWIDTH
    return {"bytes": count, "seconds": round(seconds, 6), "gbps": round(bits / seconds, 4), **_RIGHT}


@program("hakuna-pipeline")
class Pipeline(Tool):
    """``hakuna-pipeline MODEL TP PROMPT [graph]``."""

    def run(self, call: Call) -> Result:
        if len(call.argv) not in (4, 5) or not call.argv[2].isdigit():
            return _json({"error": "TypeError: main() takes MODEL, TP and PROMPT"})
        model, tp, prompt = call.argv[1:4]
        with call.node.state.transaction() as data:
            plan = make_plan(call, data, model=model, tp=int(tp))
        story = tell(plan)
        if story.ending == "hang":
            return Result(0, story.text().encode(), timed_out=True)
        if story.ending == "exit":
            causes = [line for _, line in story.lines if "Error: " in line and "RPCServerDead" not in line]
            error = causes[-1] if causes else story.lines[-1][1]
            return say("\n" + json.dumps({"error": error}) + "\n", story.text(), 1)
        spec = call.node.spec
        if spec.has("pipeline-fails"):
            return _json({"error": "RuntimeError: Multi-nodes support requires ray"})
        if spec.has("wrong-pipeline-answer"):
            prompt = "another question"
        made = text.generate(
            prompt, call.node.inventory.simulation.lmdeploy_version, garbage=spec.has("garbage-generation")
        )
        answer = {
            "text": made.text,
            "seconds": round(0.02 * len(made.pieces), 4),
            "input_tokens": len(text.split_tokens(prompt)),
            "output_tokens": len(made.pieces),
            "closed": not spec.has("pipeline-never-ends"),
        }
        return say("\n" + json.dumps(answer) + "\n", story.text())


@program("hakuna-reference")
class Reference(Tool):
    """``hakuna-reference MODEL PROMPT MAX_TOKENS``: what the model says without ranks."""

    def run(self, call: Call) -> Result:
        if len(call.argv) != 4 or not call.argv[3].isdigit():  # noqa: PLR2004  # the program and its three
            return _json({"error": "TypeError: main() takes MODEL, PROMPT and MAX_TOKENS"})
        version = call.node.inventory.simulation.lmdeploy_version
        made = text.generate(call.argv[2], version, limit=int(call.argv[3])).text
        if call.node.spec.has("ranks-change-answer"):
            made = "Hakuna Matata is a place in Africa."
        return _json({door: {"text": made, "certain": len(made)} for door in ("completion", "chat")})
