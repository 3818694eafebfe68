# SPDX-License-Identifier: Apache-2.0
"""Stage 3, the containers: the guide's ``docker run``, read back from both sides (guide, section 1)."""

from hakuna import Where, rule
from hakuna.judgement import versions
from hakuna.judgement.sizes import size_in_bytes
from hakuna.probes.containers import asked_mounts
from hakuna.releases import Behaviour
from hakuna.stages.container import INSIDE_TOOLS


@rule("CTR300")
def test_the_lease_is_ours(containers, inventory, findings):
    """Before anything is started, every node is taken with a lease, so that two runs never mix.

    Judged on what each node said when the lease was asked for.

    Fix: another run was faster: wait until {expires}, or ask {observed}
    Source: teuthology #438, #1688
    """
    if inventory.attached:
        findings.skip("nothing is started, so no lease is needed")
    for node, lease in containers.lease:
        if not lease.acquired:
            findings.fail(node, expected="our lease", observed=lease.holder or "none", expires=lease.until)


@rule("CTR301", guide="1", needs=("HST120", "HST121"), rests_on=("CTR300",))
def test_every_container_runs(containers, findings):
    """Everything that follows happens inside these containers.

    Judged on what the engine said to run, and on State.Running of inspect.

    Fix: on {node}: docker ps -a; docker logs NAME; then mend what {observed} says
    Source: Docker CLI reference (docker run)
    """
    if not containers.used:
        findings.skip("the deployment uses no container")
    for node, started in containers.started:
        if not started.ok:
            findings.fail(node, expected="a started container", observed=started.message)
    for node, info in containers.info:
        if not info.running and node not in {f.where for f in findings.raw}:
            findings.fail(node, expected="running", observed="not running")


@rule("CTR302", guide="1", needs=("CTR301",))
def test_the_containers_have_the_guides_flags(containers, inventory, findings):
    """--net=host, --privileged, --shm-size, the mounts and the entrypoint decide whether HCCL, the driver and
    Ray's object store work inside.

    Judged on the engine's inspect of every container against the inventory.

    Fix: start the container on {node} with {flag}
    Source: dlinfer docs/ascend_multinodes.md 1; gpustack/runtime #28
    """
    if not containers.used:
        findings.skip("the deployment uses no container")
    wanted = inventory.model.container
    for node, info in containers.info:

        def compare(flag, expected, observed, node=node):
            if expected != observed:
                findings.fail(node, expected=f"{flag} {expected}".strip(), observed=observed, flag=flag)

        compare("--net=host", "host", info.network_mode)
        compare(f"--privileged={str(wanted.privileged).lower()}", wanted.privileged, info.privileged)
        compare(f"--entrypoint {wanted.entrypoint}", wanted.entrypoint, info.entrypoint)
        compare(f"--shm-size={wanted.shm_size}", size_in_bytes(wanted.shm_size), info.shm_bytes)
        missing = sorted(set(asked_mounts(inventory.model)) - set(info.mounts))
        if missing:
            findings.fail(node, expected="the guide's mounts", observed=f"without {missing}", flag=f"-v {missing[0]}")


@rule("CTR303", guide="1", needs=("CTR301", "CTR302"))
def test_every_device_is_visible_inside(containers, inventory, findings):
    """A device that was not handed to the container is missed only when the server asks for it.

    Judged on /dev inside the container, against the inventory's device ids.

    Fix: start the container on {node} with --device=/dev/davinci{device_id}
    Source: dlinfer docs/ascend_multinodes.md 1; Ray accelerators/npu.py
    """
    for node, nodes in containers.device_nodes:
        for device in inventory.model.node(node.node).devices:
            if device.device not in nodes.davinci:
                findings.fail(device, expected=f"/dev/davinci{device.device}", observed="absent inside")


@rule("CTR304", guide="1", needs=("CTR301", "CTR302", "HST113"))
def test_the_ascend_tools_work_inside(containers, findings):
    """The guide mounts the driver and npu-smi; without them the runtime inside finds no device (dcmi -8005).

    Judged on npu-smi, hccn_tool, ray and lmdeploy on the container's PATH, and npu-smi info answering.

    Fix: mount /usr/local/Ascend/driver and /usr/local/sbin into the container on {node}; {observed}
    Source: gpustack/runtime #28; vllm-ascend #2698
    """
    for node, tools in containers.tools:
        missing = [name for name in INSIDE_TOOLS if tools.get(name) is None]
        if missing:
            findings.fail(node, expected="npu-smi, hccn_tool, ray, lmdeploy", observed=f"no {', '.join(missing)}")
    for _node, info in containers.npu_info:
        findings.saw(f"npu-smi {info.version} inside")


@rule("CTR305", guide="0, 1", needs=("CTR301", "CTR302", "HST109"))
def test_the_driver_inside_is_the_hosts(containers, hosts, findings):
    """The container uses the host's kernel driver: user-space libraries of another version fail in strange ways.

    Judged on driver/version.info inside and outside.

    Fix: mount the host's /usr/local/Ascend/driver into the container on {node}
    Source: vllm-ascend #2698, #632 (dcmi module initialize failed)
    """
    for node, inside in containers.driver:
        outside = hosts.driver.get(node)
        if outside is not None and inside.version != outside.version:
            findings.fail(node, expected=outside.version, observed=inside.version)


@rule("CTR306", guide="1", needs=("CTR301", "CTR302", "INV009"))
def test_shared_memory_inside_is_large(containers, inventory, findings):
    """Ray puts its object store into /dev/shm; with Docker's default of 64 MB it falls back to disk, or dies.

    Judged on df /dev/shm inside, against thresholds.shm_gib.

    Fix: start the container on {node} with --shm-size={size}
    Source: Ray RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE; Docker reference (--shm-size is 64m by default)
    """
    limit = inventory.model.thresholds.shm_gib
    for node, rows in containers.shm:
        for row in rows:
            if row.size / 2**30 < limit:
                findings.fail(
                    node,
                    expected=f"{limit:g} GiB",
                    observed=f"{row.size / 2**30:.2f} GiB",
                    size=inventory.model.container.shm_size,
                )


@rule("CTR307", guide="1", needs=("CTR301", "CTR302", "HST122"))
def test_the_model_is_visible_inside(containers, inventory, findings):
    """The guide leaves the model's mount to the reader: without it the server dies while loading.

    Judged on the files of server.model_path inside the container.

    Fix: add the mount {path}:{path} for {node}
    Source: LMDeploy pytorch_multinodes.md (the same path on all nodes)
    """
    path = inventory.model.server.model_path
    for node, files in containers.model_files:
        if "config.json" not in files.sizes:
            findings.fail(node, expected="the model", observed=f"no config.json in {path}", path=path)


@rule("CTR308", guide="0", needs=("CTR301",))
def test_the_software_inside_is_equal(containers, findings):
    """LMDeploy, Ray, torch and torch-npu must be the same on every node: Ray refuses other versions, the rest
    fails while loading.

    Judged on the installed packages and Python's version inside; the minority is blamed.

    Fix: use one image: on {node} {name} should be {expected}
    Source: Ray "Version mismatch: The cluster was started with"
    """
    names = sorted({name for _, found in containers.packages for name in found.packages})
    for name in names:
        one = containers.packages.map(lambda p, name=name: p.packages.get(name) or "absent")
        for node, observed in one.minority():
            findings.fail(node, expected=one.majority, observed=observed, name=name)
    python = containers.packages.map(lambda p: p.python)
    for node, observed in python.minority():
        findings.fail(node, expected=python.majority, observed=observed, name="python")


@rule("CTR309", guide="0", needs=("CTR301",))
def test_cann_inside_is_equal(containers, findings):
    """CANN inside the container is what runs; two versions of it do not talk to each other (EI0008).

    Judged on CANN's version file inside every container; the minority is blamed.

    Fix: use one image: on {node} CANN should be {expected}
    Source: dlinfer docs/ascend_multinodes.md 0; vllm-ascend #4284
    """
    cann = containers.cann.map(lambda c: c.version or "none")
    for node, observed in cann.minority():
        findings.fail(node, expected=cann.majority, observed=observed)


@rule("CTR310", guide="4", needs=("CTR301", "CTR308"))
def test_lmdeploy_is_the_version_the_inventory_names(containers, inventory, findings):
    """The rules go by LMDeploy's version; another one than named would be judged by the wrong rules.

    Judged on the installed lmdeploy against server.lmdeploy_version ("detect" accepts any, but not none).

    Fix: use the image with lmdeploy {expected} on {node}, or mend server.lmdeploy_version
    Source: PR InternLM/lmdeploy#4711 (what holds depends on the release)
    """
    named = inventory.model.server.lmdeploy_version
    for node, version in containers.lmdeploy_version:
        if version is None or named not in ("detect", version):
            expected = named if named != "detect" else "any version"
            findings.fail(node, expected=expected, observed=version or "not installed")
        else:
            findings.note(f"{node}: lmdeploy {version}")


@rule("CTR311", guide="1", needs=("CTR301",))
def test_the_containers_run_the_same_image(containers, findings):
    """What counts is the image that runs, not the one that the tag names by now.

    Judged on the image id of every running container; the minority is blamed.

    Fix: on {node}: pull the image and start the container again
    Source: dlinfer docs/ascend_multinodes.md 1 (a2-latest moves)
    """
    if not containers.used:
        findings.skip("the deployment uses no container")
    images = containers.info.map(lambda i: i.image_id)
    for node, observed in images.minority():
        findings.fail(node, expected=images.majority, observed=observed)


@rule("CTR313", guide="4", needs=("CTR301", "CTR308"), rests_on=("CTR310",), releases=(Behaviour.SPANS,))
def test_this_lmdeploy_can_span_the_nodes(containers, inventory, findings):
    """LMDeploy up to 0.7.3 does not use Ray on Ascend: all its workers are processes of one machine, and it asks for
    devices there that do not exist.

    Judged on the installed lmdeploy, by the table of releases, where the inventory has several nodes.

    Fix: use an image with LMDeploy {expected}
    Source: lmdeploy #3260; backends/base.py support_ray() of 0.7.3
    """
    if len(inventory.model.nodes) == 1:
        findings.skip("one node is what every release serves on")
    version = containers.lmdeploy_version.majority
    able = versions.can_span_nodes(version)
    if not able.value:
        findings.fail(Where.cluster(), expected="0.8.0 or newer", observed=version, message=able.source)
