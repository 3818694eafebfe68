# SPDX-License-Identifier: Apache-2.0
"""hakuna-collective BYTES...: an all-reduce over all NPUs of the Ray cluster, checked element by element.

Every NPU that Ray offers gets one actor, which is one rank. Backends, the first that every rank has: hccl (torch with
torch_npu), gloo (torch), ray-numpy (a ring whose pieces travel through Ray's object store). ``gbps`` is the tensor's
size over the slowest rank's time, in Gbit/s.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import time
from datetime import timedelta
from typing import Any

ORDER = ("ray-numpy", "gloo", "hccl")
LIMIT = 300.0  # seconds for one call to all ranks
CYCLE = 97  # rank r adds (i % CYCLE) + r to element i: exact in float32, and different from rank to rank


class Rank:
    """One rank of the group, in its own process on its own NPU."""

    def __init__(self, rank: int, world: int, index: int) -> None:
        self.rank, self.world, self.index = rank, world, index
        self.data: Any = None
        self.bounds: list[int] = []

    def about(self) -> dict[str, Any]:
        """The best backend here, the device's number, and a free port for the group's store."""
        visible = [v for v in os.environ.get("ASCEND_RT_VISIBLE_DEVICES", "").split(",") if v.strip().isdigit()]
        device = int(visible[self.index]) if self.index < len(visible) else self.index
        backend = "ray-numpy"
        try:
            torch = importlib.import_module("torch")
            backend = "gloo" if torch.distributed.is_available() else backend
            importlib.import_module("torch_npu")
            backend = "hccl" if torch.npu.is_available() else backend
        except ImportError:
            pass  # what was found so far is the answer
        with socket.socket() as probe:
            probe.bind(("", 0))
            return {"backend": backend, "device": device, "port": probe.getsockname()[1]}

    def join(self, backend: str, host: str, port: int) -> None:
        """Join the group of torch.distributed."""
        torch = importlib.import_module("torch")
        if backend == "hccl":
            importlib.import_module("torch_npu")
            torch.npu.set_device(self.index)
        where = "[%s]" % host if ":" in host else host  # noqa: UP031
        torch.distributed.init_process_group(
            backend,
            init_method="tcp://%s:%d" % (where, port),  # noqa: UP031
            rank=self.rank,
            world_size=self.world,
            timeout=timedelta(seconds=LIMIT),
        )

    def reduce(self, backend: str, size: int) -> tuple[float, bool]:
        """One round with torch: (seconds, right or wrong). The first, untimed one opens the connections."""
        torch = importlib.import_module("torch")
        device = "npu:%d" % self.index if backend == "hccl" else "cpu"  # noqa: UP031
        steps = torch.arange(max(1, size // 4), dtype=torch.int64) % CYCLE
        mine = (steps + self.rank).to(torch.float32).to(device)
        seconds = 0.0
        for _ in range(2):
            data = mine.clone()
            torch.distributed.barrier()
            begun = time.perf_counter()
            torch.distributed.all_reduce(data)
            if backend == "hccl":
                torch.npu.synchronize()
            seconds = time.perf_counter() - begun
        wanted = (steps * self.world + self.world * (self.world - 1) // 2).to(torch.float32)
        return seconds, bool(torch.equal(data.cpu(), wanted))

    def leave(self) -> None:
        """Leave the group."""
        importlib.import_module("torch").distributed.destroy_process_group()

    def fill(self, size: int) -> int:
        """Ring: make this rank's tensor, cut into one piece per rank."""
        numpy = importlib.import_module("numpy")
        count = max(self.world, size // 4)
        self.data = ((numpy.arange(count) % CYCLE) + self.rank).astype(numpy.float32)
        self.bounds = [count * i // self.world for i in range(self.world + 1)]
        return count * 4

    def piece(self, number: int) -> Any:
        """Ring: one piece of the tensor."""
        return self.data[self.bounds[number] : self.bounds[number + 1]].copy()

    def take(self, number: int, piece: Any, add: bool) -> None:
        """Ring: add a neighbour's piece to one's own, or take it as it is."""
        mine = self.data[self.bounds[number] : self.bounds[number + 1]]
        mine[:] = mine + piece if add else piece

    def check(self) -> bool:
        """Ring: whether every element is the sum over all ranks."""
        numpy = importlib.import_module("numpy")
        steps = numpy.arange(len(self.data)) % CYCLE
        wanted = (steps * self.world + self.world * (self.world - 1) // 2).astype(numpy.float32)
        return bool((self.data == wanted).all())


def ring(ray: Any, actors: list[Any], size: int) -> tuple[int, float, list[int]]:
    """One ring all-reduce through Ray: (bytes, seconds, wrong ranks)."""
    world = len(actors)
    count = ray.get([a.fill.remote(size) for a in actors], timeout=LIMIT)[0]
    begun = time.perf_counter()
    for add in (True, False):
        for step in range(world - 1):
            pieces = [(r - step + (0 if add else 1)) % world for r in range(world)]
            given = [a.piece.remote(n) for a, n in zip(actors, pieces)]  # noqa: B905  # Python 3.8 has no strict
            taken = [actors[(r + 1) % world].take.remote(pieces[r], given[r], add) for r in range(world)]
            ray.get(taken, timeout=LIMIT)
    seconds = time.perf_counter() - begun
    right = ray.get([a.check.remote() for a in actors], timeout=LIMIT)
    return count, seconds, [r for r, ok in enumerate(right) if not ok]


def torch_round(ray: Any, actors: list[Any], backend: str, size: int) -> tuple[int, float, list[int]]:
    """One all-reduce of torch.distributed: (bytes, seconds, wrong ranks)."""
    results = ray.get([a.reduce.remote(backend, size) for a in actors], timeout=LIMIT)
    return max(4, size // 4 * 4), max(s for s, _ in results), [r for r, (_, ok) in enumerate(results) if not ok]


def main(sizes: list[int]) -> dict[str, Any]:
    """What docs/architecture.md says that this program prints."""
    ray = importlib.import_module("ray")
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    ray.init(address=os.environ.get("RAY_ADDRESS", "auto"), logging_level="ERROR", log_to_driver=False)
    here = ray.get_runtime_context().get_node_id()
    nodes = [n for n in ray.nodes() if n["Alive"] and n["Resources"].get("NPU", 0) >= 1]
    nodes.sort(key=lambda n: (n["NodeID"] != here, n["NodeManagerAddress"]))
    places = [(n, i) for n in nodes for i in range(int(n["Resources"]["NPU"]))]
    if not places:
        raise RuntimeError("the Ray cluster offers no NPU")
    remote = ray.remote(num_cpus=0, resources={"NPU": 1})(Rank)
    actors = [
        remote.options(scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(n["NodeID"], soft=False)).remote(
            rank, len(places), index
        )
        for rank, (n, index) in enumerate(places)
    ]
    abouts = ray.get([a.about.remote() for a in actors], timeout=LIMIT)
    backend = min((a["backend"] for a in abouts), key=ORDER.index)
    if backend != "ray-numpy":
        host = places[0][0]["NodeManagerAddress"]
        ray.get([a.join.remote(backend, host, abouts[0]["port"]) for a in actors], timeout=LIMIT)
    rounds = []
    for size in sizes:
        if backend == "ray-numpy":
            count, seconds, wrong = ring(ray, actors, size)
        else:
            count, seconds, wrong = torch_round(ray, actors, backend, size)
        gbps = count * 8 / 1e9 / seconds if seconds else 0.0
        rounds.append({"bytes": count, "seconds": round(seconds, 6), "gbps": round(gbps, 4), "wrong_ranks": wrong})
    if backend != "ray-numpy":
        ray.get([a.leave.remote() for a in actors], timeout=LIMIT)
    for actor in actors:
        ray.kill(actor)
    ranks = [
        {"rank": r, "node_ip": n["NodeManagerAddress"], "device": a["device"]}
        for r, ((n, _), a) in enumerate(zip(places, abouts))  # noqa: B905  # Python 3.8 has no strict
    ]
    return {"backend": backend, "world_size": len(places), "ranks": ranks, "rounds": rounds}


if __name__ == "__main__":
    try:
        answer = main([int(word) for word in sys.argv[2:]])
    except Exception as error:  # noqa: BLE001  # whatever it is, the controller reports it
        answer = {"error": "%s: %s" % (type(error).__name__, str(error).strip())}  # noqa: UP031
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()
    sys.exit(1 if "error" in answer else 0)
