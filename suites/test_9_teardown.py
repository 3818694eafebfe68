# SPDX-License-Identifier: Apache-2.0
"""Stage 9, the teardown: nothing of the run is left (guide, section 2.4)."""

from hakuna import Where, rule


def attempted(teardown, findings):
    if not teardown.attempted:
        findings.skip("the run started nothing, so nothing had to be taken down")


@rule("TDN900", guide="2.4")
def test_everything_could_be_taken_down(teardown, findings):
    """What could not be cleaned up is still there: it holds devices, ports and memory, and nobody would know.

    Judged on what every node answered when it was looked at after the teardown; what no answer shows to be gone counts
    as left. The next run cleans it up as soon as the node answers again; until then a person can.

    Fix: on {node}, once it answers again, what the finding lists
    Source: teuthology #1653 (nodes stay locked when a job dies); tt-metal 35914
    """
    attempted(teardown, findings)
    for node, after in teardown.aftermath:
        if after.traces:
            kinds = ", ".join(dict.fromkeys(t.kind for t in after.traces))
            words = f"not shown to be gone: {kinds} ({after.why})"
            findings.fail(node, expected="nothing left", observed=words, fix="\n".join(after.commands))


@rule("TDN901", guide="2.4", needs=("TDN900",))
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


@rule("TDN902", guide="1", needs=("TDN900",))
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


@rule("TDN903", needs=("TDN900",))
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


@rule("TDN904", guide="2.4", needs=("TDN900", "TDN901", "TDN902"))
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


@rule("TDN905", needs=("TDN900",))
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


@rule("TDN906", needs=("TDN900", "RAY510", "SRV711"))
def test_no_node_was_restarted_meanwhile(teardown, hosts, findings):
    """A node that rebooted in the middle invalidates everything that was judged on it.

    Judged on the boot id before and after.

    Fix: find out why {node} restarted (last -x; dmesg), then run again
    Source: tt-metal 35914
    """
    attempted(teardown, findings)
    for node, before, now in hosts.restarted(teardown.boot_id):
        findings.fail(node, expected=before, observed=now)


@rule("TDN907", needs=("CTR300", "TDN900", "TDN906"))
def test_the_nodes_were_ours_to_the_end(teardown, findings):
    """A run that was out of reach for longer than its lease counts as dead: another one may have cleaned up after it
    and begun its own work, and what was judged meanwhile is about two deployments at once.

    Judged on the lease of every node when the teardown begins; a run renews it all the time.

    Fix: ask {observed}; look why this controller did not reach {node} for so long (thresholds.lease); then run again
    Source: teuthology #438, #1688
    """
    attempted(teardown, findings)
    for node, lease in teardown.before:
        mine = {t.name for t in teardown.attempted if t.kind == "lease" and t.node == node.node}
        if mine and lease.holder not in mine:
            findings.fail(node, expected=", ".join(mine), observed=lease.holder or lease.lapsed or "nobody")
