# SPDX-License-Identifier: Apache-2.0
"""Stage 5, Ray: every node a member, every NPU a resource, the guide's environment in every raylet (section 2)."""

from hakuna import Where, rule
from hakuna.probes.procs import is_listed
from hakuna.releases import Behaviour
from hakuna.stages.ray import NOSET, TABLE_VARIABLE


def by_address(ray_cluster, inventory):
    """The live members by the name of the inventory's node whose IP they have, and those that have none."""
    names = {n.node_ip: n.name for n in inventory.model.nodes}
    members, strangers = {}, []
    for member in ray_cluster.cluster.value.nodes:
        if member.alive and member.address in names:
            members[names[member.address]] = member
        elif member.alive:
            strangers.append(member)
    return members, strangers


@rule("RAY501", guide="2.2, 2.4")
def test_no_other_ray_was_there_before(ray_cluster, inventory, findings):
    """A raylet of another cluster makes ray start join, or LMDeploy connect to, the wrong one.

    Judged on the Ray processes that ran where we start ours, before we did.

    Fix: on {node}: ray stop (guide 2.4), by whoever owns it
    Source: vllm-ascend #412, gpustack #4171
    """
    if inventory.attached:
        findings.skip("the Ray cluster was there before, as --attach expects")
    for node, found in ray_cluster.before:
        if found:
            findings.fail(node, expected="no Ray process", observed=[f"pid {p.pid}" for p in found])


@rule("RAY502", guide="2.2", needs=("RAY501",))
def test_ray_started_on_every_node(ray_cluster, inventory, findings):
    """Head first, then the workers: what ray start itself says.

    Judged on ray start's exit status and words on every node.

    Fix: on {node}: {observed}
    Source: guide 2.2 and 2.3
    """
    if inventory.attached:
        findings.skip("nothing was started")
    for node, started in ray_cluster.started:
        if not started.ok:
            findings.fail(node, expected="Ray runtime started", observed=started.message)


@rule("RAY503", guide="2.3, 2.4", needs=("RAY502",))
def test_every_node_is_a_member(ray_cluster, hosts, inventory, findings):
    """A worker that did not join is waited for by LMDeploy for 1800 s, in silence.

    Judged on ray.nodes(): live members at the inventory's node IPs; dead ones do not count.

    Fix: on {node}: ray start --address={head}:{port} --node-ip-address={address}
    Source: dlinfer docs/ascend_multinodes.md 2.3, 2.4; vllm-ascend #167 (1801 s, 1 of 8 joined), #1364
    """
    members, strangers = by_address(ray_cluster, inventory)
    names = {node: name.name for node, name in hosts.hostname}
    model = inventory.model
    for node in model.nodes:
        if node.name not in members:
            # A node with several interfaces may have joined under another address: one fault, not two.
            elsewhere = [s for s in strangers if s.hostname == names.get(node.where)]
            strangers = [s for s in strangers if s not in elsewhere]
            joined = f"a member at {', '.join(s.address for s in elsewhere)}" if elsewhere else "not a member"
            findings.fail(
                node,
                expected=f"a live member at {node.node_ip}",
                observed=ray_cluster.cluster.value.error or joined,
                head=model.head_node.node_ip,
                port=model.ray.port,
                address=node.node_ip,
            )
    for stranger in strangers:
        findings.fail(
            Where.cluster(),
            expected="only the inventory's nodes",
            observed=f"{stranger.address} ({stranger.hostname})",
            fix=f"on {stranger.address}: ray stop; or start it with --node-ip-address of the inventory",
        )


@rule("RAY504", guide="2.4", needs=("RAY503",))
def test_every_npu_is_a_resource(ray_cluster, inventory, findings):
    """LMDeploy asks Ray for one NPU per rank; a node that offers none is never used.

    Judged on the NPU resource of every member against its devices.

    Fix: start Ray on {node} with --resources='{"NPU": {expected}}' (ray.npu_resource: true in the inventory)
    Source: ray #55137; dlinfer ascend_ray_npu_resource_patch.md; vllm-ascend #8306
    """
    members, _ = by_address(ray_cluster, inventory)
    for node in inventory.model.nodes:
        if node.name in members:
            offered = members[node.name].resources.get("NPU", 0)
            if offered != len(node.device_ids):
                wanted = len(node.device_ids)
                fix = f"start Ray on {node.name} with --resources='{{\"NPU\": {wanted}}}' (ray.npu_resource: true)"
                findings.fail(node, expected=wanted, observed=f"{offered:g}", fix=fix)


@rule(
    "RAY505",
    guide="2.1",
    needs=("RAY501", "RAY503"),
    releases=(
        Behaviour.NOSET,
        Behaviour.FORWARDED,
    ),
)
def test_the_guides_variables_are_in_every_raylet(ray_cluster, inventory, findings):
    """Workers inherit the raylet's environment: what is exported after ray start has no effect. Without
    RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES Ray renumbers the devices and all but the first are invalid.

    Judged on /proc/PID/environ of the raylet on every node: GLOO_SOCKET_IFNAME, TP_SOCKET_IFNAME, HCCL_IF_IP and
    the NOSET variable, with the node's own interface and IP; and the site's own, as far as their names are read
    (GLOO_, HCCL_, RAY_, ASCEND_, LMDEPLOY_ and the like: other variables may hold secrets and are never read).

    Fix: on {node}: ray stop; export {expected}; ray start ... again
    Source: dlinfer docs/ascend_multinodes.md 2.1; lmdeploy ray_executor.py; gpustack #3352, #3225
    """
    for place, raylets in ray_cluster.raylets:
        node = inventory.model.node(place.node)
        wanted = {
            "GLOO_SOCKET_IFNAME": node.interface,
            "TP_SOCKET_IFNAME": node.interface,
            "HCCL_IF_IP": node.node_ip,
            NOSET: "1",
        } | {name: value for name, value in inventory.model.env.items() if is_listed(name)}
        for raylet in raylets:
            for name, value in wanted.items():
                observed = raylet.env.get(name)
                if observed != value:
                    findings.fail(node, expected=f"{name}={value}", observed=observed or f"{name} is not set")


@rule("RAY506", guide="3", needs=("RAY501", "RAY503"), releases=(Behaviour.TABLE,))
def test_the_rank_tables_path_is_in_every_raylet(ray_cluster, rank_table, inventory, findings):
    """The guide: ASCEND_RANK_TABLE_FILE_PATH must be set before ray start, on all nodes.

    Judged on /proc/PID/environ of every raylet, where the version reads a table.

    Fix: on {node}: ray stop; export ASCEND_RANK_TABLE_FILE_PATH={expected}; ray start ... again
    Source: dlinfer docs/ascend_multinodes.md 3; lmdeploy #3260
    """
    if not rank_table.needed:
        findings.skip(f"no rank table is used: {rank_table.why}")
    path = inventory.model.rank_table.path
    for node, raylets in ray_cluster.raylets:
        for raylet in raylets:
            observed = raylet.env.get(TABLE_VARIABLE)
            if observed != path:
                findings.fail(node, expected=path, observed=observed or "not set")


@rule("RAY507", needs=("RAY501", "RAY503"))
def test_every_node_runs_one_raylet(ray_cluster, findings):
    """Two raylets on one node offer its devices twice; none means that the member list is stale.

    Judged on the processes of every node.

    Fix: on {node}: ray stop, then start Ray once
    Source: gpustack #4171
    """
    for node, raylets in ray_cluster.raylets:
        if len(raylets) != 1:
            findings.fail(node, expected="1 raylet", observed=len(raylets))


@rule("RAY508", guide="2.4", needs=("RAY503", "RAY507"), gates=False)
def test_ray_status_agrees(ray_cluster, inventory, findings):
    """What an operator sees with ray status must not differ from what Ray's own list of nodes says.

    Judged on ray status: active nodes, pending ones and recent failures.

    Fix: read `ray status` on the head, then the raylet's log on the node that it names
    Source: guide 2.4
    """
    status = ray_cluster.status.value
    wanted = len(inventory.model.nodes)
    if not status.ready or status.active != wanted:
        observed = status.active if status.ready else "no cluster status yet"
        findings.fail(Where.cluster(), expected=f"{wanted} active nodes", observed=observed)
    for kind, entries in (("pending", status.pending), ("failed", status.failures)):
        if entries:
            findings.warn(Where.cluster(), expected=f"none {kind}", observed=entries)


@rule("RAY509", needs=("RAY501", "RAY503", "CTR301"), gates=False)
def test_raylets_may_open_enough_files(ray_cluster, inventory, findings):
    """The limit that counts for HCCL is the one of the raylet, which the workers inherit.

    Judged on /proc/PID/limits of every raylet against thresholds.nofile.

    Fix: start the container on {node} with --ulimit nofile={expected}
    Source: Ascend FaultDiag AISW_CANN_HCCL_004, 005
    """
    limit = inventory.model.thresholds.nofile
    for node, raylets in ray_cluster.raylets:
        for raylet in raylets:
            if raylet.nofile is not None and raylet.nofile < limit:
                findings.warn(node, expected=limit, observed=raylet.nofile)


@rule("RAY510")
def test_no_node_was_restarted_before_ray_stood(ray_cluster, hosts, findings):
    """A node that started again has lost its container and its raylet, and all that was judged on it before. What fails
    from then on, anywhere, is blocked by this.

    Judged on the boot id of every node in the host stage and when Ray has formed.

    Fix: find out why {node} restarted (last -x; dmesg), then run again
    Source: tt-metal 35914
    """
    for node, before, now in hosts.restarted(ray_cluster.boot_id):
        findings.fail(node, expected=before, observed=now)
