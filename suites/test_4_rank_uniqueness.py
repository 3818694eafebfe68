# SPDX-License-Identifier: Apache-2.0
"""Stage 4, the rank table: every rank once, on the device that it names, the same everywhere (guide, section 3)."""

from hakuna import Where, rule
from hakuna.judgement.rank_table_fault import place_of
from hakuna.judgement.rank_table_rules import both_profiles
from hakuna.releases import Behaviour
from hakuna.stages.rank_table import context_of, live_addresses, needs_table


def report(rank_table, findings, inventory, *codes):
    """Every fault of these codes, with its line in the table, at the device or node it is about."""
    if not rank_table.needed:
        findings.skip(f"no rank table is used: {rank_table.why}")
    if not rank_table.text:
        findings.unclear(Where.cluster(), message="there is no table to judge")
        return
    findings.saw("rank_table")
    if "NOT_JSON" not in codes and rank_table.faults("NOT_JSON"):
        findings.skip("the table is no JSON at all (RNK408)")
    for fault in rank_table.faults(*codes):
        place = place_of(fault, inventory.model.ordered_nodes)
        line = f"line {fault.line}: " if fault.line else ""
        findings.fail(
            place, expected=fault.expected, observed=fault.observed, message=f"{line}{fault.message}", fix=fault.fix
        )


@rule(
    "RNK400",
    guide="3",
    needs=("CTR301", "NET201", "NET202", "NET203"),
    releases=(
        Behaviour.TABLE,
        Behaviour.FORMAT,
    ),
)
def test_the_table_can_be_made(rank_table, inventory, findings):
    """The table is made from what is live: an address of every device and, for A3, its SDID and super pod. What cannot
    be listed cannot be reached.

    Judged on making the table from hccn_tool -i N -ip -g and, for version 1.2, npu-smi info -t spod-info.

    Fix: mend what is missing on {where}; or write the table by hand and set rank_table.generate: false
    Source: guide 3; hicann/hccl rank_table_config_a3.md
    """
    if not rank_table.needed:
        findings.skip(f"no rank table is used: {rank_table.why}")
    if inventory.attached or not inventory.model.rank_table.generate:
        findings.skip("the table is the site's own")
    places = rank_table.problem_at or (Where.cluster(),)
    for place in places if rank_table.problem else ():
        findings.fail(place, expected="a rank table", observed=rank_table.problem)
    for device, pod in rank_table.super_pods:
        findings.note(f"{device}: SDID {pod.sdid} in super pod {pod.super_pod_id}")
    findings.saw("the live addresses")


@rule(
    "NET230",
    guide="3",
    needs=("NET201", "NET202"),
    releases=(
        Behaviour.TABLE,
        Behaviour.DEVICE,
        Behaviour.RANKS,
    ),
)
def test_a_rank_table_that_is_there_already_is_sound(hosts, network, inventory, findings):
    """A table from another day, or pasted from the guide, is found by LMDeploy and HCCL only after minutes. The guide's
    own example dies: its server_id is no node IP, and it lists 4 devices where tp=16 needs 16.

    Judged on the file at rank_table.path, if there is one, by HCCL's and LMDeploy's rules, with its lines; a fault that
    the files of all nodes have is told once, at the entry it is in. Where the run makes the table itself
    (rank_table.generate: true) it is a warning: the file will be replaced.

    Fix: make it again: hakuna rank-table --inventory INVENTORY -o {path}
    Source: HCCL rank_table_config; lmdeploy ray_executor.py up to v0.14.0
    """
    model = inventory.model
    named = model.server.lmdeploy_version
    version = None if named == "detect" else named
    if not needs_table(model, version)[0]:
        findings.skip(f"no rank table is used: {needs_table(model, version)[1]}")
    say = findings.warn if model.rank_table.generate and not inventory.attached else findings.fail
    context = context_of(model, live_addresses(network), version)
    texts = dict(hosts.rank_table)
    same = len(set(texts.values())) == 1 and len(texts) > 1
    for node, text in list(texts.items())[: 1 if same else None]:
        for fault in both_profiles(text, context) if text else ():
            line = f"line {fault.line}: " if fault.line else ""
            say(
                place_of(fault, model.ordered_nodes) if same else node,
                expected=fault.expected,
                observed=fault.observed,
                message=f"{line}{fault.message}",
                path=model.rank_table.path,
            )


@rule("RNK401", guide="3", needs=("CTR301",), rests_on=("RNK400",), releases=(Behaviour.TABLE,))
def test_the_table_is_on_every_node(rank_table, inventory, findings):
    """The guide: the same path on all nodes, readable for the processes that read it.

    Judged on reading rank_table.path on every node (inside the container, where there is one).

    Fix: hakuna rank-table --inventory INVENTORY -o {path}; copy it to {node}
    Source: hicann/hccl rank_table_load_fail.md (EI0004)
    """
    if not rank_table.needed:
        findings.skip(f"no rank table is used: {rank_table.why}")
    for node, text in rank_table.files:
        if not text:
            path = inventory.model.rank_table.path
            findings.fail(node, expected=path, observed="no such file", path=path)


@rule("RNK402", guide="3", needs=("RNK401",), rests_on=("NET230",), releases=(Behaviour.TABLE,))
def test_every_rank_is_unique(rank_table, inventory, findings):
    """Two devices with one rank_id: HCCL refuses the table, older LMDeploy puts two workers on one device.

    Judged on all rank_id of the table; the guide asks for globally unique ones.

    Fix: number the ranks 0 to N-1, each once
    Source: guide 3; HCCL "The rank ID is used repeatedly or exceeds the max rankId"
    """
    report(rank_table, findings, inventory, "RANK_DUPLICATE", "RANK_NOT_INT")


@rule(
    "RNK403",
    guide="3",
    needs=("RNK401", "RNK402"),
    rests_on=("NET230",),
    releases=(
        Behaviour.TABLE,
        Behaviour.RANKS,
    ),
)
def test_ranks_have_no_gap(rank_table, inventory, findings):
    """Ranks must be 0 to N-1 without a gap: a missing rank is waited for.

    Judged on the sorted rank_id of the table, and on every server's ranks standing together.

    Fix: number the ranks 0 to N-1, the head's devices first
    Source: lmdeploy ray_executor.py 0.12 to 0.14 "Rank ids are not contiguous starting from 0"
    """
    report(rank_table, findings, inventory, "RANK_GAP", "RANK_INTERLEAVED")


@rule("RNK404", guide="3", needs=("RNK401",), rests_on=("NET230",), releases=(Behaviour.TABLE,))
def test_the_server_count_is_right(rank_table, inventory, findings):
    """HCCL compares server_count with the list (EI0014), and every server needs a device list.

    Judged on server_count, server_list and every device list.

    Fix: set server_count to the number of servers
    Source: hicann/hccl rank_table_config_a2.md (EI0014)
    """
    report(rank_table, findings, inventory, "SERVER_COUNT", "DEVICE_LIST", "SERVER_ID_EMPTY", "SERVER_ID_DUPLICATE")


@rule("RNK405", guide="3", needs=("RNK401",), rests_on=("NET230",), releases=(Behaviour.TABLE,))
def test_every_server_is_called_by_its_node_ip(rank_table, inventory, findings):
    """LMDeploy up to 0.14.0 demands that server_id is the node's IP as Ray knows it, the head's first; the guide's own
    example ("node_0") dies with "Master address does not match rank table".

    Judged on every server_id against the inventory's node IPs, head first.

    Fix: write the node IP as server_id
    Source: lmdeploy ray_executor.py get_ascend_device_rank_mapping, v0.11.1 to v0.14.0
    """
    report(rank_table, findings, inventory, "SERVER_ID_NOT_NODE_IP", "HEAD_NOT_FIRST")


@rule(
    "RNK406",
    guide="3, 5.1",
    needs=("RNK401", "RNK405", "NET201", "NET202"),
    rests_on=("NET230",),
    releases=(Behaviour.TABLE,),
)
def test_device_addresses_are_the_live_ones(rank_table, inventory, findings):
    """A stale device_ip in the table is EI0014, or a connection to somebody else's device.

    Judged on every device_ip against hccn_tool -i N -ip -g.

    Fix: make the table again: hakuna rank-table --inventory INVENTORY -o FILE
    Source: vllm-ascend #16847; hicann/hccl rank_table_load_fail.md (EI0014)
    """
    report(
        rank_table,
        findings,
        inventory,
        "DEVICE_IP_MISSING",
        "DEVICE_IP_INVALID",
        "DEVICE_IP_DUPLICATE",
        "DEVICE_IP_FAMILY",
        "DEVICE_IP_STALE",
    )


@rule("RNK407", guide="3", needs=("RNK401",), rests_on=("NET230",), releases=(Behaviour.TABLE,))
def test_the_table_is_the_same_everywhere(rank_table, findings):
    """Every rank must load an identical table.

    Judged on the SHA-256 of the file on every node; the node that differs from the others (on a tie: from what
    was written) is blamed.

    Fix: copy the table from a good node to {node}
    Source: Ascend FaultDiag AISW_CANN_HCCL_020; hicann/hccl rank_table_config_a2.md (the same on all nodes)
    """
    if not rank_table.needed:
        findings.skip(f"no rank table is used: {rank_table.why}")
    good = {h for n, h in rank_table.hashes if rank_table.files.get(n) == rank_table.text}
    for node, observed in rank_table.hashes:
        if rank_table.files.get(node) not in (None, "") and observed not in good:
            findings.fail(node, expected=", ".join(sorted(good)) or "the written table", observed=observed)


@rule(
    "RNK408",
    guide="3",
    needs=("RNK401",),
    rests_on=("NET230",),
    releases=(
        Behaviour.TABLE,
        Behaviour.FORMAT,
    ),
)
def test_the_format_is_hccls(rank_table, inventory, findings):
    """Strict JSON, every value a string, status completed, the version of this chip, ports and ids in range.

    Judged by HCCL's own rules, with the line in the file.

    Fix: make the table again: hakuna rank-table --inventory INVENTORY -o FILE
    Source: hicann/hccl rank_table_config_a2.md, _a3.md
    """
    report(
        rank_table,
        findings,
        inventory,
        "NOT_JSON",
        "NOT_STRING",
        "STATUS",
        "VERSION",
        "DEVICE_PORT",
        "DEVICE_ID_DUPLICATE",
        "DEVICE_ID_RANGE",
        "SUPER_DEVICE_ID",
        "SUPER_POD",
        "LEGACY_LAYOUT",
        "SUFFIX",
    )


@rule(
    "RNK409",
    guide="3, 4.1",
    needs=("RNK401", "RNK402", "RNK403", "RNK404"),
    rests_on=("NET230",),
    releases=(
        Behaviour.TABLE,
        Behaviour.DEVICE,
    ),
)
def test_the_table_holds_the_whole_world(rank_table, inventory, findings):
    """With tp=16 the table must list exactly 16 devices, in the order that this LMDeploy maps them.

    Judged on the number of devices against tp, and on the order of device ids where the version needs it.

    Fix: list every device of every node
    Source: lmdeploy _sort_workers_by_ip; 0.11.1 takes the list position for the device id
    """
    report(rank_table, findings, inventory, "WORLD_SIZE", "DEVICE_ORDER")
