# SPDX-License-Identifier: Apache-2.0
"""hakuna-collective BYTES...: an all-reduce over all NPUs of the Ray cluster, checked element by element.

Every NPU that Ray offers gets one actor, which is one rank. Backends, the first that every rank has: hccl (torch with
torch_npu), gloo (torch), ray-numpy (a ring whose pieces travel through Ray's object store: it shows that every rank
takes part, and nothing of the links, so large sizes are left out). ``gbps`` is the tensor's size over the slowest
rank's time, in Gbit/s (hccl_test's alg_bandwidth). A rank of ``lost_ranks`` is missing from a sum as a whole.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import statistics
import sys
import time
from datetime import timedelta
from typing import Any

ORDER = ("ray-numpy", "gloo", "hccl")
LIMIT = 300.0  # seconds for one call to all ranks
CYCLE = 97  # rank r adds (i % CYCLE) + r to element i: exact in float32, and different from rank to rank
RING_LIMIT = 4 << 20  # bytes; beyond, the ring measures the object store for minutes
TIMES = 5  # a size is reduced so often, after once untimed; large ones once
LARGE = 8 << 20


class RankError(Exception):
    """A rank failed, or did not answer; ``rank`` is -1 where no single one can be named."""

    def __init__(self, rank: int, text: str) -> None:
        super().__init__(text)
        self.rank = rank


def gather(ray: Any, refs: list[Any], doing: str) -> list[Any]:
    """The answers of all ranks, in their order.

    Raises:
        RankError: with the rank that failed first (the others only wait for it), or those that never answered.
    """
    end = time.monotonic() + LIMIT
    waiting = list(refs)
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1, timeout=max(0.0, end - time.monotonic()))
        if not done:
            late = [r for r, ref in enumerate(refs) if ref in waiting]
            names = ", ".join(map(str, late))
            raise RankError(late[0] if len(late) == 1 else -1, f"{doing}: no answer from rank {names} in {LIMIT:g} s")
        try:
            ray.get(done[0])
        except Exception as error:  # noqa: BLE001  # whatever a rank raises, it is told with the rank's number
            cause = getattr(error, "cause", None) or error
            words = (str(cause).strip() or "-").splitlines()[0]
            rank = next(r for r, ref in enumerate(refs) if ref is done[0])
            raise RankError(rank, f"{doing}: rank {rank} failed first: {type(cause).__name__}: {words}") from None
    return list(ray.get(refs))


class Rank:
    """One rank of the group, in its own process on its own NPU."""

    def __init__(self, rank: int, world: int, index: int) -> None:
        self.rank, self.world, self.index = rank, world, index
        self.data: Any = None
        self.bounds: list[int] = []

    def about(self) -> dict[str, Any]:
        """The best backend here and whose it is, the device's number, and a free port for the group's store."""
        visible = [v for v in os.environ.get("ASCEND_RT_VISIBLE_DEVICES", "").split(",") if v.strip().isdigit()]
        device = int(visible[self.index]) if self.index < len(visible) else self.index
        backend, library = "ray-numpy", "no torch"
        try:
            torch = importlib.import_module("torch")
            if torch.distributed.is_available():
                backend, library = "gloo", f"torch {torch.__version__}"
            npu = importlib.import_module("torch_npu")
            if torch.npu.is_available():
                backend, library = "hccl", f"{library}, torch_npu {getattr(npu, '__version__', '?')}"
        except ImportError:
            pass  # what was found so far is the answer
        with socket.socket() as probe:
            probe.bind(("", 0))
            return {"backend": backend, "library": library, "device": device, "port": probe.getsockname()[1]}

    def join(self, backend: str, host: str, port: int) -> None:
        """Join the group of torch.distributed."""
        torch = importlib.import_module("torch")
        if backend == "hccl":
            importlib.import_module("torch_npu")
            torch.npu.set_device(self.index)
        where = f"[{host}]" if ":" in host else host
        torch.distributed.init_process_group(
            backend,
            init_method=f"tcp://{where}:{port}",
            rank=self.rank,
            world_size=self.world,
            timeout=timedelta(seconds=LIMIT),
        )

    def reduce(self, backend: str, size: int) -> tuple[float, bool, int]:
        """One size with torch: (seconds, right or wrong, the rank that the sum lacks or -1)."""
        torch = importlib.import_module("torch")
        device = f"npu:{self.index}" if backend == "hccl" else "cpu"
        count = max(1, size // 4)
        steps = torch.arange(CYCLE, dtype=torch.float32).repeat(count // CYCLE + 1)[:count]
        mine = (steps + self.rank).to(device)
        took = []
        for _ in range(1 + (TIMES if size < LARGE else 1)):  # the first one opens the connections
            data = mine.clone()
            torch.distributed.barrier()
            begun = time.perf_counter()
            torch.distributed.all_reduce(data)
            if backend == "hccl":
                torch.npu.synchronize()
            took.append(time.perf_counter() - begun)
        lacking = steps * self.world + self.world * (self.world - 1) // 2 - data.cpu()
        right = not bool(lacking.any())
        lost = -1
        if not right:
            first = int(lacking[0])
            lost = first if 0 <= first < self.world and torch.equal(lacking, steps + first) else -1
        return statistics.median(took[1:]), right, lost

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


def ring(ray: Any, actors: list[Any], size: int) -> tuple[int, float, list[int], list[int]]:
    """One ring all-reduce through Ray: (bytes, seconds, wrong ranks, lost ranks: not told)."""
    world = len(actors)
    count = gather(ray, [a.fill.remote(size) for a in actors], "filling")[0]
    begun = time.perf_counter()
    for add in (True, False):
        for step in range(world - 1):
            pieces = [(r - step + (0 if add else 1)) % world for r in range(world)]
            given = [a.piece.remote(n) for a, n in zip(actors, pieces)]  # noqa: B905  # Python 3.8 has no strict
            taken = [actors[(r + 1) % world].take.remote(pieces[r], given[r], add) for r in range(world)]
            gather(ray, taken, f"the ring, step {step}")
    seconds = time.perf_counter() - begun
    right = gather(ray, [a.check.remote() for a in actors], "comparing")
    return count, seconds, [r for r, ok in enumerate(right) if not ok], []


def torch_round(ray: Any, actors: list[Any], backend: str, size: int) -> tuple[int, float, list[int], list[int]]:
    """One size with torch.distributed: (bytes, seconds, wrong ranks, lost ranks)."""
    results = gather(ray, [a.reduce.remote(backend, size) for a in actors], f"all-reduce of {size} bytes")
    wrong = [r for r, (_, ok, _) in enumerate(results) if not ok]
    lost = sorted({lost for _, _, lost in results if lost >= 0})
    return max(4, size // 4 * 4), max(s for s, _, _ in results), wrong, lost


def measure(ray: Any, actors: list[Any], places: list[Any], sizes: list[int]) -> dict[str, Any]:
    """Form the group, reduce every size, and leave."""
    abouts = gather(ray, [a.about.remote() for a in actors], "starting")
    backend = min((a["backend"] for a in abouts), key=ORDER.index)
    ranks = [
        {"rank": r, "node_ip": n["NodeManagerAddress"], "device": a["device"]}
        for r, ((n, _), a) in enumerate(zip(places, abouts))  # noqa: B905  # Python 3.8 has no strict
    ]
    answer: dict[str, Any] = {
        "backend": backend,
        "library": next(a["library"] for a in abouts if a["backend"] == backend),
        "world_size": len(places),
        "ranks": ranks,
        "rounds": [],
        "left_out": [size for size in sizes if backend == "ray-numpy" and size > RING_LIMIT],
    }
    try:
        if backend != "ray-numpy":
            host = places[0][0]["NodeManagerAddress"]
            gather(ray, [a.join.remote(backend, host, abouts[0]["port"]) for a in actors], f"joining over {backend}")
        for size in sizes:
            if size in answer["left_out"]:
                continue
            told = ring(ray, actors, size) if backend == "ray-numpy" else torch_round(ray, actors, backend, size)
            count, seconds, wrong, lost = told
            gbps = count * 8 / 1e9 / seconds if seconds else 0.0
            row = {"bytes": count, "seconds": round(seconds, 6), "gbps": round(gbps, 4), "wrong_ranks": wrong}
            answer["rounds"].append({**row, "lost_ranks": lost})
        if backend != "ray-numpy":
            gather(ray, [a.leave.remote() for a in actors], "leaving")
    except RankError as error:
        answer["error"] = str(error)
        if error.rank >= 0:
            answer["failed_rank"] = error.rank
    return answer


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
    try:
        return measure(ray, actors, places, sizes)
    finally:
        for actor in actors:
            ray.kill(actor)


if __name__ == "__main__":
    try:
        answer = main([int(word) for word in sys.argv[2:]])
    except RankError as error:
        answer = {"error": str(error)}
    except Exception as error:  # noqa: BLE001  # whatever it is, the controller reports it
        answer = {"error": f"{type(error).__name__}: {str(error).strip()}"}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()
    sys.exit(1 if "error" in answer else 0)
