# SPDX-License-Identifier: Apache-2.0
"""Stage 6, one all-reduce over all ranks: the path that the server will use, alone (guide, section 5)."""

from hakuna import Where, rule


def done(collective, findings):
    """The result, or a skip where the devices are in use."""
    if not collective.ran:
        findings.skip("the devices belong to the running service")
    return collective.result.value


def place(result, inventory, rank):
    """The device of a rank; the cluster where it is not known."""
    at = result.place(rank)
    if at is None:
        return Where.cluster()
    names = {n.node_ip: n.name for n in inventory.model.nodes}
    return Where(names.get(at.node_ip, at.node_ip), at.device)


@rule("COL601", guide="5", marks=("slow", "disruptive"))
def test_the_all_reduce_is_right(collective, inventory, findings):
    """A collective that hangs, or returns without having summed, is the fault behind hanging and babbling servers.

    Judged on every element of the result on every rank, for sizes from 8 bytes to 64 MiB: the rank that failed first,
    the rank whose part is missing from the sum, or the ranks that hold a wrong one are blamed.

    Fix: on {node}: npu-smi info -t health -i {device_id}; then its rank's own log in ~/ascend/log/debug/plog
    Source: hccl_test guide (check_result)
    """
    result = done(collective, findings)
    if result.error:
        at = place(result, inventory, result.failed_rank)
        findings.fail(at, expected="a sum", observed=result.error)
    lost, wrong = {}, {}
    for entry in result.rounds:
        for rank in entry.lost_ranks:
            lost.setdefault(rank, entry)
        for rank in () if entry.lost_ranks else entry.wrong_ranks:
            wrong.setdefault(rank, entry)
    for rank, entry in lost.items():
        told = f"its part is missing from the sum of {entry.bytes} bytes on {len(entry.wrong_ranks)} ranks"
        findings.fail(place(result, inventory, rank), expected=f"rank {rank} in every sum", observed=told)
    if wrong and len(wrong) == result.world_size:  # nobody holds the sum: no rank is more to blame than another
        told = f"wrong on all {len(wrong)} ranks"
        findings.fail(Where.cluster(), expected="the sum on all ranks", observed=told)
        wrong = {}
    for rank, entry in wrong.items():
        told = f"wrong on rank {rank}, of {entry.bytes} bytes"
        findings.fail(place(result, inventory, rank), expected="the sum on all ranks", observed=told)
    if result.rounds:
        largest = result.rounds[-1]
        findings.note(f"{result.backend} ({result.library}): {largest.bytes} bytes at {largest.gbps:.1f} Gbit/s")
    if result.left_out:
        sizes = ", ".join(map(str, result.left_out))
        findings.note(f"no torch where Ray runs: a ring of numpy stood in, and {sizes} bytes were left out")


@rule("COL602", guide="5", rests_on=("COL601",), marks=("disruptive",))
def test_every_rank_is_on_its_own_device(collective, inventory, findings):
    """All devices of all nodes must take part, each with one rank.

    Judged on node and device that every rank reported.

    Fix: compare ray.nodes() with the inventory; look for a device that two ranks share
    Source: lmdeploy ray_executor.py _sort_workers_by_ip
    """
    result = done(collective, findings)
    names = {n.node_ip: n.name for n in inventory.model.nodes}
    taken = [Where(names.get(r.node_ip, r.node_ip), r.device) for r in result.ranks]
    for device in inventory.model.devices:
        if taken.count(device) != 1:
            findings.fail(device, expected="one rank", observed=taken.count(device))


@rule("COL603", guide="5", rests_on=("COL601",), gates=False, marks=("hardware", "disruptive"))
def test_bandwidth_is_as_expected(collective, inventory, findings):
    """A link that fell back to a lower speed works, slowly.

    Judged on the largest all-reduce against thresholds.allreduce_gbps (0: only recorded).

    Fix: compare hccn_tool -i N -speed -g and -optical -g of all devices
    Source: hccl_test guide (alg_bandwidth)
    """
    result = done(collective, findings)
    limit = inventory.model.thresholds.allreduce_gbps
    if result.rounds and result.rounds[-1].gbps < limit:
        observed = f"{result.rounds[-1].gbps:.1f} Gbit/s"
        findings.fail(Where.cluster(), expected=f"{limit:g} Gbit/s", observed=observed)
