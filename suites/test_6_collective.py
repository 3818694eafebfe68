# SPDX-License-Identifier: Apache-2.0
"""Stage 6, one all-reduce over all ranks: the path that the server will use, alone (guide, section 5)."""

from hakuna import Where, rule


def done(collective, findings):
    """The result, or a skip where the devices are in use."""
    if not collective.ran:
        findings.skip("the devices belong to the running service")
    return collective.result.value


@rule("COL601", guide="5", marks=("slow", "disruptive"))
def test_the_all_reduce_is_right(collective, findings):
    """A collective that hangs, or returns without having summed, is the fault behind hanging and babbling servers.

    Judged on every element of the result on every rank, for several sizes.

    Fix: look at the first rank that is wrong: its device's log is in ~/ascend/log/debug/plog
    Source: hccl_test guide (check_result)
    """
    result = done(collective, findings)
    if result.error:
        findings.fail(Where.cluster(), expected="a sum", observed=result.error)
    for entry in result.rounds:
        if entry.wrong_ranks:
            ranks = ", ".join(map(str, entry.wrong_ranks))
            findings.fail(Where.cluster(), expected="the sum on all ranks", observed=f"wrong on rank {ranks}")
    if result.rounds:
        largest = result.rounds[-1]
        findings.note(f"{result.backend}: {largest.bytes} bytes at {largest.gbps:.1f} Gbit/s")


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
