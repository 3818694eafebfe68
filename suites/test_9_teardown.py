# SPDX-License-Identifier: Apache-2.0
"""Stage 9, the teardown: nothing of the run is left (guide, section 2.4)."""

from hakuna import Where, rule


def attempted(teardown, findings):
    if not teardown.attempted:
        findings.skip("the run started nothing, so nothing had to be taken down")


@rule("TDN901", guide="2.4")
def test_no_process_is_left(teardown, findings):
    """A process that survives keeps its devices: the next start fails with EJ0001.

    Judged on processes with the run's label in their environment, on every node.

    Fix: on {node}: kill -9 {pids}
    Source: dlinfer docs/ascend_multinodes.md 2.4; LlamaFactory #3839
    """
    attempted(teardown, findings)
    for node, found in teardown.processes:
        if found:
            pids = " ".join(str(p.pid) for p in found)
            findings.fail(node, expected="none", observed=f"{len(found)} processes", pids=pids)


@rule("TDN902", guide="1")
def test_no_container_is_left(teardown, findings):
    """A container that stays holds the devices and the name.

    Judged on containers with the run's label, on every node.

    Fix: on {node}: docker rm -f {names}
    Source: cilium-cli #67
    """
    attempted(teardown, findings)
    if not teardown.containers.readings:
        findings.skip("the deployment uses no container")
    for node, rows in teardown.containers:
        if rows:
            findings.fail(node, expected="none", observed=len(rows), names=" ".join(r.name for r in rows))


@rule("TDN903")
def test_no_file_is_left(teardown, findings):
    """A rank table that stays behind is the stale one of next time.

    Judged on the files that the run wrote.

    Fix: on {node}: rm {observed}
    Source: gpustack/runtime #27 (stale /etc/hccl_rootinfo.json)
    """
    attempted(teardown, findings)
    if not teardown.files.readings:
        findings.skip("the run wrote no file")
    for node, left in teardown.files:
        if left:
            findings.fail(node, expected="none", observed=" ".join(left))


@rule("TDN904", guide="2.4", needs=("TDN901", "TDN902"))
def test_the_devices_are_free_again(teardown, hosts, findings):
    """Device memory that is not given back is missing for the next model.

    Judged on npu-smi's process table after the teardown, against the one before.

    Fix: on {node}: npu-smi info; end pid {pid}, or reset the device
    Source: verl #332
    """
    attempted(teardown, findings)
    for node, info in teardown.npu:
        before = hosts.npu_info.get(node)
        known = {p.pid for p in before.processes} if before else set()
        for process in info.processes:
            if process.pid not in known:
                device = Where(node.node, info.device_of(process))
                findings.fail(device, expected="free", observed=process.name, pid=process.pid)


@rule("TDN905")
def test_the_lease_is_given_back(teardown, findings):
    """A lease that stays keeps the next run out until it expires.

    Judged on the lease of every node.

    Fix: on {node}: rm -r /tmp/hakuna-lease
    Source: teuthology #1653
    """
    attempted(teardown, findings)
    for node, lease in teardown.lease:
        if any(t.kind == "lease" and t.node == node.node for t in teardown.remaining):
            findings.fail(node, expected="free", observed=lease.holder)


@rule("TDN906")
def test_no_node_was_restarted_meanwhile(teardown, hosts, findings):
    """A node that rebooted in the middle invalidates everything that was judged on it.

    Judged on the boot id before and after.

    Fix: find out why {node} restarted (last -x; dmesg), then run again
    Source: tt-metal 35914
    """
    attempted(teardown, findings)
    for node, now in teardown.boot_id:
        before = hosts.boot_id.get(node)
        if before is not None and before != now:
            findings.fail(node, expected=before, observed=now)
