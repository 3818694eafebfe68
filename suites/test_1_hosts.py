# SPDX-License-Identifier: Apache-2.0
"""Stage 1, the hosts: reached, alike, healthy, and free (guide, sections 0 and 1)."""

from hakuna import Where, rule
from hakuna.evidence import Trouble
from hakuna.stages.host import TOOLS, ports_of

# --- can every node be reached? ---------------------------------------------------------------------------------------


@rule("HST101", guide="0")
def test_every_node_can_be_reached(hosts, findings):
    """A node that cannot be reached cannot be judged: everything else about it is blocked by this.

    Judged on the transport's own word: name resolution, TCP connection, connect timeout.

    Fix: check power, address and firewall; then: ssh {node} true
    Source: pytest-testinfra #449 (a dead host is waited for by every check)
    """
    for node, trouble in hosts.reached:
        if trouble and trouble.kind is Trouble.UNREACHABLE:
            findings.fail(node, expected="an ssh connection", observed=trouble.detail, **_fix(trouble))


@rule("HST102", guide="0")
def test_every_host_key_is_the_known_one(hosts, findings):
    """An unknown or changed host key means that this may not be the machine it is taken for.

    Judged against known_hosts; nothing is ever accepted silently.

    Fix: ssh-keygen -R {node}; then compare the new fingerprint on the machine's own console
    Source: OpenSSH ssh(1), VERIFYING HOST KEYS
    """
    for node, trouble in hosts.reached:
        if trouble and trouble.kind is Trouble.HOST_KEY:
            findings.fail(node, expected="the key in known_hosts", observed=trouble.detail, **_fix(trouble))


@rule("HST103", guide="0")
def test_every_node_lets_us_in(hosts, findings):
    """The user, key or agent of the inventory must be accepted by every node.

    Judged on the ssh authentication.

    Fix: ssh-copy-id {node}; or name the right ssh.user and ssh.key in the inventory
    Source: OpenSSH ssh(1), AUTHENTICATION
    """
    for node, trouble in hosts.reached:
        if trouble and trouble.kind is Trouble.AUTH:
            findings.fail(node, expected="a successful login", observed=trouble.detail, **_fix(trouble))


@rule("HST104", guide="0")
def test_every_connection_holds(hosts, findings):
    """A cut connection, a hung node or an sshd that refuses sessions leaves facts out; they must not look like faults.

    Judged on the transport's word about the whole batch: cut, busy, or beyond its deadline.

    Fix: look at the node's load and sshd log; raise MaxStartups and MaxSessions if it is busy
    Source: ROCm/cvs #269; OpenSSH sshd_config(5), MaxStartups
    """
    for node, trouble in hosts.reached:
        if trouble and trouble.kind in (Trouble.BUSY, Trouble.CUT, Trouble.DEADLINE):
            findings.fail(node, expected="an answer to every command", observed=trouble.detail, **_fix(trouble))


def _fix(trouble):
    return {"fix": trouble.fix} if trouble.fix else {}


# --- is nobody else on them? ------------------------------------------------------------------------------------------


@rule("HST105")
def test_no_other_run_holds_a_node(hosts, inventory, findings):
    """Two controllers on one cluster break each other's deployment and verdict.

    Judged on the lease that every bringing-up run takes on every node.

    Fix: ask {observed}; it ends by itself at {expires}; a run that was kept on purpose is ended by
    hakuna down --inventory INVENTORY
    Source: teuthology #1688 (two jobs on one node)
    """
    if inventory.attached:
        findings.skip("the service that is already up may belong to a run")
    for node, lease in hosts.lease:
        if lease.holder:
            findings.fail(node, expected="a free node", observed=lease.holder, expires=lease.until)


@rule("HST106", guide="2.4", needs=("HST105", "HST120"))
def test_nothing_of_another_run_is_left(hosts, inventory, findings):
    """Containers and processes of an earlier run hold devices and ports; whose they are stands in their label.

    Judged on containers with the label hakuna.run and processes with HAKUNA_RUN in their environment.

    Fix: hakuna down --inventory INVENTORY, by whoever started them; or on {node}: docker rm -f {names}
    Source: dlinfer docs/ascend_multinodes.md 2.4; cilium-cli #67
    """
    if inventory.attached:
        findings.skip("the service that is already up may belong to a run")
    for node, rows in hosts.labelled_containers:
        if rows:
            owner = ", ".join(sorted({r.labels.get("hakuna.holder", "?") for r in rows}))
            findings.fail(node, expected="none", observed=f"{len(rows)} of {owner}", names=[r.name for r in rows])
    for node, found in hosts.labelled_processes:
        if found and not hosts.labelled_containers.get(node):
            findings.fail(node, expected="none", observed=[f"pid {p.pid}" for p in found], names="", fix="ray stop")


@rule("HST107", guide="2.2", needs=("HST105", "HST106"))
def test_the_ports_are_free(hosts, inventory, findings):
    """Ray, the api_server and HCCL (60000 to 60031 on the host) fail late and obscurely when a port is taken.

    Judged on the listening sockets of every node, before anything is started.

    Fix: on {node}: ss -ltnp 'sport = :{port}'; then stop it or choose another port in the inventory
    Source: EI0019; vllm-ascend #405, #1955
    """
    if inventory.attached:
        findings.skip("the ports belong to the service that is already up")
    ports = set(ports_of(inventory.model))
    for node, listeners in hosts.listeners:
        for port in sorted({x.port for x in listeners} & ports):
            who = next(x for x in listeners if x.port == port)
            name = f"{who.process or 'somebody'} (pid {who.pid or '?'})"
            findings.fail(node, expected=f"port {port} free", observed=name, port=port)


@rule("HST108", guide="0", needs=("HST113", "HST106"))
def test_no_foreign_process_is_on_an_npu(hosts, inventory, findings):
    """A process left on a device keeps its memory and its HCCP: the next one fails with EJ0001.

    Judged on the process table of npu-smi info.

    Fix: on {node}: see who it is (ps -fp {pid}), then end it
    Source: LlamaFactory #3839, verl #332
    """
    if inventory.attached:
        findings.skip("the devices belong to the service that is already up")
    for node, info in hosts.npu_info:
        for process in info.processes:
            place = Where(node.node, info.device_of(process))
            findings.fail(place, expected="no process", observed=f"{process.name} (pid {process.pid})", pid=process.pid)


# --- are they alike? --------------------------------------------------------------------------------------------------


@rule("HST109", guide="0", needs=("HST113",))
def test_driver_versions_are_equal(hosts, findings):
    """The guide asks for one driver version on all nodes; a different one fails in the first collective (EI0008).

    Judged on /usr/local/Ascend/driver/version.info; the minority is blamed.

    Fix: install driver {expected} on {node}
    Source: dlinfer docs/ascend_multinodes.md 0; gpustack #755; vllm-ascend #2244
    """
    for node, observed in hosts.driver.map(lambda v: v.version).minority():
        findings.fail(node, expected=hosts.driver.map(lambda v: v.version).majority, observed=observed)


@rule("HST110", guide="0", needs=("HST113",))
def test_firmware_versions_are_equal(hosts, findings):
    """Driver and firmware come in pairs; an odd firmware shows as runtime errors on that node only.

    Judged on /usr/local/Ascend/firmware/version.info; the minority is blamed.

    Fix: install firmware {expected} on {node}
    Source: dlinfer docs/ascend_multinodes.md 0; gpustack #755; vllm-ascend #4284
    """
    for node, observed in hosts.firmware.map(lambda v: v.version).minority():
        findings.fail(node, expected=hosts.firmware.map(lambda v: v.version).majority, observed=observed)


@rule("HST111", guide="0", needs=("HST113",))
def test_npu_smi_versions_are_equal(hosts, findings):
    """npu-smi comes with the driver: another version means a half-done upgrade.

    Judged on the first line of npu-smi info; the minority is blamed.

    Fix: finish the driver installation on {node}: expected npu-smi {expected}
    Source: dlinfer docs/ascend_multinodes.md 0; npu-smi reference (npu-smi info)
    """
    for node, observed in hosts.npu_info.map(lambda i: i.version).minority():
        findings.fail(node, expected=hosts.npu_info.map(lambda i: i.version).majority, observed=observed)


@rule("HST112", guide="0", needs=("HST113",))
def test_cann_versions_are_equal(hosts, findings):
    """Where CANN is installed on the hosts it must be the same; without containers it is what runs.

    Judged on CANN's own version file; nodes without one count as a version of their own.

    Fix: install CANN {expected} on {node}
    Source: dlinfer docs/ascend_multinodes.md 0; vllm-ascend #4284, #2244
    """
    cann = hosts.cann.map(lambda c: c.version or "none")
    for node, observed in cann.minority():
        findings.fail(node, expected=cann.majority, observed=observed)


# --- are they whole? --------------------------------------------------------------------------------------------------


@rule("HST113", guide="1, 5")
def test_the_ascend_tools_are_there(hosts, findings):
    """Without npu-smi and hccn_tool nothing about the devices can be known; other tools pass in silence then.

    Judged on the PATH of every node, with /usr/local/Ascend/driver/tools added.

    Fix: install the Ascend driver on {node} (it brings both)
    Source: gpustack/runtime #28; msprechecker passes without hccn_tool
    """
    for node, tools in hosts.tools:
        missing = [name for name in TOOLS if tools.get(name) is None]
        if missing:
            findings.fail(node, expected="hccn_tool and npu-smi", observed=f"{', '.join(missing)} not found")


@rule("HST114", guide="1", needs=("HST113",))
def test_every_device_is_seen(hosts, inventory, findings):
    """A card that fell off the bus is missed only when Ray waits for it, 1800 s later.

    Judged on npu-smi info against the device ids of the inventory.

    Fix: on {node}: lspci | grep acce; power-cycle the machine if the card is gone there too
    Source: vllm-ascend #8519; npu-smi reference (npu-smi info -l)
    """
    for node, info in hosts.npu_info:
        seen = {chip.phy_id if chip.phy_id is not None else chip.npu for chip in info.chips}
        for device in inventory.model.node(node.node).devices:
            if device.device not in seen:
                findings.fail(device, expected="in npu-smi info", observed=f"seen: {sorted(seen)}")


@rule("HST115", guide="1", needs=("HST114",))
def test_every_device_is_healthy(hosts, findings):
    """A device in alarm hangs copies for minutes before a job dies.

    Judged on npu-smi info -t health of every device.

    Fix: on {node}: npu-smi info -t health -i {device_id} -c 0; look the codes up, then reset or replace the card
    Source: Ascend FaultDiag (alarm codes such as A4025021); npu-smi reference (-t health)
    """
    for device, health in hosts.npu_health:
        if not health.ok:
            codes = f" ({' '.join(health.codes)})" if health.codes else ""
            findings.fail(device, expected="OK", observed=f"{health.status}{codes}")


@rule("HST116", guide="0", needs=("HST114",))
def test_driver_and_firmware_fit_each_other(hosts, findings):
    """The driver itself knows whether the card's firmware fits it.

    Judged on "Compatibility" of npu-smi info -t board, where the release prints it.

    Fix: install the firmware that belongs to driver {software} on {node}
    Source: npu-smi reference (-t board: Compatibility); vllm-ascend #4284
    """
    for device, board in hosts.npu_board:
        if board.compatibility not in (None, "OK"):
            findings.fail(device, expected="OK", observed=board.compatibility, software=board.software)


@rule("HST117", guide="1", needs=("HST114",))
def test_the_device_nodes_exist(hosts, inventory, findings):
    """The guide hands /dev/davinci0 to /dev/davinci7 and the control nodes to the container.

    Judged on /dev of every node against the inventory's device ids and container.control_devices.

    Fix: on {node}: reload the Ascend driver; {missing} is missing
    Source: Ray accelerators/npu.py (counts /dev/davinci*); vllm-ascend #8519
    """
    control = {path.rpartition("/")[2] for path in inventory.model.container.control_devices}
    for node, nodes in hosts.device_nodes:
        for device in inventory.model.node(node.node).devices:
            if device.device not in nodes.davinci:
                missing = f"/dev/davinci{device.device}"
                findings.fail(device, expected=missing, observed="absent", missing=missing)
        for name in sorted(control - nodes.control):
            findings.fail(node, expected=f"/dev/{name}", observed="absent", missing=f"/dev/{name}")


@rule("HST118", guide="0", gates=False)
def test_the_clocks_agree(hosts, inventory, findings):
    """Skewed clocks make logs of several nodes unreadable side by side and certificates invalid.

    Judged on each node's time against the controller's, less the time the batch took.

    Fix: on {node}: chronyc makestep (or: timedatectl set-ntp true)
    Source: tt-metal 35914; hicann/hccl fault_diagnosis compares the times of all ranks
    """
    limit = inventory.model.thresholds.clock_skew
    for node, offset in hosts.clock_offset:
        if abs(offset) > limit:
            findings.fail(node, expected=f"within {limit:g} s", observed=f"{offset:+.1f} s")


@rule("HST119", guide="1")
def test_there_is_room_on_the_disks(hosts, inventory, findings):
    """A full disk shows as a Ray that spills, a log that stops, or a container that does not start.

    Judged on df of / and /tmp against thresholds.disk_free_gib.

    Fix: free space on {node}:{mount}
    Source: Ascend FaultDiag (No space left on device)
    """
    limit = inventory.model.thresholds.disk_free_gib
    for node, rows in hosts.disk:
        for row in rows:
            free = row.available / 2**30
            if row.mount != "/dev/shm" and free < limit:  # noqa: S108  # its size is judged in the container
                findings.fail(node, expected=f"{limit:g} GiB free", observed=f"{free:.1f} GiB", mount=row.mount)


# --- container engine, image, model -----------------------------------------------------------------------------------


@rule("HST120", guide="1")
def test_the_container_engine_works(hosts, inventory, findings):
    """Section 1 of the guide needs Docker (or podman, nerdctl) running on every node.

    Judged on the engine's own version command, which asks its daemon.

    Fix: on {node}: systemctl start docker
    Source: Docker CLI reference (docker version)
    """
    if inventory.model.container.engine.value == "none":
        findings.skip("the deployment uses no container")
    for node, engine in hosts.engine:
        if not engine.running:
            findings.fail(node, expected="a running engine", observed=engine.message)


@rule("HST121", guide="0, 1", needs=("HST120",))
def test_the_image_is_the_same_everywhere(hosts, inventory, findings):
    """A tag such as a2-latest moves: two nodes that pulled on different days run different software.

    Judged on the image's digest (its id where it was not pulled from a registry); the minority is blamed.

    Fix: on {node}: docker pull {image}
    Source: dlinfer docs/ascend_multinodes.md 1 (a2-latest moves); Docker reference (RepoDigests)
    """
    if inventory.model.container.engine.value == "none":
        findings.skip("the deployment uses no container")
    image = inventory.model.container.image
    digests = hosts.image.map(lambda i: i.digest)
    for node, digest in digests:
        if digest is None:
            findings.fail(node, expected=image, observed="not on this node", image=image)
    present = digests.where(lambda node: digests.get(node) is not None)
    for node, digest in present.minority():
        findings.fail(node, expected=present.majority, observed=digest, image=image)


@rule("HST122", guide="1")
def test_the_model_is_there_and_the_same(hosts, inventory, findings):
    """Every node loads its own shard from its own disk: same path, same files.

    Judged on the names and sizes of the files at server.model_path and the hash of config.json.

    Fix: copy {path} from a good node to {node}
    Source: LMDeploy pytorch_multinodes.md: the model directory must be at the same path on all nodes
    """
    path = inventory.model.server.model_path
    for node, files in hosts.model_files:
        if "config.json" not in files.sizes:
            observed = "no such directory" if not files.sizes else "no config.json"
            findings.fail(node, expected="a model", observed=observed, path=path)
    whole = hosts.model_files.where(lambda n: "config.json" in (hosts.model_files.get(n) or _NO_FILES).sizes)
    sizes = whole.map(lambda f: tuple(sorted(f.sizes.items())))
    for node, observed in sizes.minority():
        different = sorted(set(observed) ^ set(sizes.majority or ()))
        findings.fail(node, expected="the majority's files", observed=[n for n, _ in different][:5], path=path)
    configs = hosts.model_config.where(lambda n: n in whole)
    for node, observed in configs.minority():
        findings.fail(node, expected=f"config.json {configs.majority}", observed=observed, path=path)


class _NO_FILES:  # noqa: N801  # a constant that looks like ModelFiles
    sizes = ()
