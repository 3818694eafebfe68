# SPDX-License-Identifier: Apache-2.0
"""Stage 0, the inventory itself: settings that contradict each other, the guide, or the LMDeploy release."""

from hakuna import Where, rule
from hakuna.judgement import versions
from hakuna.judgement.hccl_variables import hccl_variable_problem
from hakuna.judgement.sizes import size_in_gib
from hakuna.judgement.versions import EagerDemand
from hakuna.releases import Behaviour


@rule("INV001", guide="4.1")
def test_tp_is_nodes_times_devices(inventory, findings):
    """Tensor parallelism must span exactly the devices that the nodes have; Ray waits 1800 s for devices that do
    not exist, and devices that are left out stay idle.

    Judged on server.tp (by default all devices of all nodes) against the device ids of the nodes.

    Fix: set server.tp to {expected}, or list the right device_ids, in {line}
    Source: lmdeploy/pytorch/ray.py (Cannot provide a placement group ... within 1800 seconds)
    """
    model = inventory.model
    if model.tp != model.world_size:
        findings.fail(Where.cluster(), expected=model.world_size, observed=model.tp, line=inventory.at("server.tp"))


@rule("INV002", guide="0, 4.1", releases=(Behaviour.EAGER,))
def test_eager_mode_is_asked_for(inventory, findings):
    """Across nodes the guide's LMDeploy works in eager mode only, and LMDeploy itself never says so: without it the
    graph backend selects lccl, which cannot leave a machine.

    Judged on server.eager_mode by the table of LMDeploy version, chip and number of nodes. Where the table demands
    it, the harness adds --eager-mode whatever the inventory says, and this rule fails all the same.

    Fix: set server.eager_mode: {expected} in {line}
    Source: dlinfer docs/ascend_multinodes.md 4.2 (eager only); lmdeploy backends/dlinfer/ascend/op_backend.py never
    enforces it
    """
    model = inventory.model
    named = model.server.lmdeploy_version
    demand = versions.eager_required(None if named == "detect" else named, model.chip, nodes=len(model.nodes))
    line = inventory.at("server.eager_mode")
    if demand.value is EagerDemand.REQUIRED and not model.server.eager_mode:
        findings.fail(Where.cluster(), expected="true", observed="false", line=line, message=demand.source)
    elif demand.value is EagerDemand.FORBIDDEN and model.server.eager_mode:
        findings.fail(Where.cluster(), expected="false", observed="true", line=line, message=demand.source)


@rule("INV003", guide="3", releases=(Behaviour.TABLE,))
def test_rank_table_mode_fits_the_lmdeploy_version(inventory, findings):
    """LMDeploy needs the rank table across nodes from 0.8.0 to 0.14.0 and ignores it from 0.15.0 on.

    Judged on rank_table.mode against server.lmdeploy_version, when that is a version and not "detect".

    Fix: set rank_table.mode: auto in {line}
    Source: PR InternLM/lmdeploy#4711 removed it; #3260 introduced it
    """
    model = inventory.model
    named = model.server.lmdeploy_version
    if named == "detect":
        findings.note("the version is detected in the container stage")
        return
    demand = versions.needs_rank_table(named, spans_nodes=len(model.nodes) > 1)
    mode = model.rank_table.mode.value
    line = inventory.at("rank_table.mode")
    if demand.value and mode == "off":
        findings.fail(Where.cluster(), expected="auto or required", observed=mode, line=line, message=demand.source)
    elif not demand.value and mode == "required":
        findings.warn(Where.cluster(), expected="auto", observed=mode, line=line, message=demand.source)


@rule("INV004", guide="3", releases=(Behaviour.FORMAT,))
def test_rank_table_version_fits_the_chip(inventory, findings):
    """HCCL refuses a rank table in the format of another chip generation (EI0014).

    Judged on rank_table.version: 1.0 for A2 and 300I Duo, 1.2 for A3; left out, Hakuna chooses.

    Fix: leave rank_table.version out, or set it to "{expected}", in {line}
    Source: hicann/hccl rank_table_config_a2.md and _a3.md
    """
    model = inventory.model
    expected = versions.rank_table_format(model.chip)
    observed = model.rank_table.version or expected
    if observed != expected:
        findings.fail(Where.cluster(), expected=expected, observed=observed, line=inventory.at("rank_table.version"))


@rule("INV005", guide="4.1", gates=False)
def test_backend_and_device_are_the_guides(inventory, findings):
    """The guide serves with the PyTorch engine on Ascend; LMDeploy's own defaults are turbomind and cuda.

    Judged on server.backend and server.device.

    Fix: set server.backend: pytorch and server.device: ascend in {line}
    Source: lmdeploy/cli/utils.py (--backend turbomind and --device cuda by default)
    """
    server = inventory.model.server
    line = inventory.at("server")
    if server.backend != "pytorch":
        findings.fail(Where.cluster(), expected="pytorch", observed=server.backend, line=line)
    if server.device != "ascend":
        findings.fail(Where.cluster(), expected="ascend", observed=server.device, line=line)


@rule("INV006", guide="2.1")
def test_hccl_variables_have_legal_values(inventory, findings):
    """A wrong HCCL variable is reported only when the ranks connect, minutes later, as EI0001.

    Judged on env and server.env against HCCL's documented values.

    Fix: {advice} in {line}
    Source: hicann/hccl docs/zh/user_guide/hccl_env
    """
    model = inventory.model
    for section, env in (("env", model.env), ("server.env", model.server.env)):
        for name, value in env.items():
            advice = hccl_variable_problem(name, value)
            if advice:
                findings.fail(
                    Where.cluster(), observed=f"{name}={value}", advice=advice, line=inventory.at(f"{section}.{name}")
                )


@rule("INV007", guide="5", gates=False)
def test_a_broken_link_is_reported_soon(inventory, findings):
    """HCCL_CONNECT_TIMEOUT=7200, as some images set it, turns every broken link into a two-hour hang.

    Judged on env and server.env; 120 s is HCCL's default, more than 600 s is a warning.

    Fix: leave HCCL_CONNECT_TIMEOUT out, or set it to 600 at most, in {line}
    Source: dlinfer guide b44fbe0; hicann/hccl HCCL_CONNECT_TIMEOUT
    """
    limit = 600
    model = inventory.model
    for section, env in (("env", model.env), ("server.env", model.server.env)):
        value = env.get("HCCL_CONNECT_TIMEOUT", "")
        if value.isdigit() and int(value) > limit:
            line = inventory.at(f"{section}.HCCL_CONNECT_TIMEOUT")
            findings.warn(Where.cluster(), expected=f"{limit} or less", observed=value, line=line)


@rule("INV008", gates=False)
def test_host_keys_are_verified(inventory, findings):
    """Whoever accepts unknown host keys may be checking, and deploying on, somebody else's machine.

    Judged on ssh.host_key of every node.

    Fix: compare the fingerprint, add the key to known_hosts, and set host_key: verify
    Source: OpenSSH ssh(1), VERIFYING HOST KEYS; ROCm/cvs accepts any key
    """
    for node in inventory.model.nodes:
        if node.ssh.host_key != "verify":
            findings.warn(node, expected="verify", observed=node.ssh.host_key)


@rule("INV009", guide="1", gates=False)
def test_shared_memory_is_as_large_as_the_guide_asks(inventory, findings):
    """Ray keeps its object store in /dev/shm; Docker's default is 64 MB, the guide asks for 500g.

    Judged on container.shm_size against thresholds.shm_gib.

    Fix: set container.shm_size: 500g in {line}
    Source: Ray RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE; dlinfer docs/ascend_multinodes.md 1 (--shm-size 500g)
    """
    model = inventory.model
    if model.container.engine.value == "none":
        findings.skip("the deployment uses no container")
    size = size_in_gib(model.container.shm_size)
    if size < model.thresholds.shm_gib:
        findings.fail(
            Where.cluster(),
            expected=f"at least {model.thresholds.shm_gib:g} GiB",
            observed=model.container.shm_size,
            line=inventory.at("container.shm_size"),
        )
