# SPDX-License-Identifier: Apache-2.0
"""Stage 7, the api_server: it came up, it is what was asked for, and every device has its worker (guide, 4.1)."""

import json

from hakuna import Where, rule
from hakuna.judgement import versions
from hakuna.probes.ray import head_address
from hakuna.releases import Behaviour
from hakuna.stages.ray import TABLE_VARIABLE

OK = 200


@rule("SRV701", guide="4.1", rests_on=("INV005", "RAY505", "SRV710", "SRV712"), releases=(Behaviour.DEATH,))
def test_the_server_becomes_ready(api_server, inventory, findings):
    """A server that dies while loading, or never answers, keeps its real reason in its log, above the
    generic last line.

    Judged on the process, GET /health, the model in /v1/models and one generated token, within
    thresholds.time_to_ready. A 400 is not ready.

    Fix: read the log: {log}
    Source: lmdeploy mp_engine/zmq_engine.py (waits for a dead engine up to 0.13.0); lmdeploy #3354, #3637
    """
    head = inventory.model.head_node
    findings.saw("server.poll")
    log = api_server.log.fact if api_server.log.readable else None
    cause = (log.cause if log else None) or "see the log"
    ending = cause
    if log and not log.cause:
        ending = f"no cause in its log, which ends: {' | '.join(log.last)}" if log.last else "its log is empty"
    path = inventory.model.server.log
    if api_server.ready:
        findings.note(f"ready after {api_server.waited:.1f} s")
    elif api_server.died:
        where = f"it died after {api_server.waited:.1f} s"
        findings.fail(head, expected="an answering server", observed=f"{where}: {ending}", log=path)
    else:
        limit = inventory.model.thresholds.time_to_ready if api_server.launched else 0
        last = log.milestones[-1] if log and log.milestones else cause
        observed = f"no answer within {limit:g} s; last: {last}" if api_server.launched else "nothing answers"
        if log and log.cause and not api_server.launched:
            observed += f"; its log tells {log.cause}"
        elif log and log.cause and not versions.ruling(Behaviour.DEATH, api_server.version).value:
            observed += f"; its log tells {log.cause}, and this release may wait for a dead engine for ever"
        findings.fail(head, expected="an answering server", observed=observed, log=path)


@rule("SRV702", guide="4.1", rests_on=("SRV701",))
def test_the_arguments_are_the_ones_asked_for(api_server, inventory, findings):
    """What counts is what the running process was given: wrappers, aliases and old units change command lines.

    Judged on /proc/PID/cmdline of the api_server: model, --backend, --device, --tp, --server-port.

    Fix: start it with: {command}
    Source: lmdeploy/cli/serve.py
    """
    running = api_server.arguments.value
    model = inventory.model
    head = model.head_node
    command = " ".join(api_server.command)
    wanted = {
        "model": (model.server.model_path, running.model),
        "--backend": (model.server.backend, running.backend),
        "--device": (model.server.device, running.device),
        "--tp": (model.tp, running.tp),
        "--server-port": (model.server.port, running.port),
    }
    for name, (expected, observed) in wanted.items():
        if expected != observed:
            findings.fail(head, expected=f"{name} {expected}", observed=observed, command=command)


@rule(
    "SRV704",
    guide="4.1",
    rests_on=("SRV701", "SRV712"),
    needs=("RAY503", "RAY507"),
    releases=(
        Behaviour.DEVICE,
        Behaviour.NOSET,
    ),
)
def test_every_device_has_one_worker(api_server, inventory, findings):
    """tp=16 means 16 workers, 8 on each node: two on one device, or all on the head, end out of memory.

    Judged on Ray's worker processes of every node, and on npu-smi's process table where it names them.

    Fix: check NPU resources and {variable} on {node}
    Source: lmdeploy ray_executor.py _sort_workers
    """
    for node, found in api_server.workers:
        expected = len(inventory.model.node(node.node).device_ids)
        if len(found) != expected:
            findings.fail(
                node,
                expected=f"{expected} workers",
                observed=len(found),
                variable="RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES",
            )
    for node, info in api_server.npu:
        used = [info.device_of(p) for p in info.processes]
        for npu in sorted(set(used)):
            if used.count(npu) > 1:
                findings.fail(Where(node.node, npu), expected="one worker", observed=used.count(npu), variable="ranks")


@rule("SRV705", guide="3, 4.1", rests_on=("SRV701",), releases=(Behaviour.TABLE,))
def test_the_server_knows_the_rank_table(api_server, rank_table, inventory, findings):
    """Up to 0.14.0 it is the serving process that reads ASCEND_RANK_TABLE_FILE_PATH; without it two nodes are taken for
    one.

    Judged on /proc/PID/environ of the api_server.

    Fix: export ASCEND_RANK_TABLE_FILE_PATH={expected} before lmdeploy serve
    Source: lmdeploy #3260; ray_executor.py get_ascend_device_rank_mapping up to v0.14.0
    """
    if not rank_table.needed:
        findings.skip(f"no rank table is used: {rank_table.why}")
    path = inventory.model.rank_table.path
    head = inventory.model.head_node
    for process in api_server.process.value[:1]:
        observed = process.env.get(TABLE_VARIABLE)
        if observed != path:
            findings.fail(head, expected=path, observed=observed or "not set")


@rule("SRV706", guide="2.1", rests_on=("SRV701",), releases=(Behaviour.IF_IP,))
def test_hccl_if_ip_does_not_leak_to_the_workers(api_server, inventory, findings):
    """From 0.15.0 LMDeploy forwards the serving shell's HCCL_IF_IP to all workers: those of other nodes then bind an
    address that they do not have.

    Judged on /proc/PID/environ of the api_server, by version.

    Fix: unset HCCL_IF_IP before lmdeploy serve (it belongs before ray start only); use HCCL_SOCKET_IFNAME
    Source: lmdeploy/pytorch/envs.py from 0.15.0; reproduced with LMDeploy 0.18.0 and Ray 2.60
    """
    leak = versions.hccl_if_ip_leaks(api_server.version, spans_nodes=len(inventory.model.nodes) > 1)
    if not leak.value:
        findings.skip(f"it does not leak here: {leak.source}")
    for process in api_server.process.value:
        if "HCCL_IF_IP" in process.env:
            observed = process.env["HCCL_IF_IP"]
            findings.fail(inventory.model.head_node, expected="HCCL_IF_IP not set", observed=observed)


@rule("SRV707", guide="4.1", rests_on=("SRV701",))
def test_the_model_is_listed(api_server, inventory, findings):
    """Clients ask for the model by the id in /v1/models: --model-name, or else the path.

    Judged on GET /v1/models.

    Fix: set server.served_name, or ask for {observed}
    Source: lmdeploy/serve/openai/api_server.py (/v1/models)
    """
    answer = api_server.models.value
    head = inventory.model.head_node
    if answer.status != OK:
        findings.fail(head, expected="HTTP 200", observed=f"HTTP {answer.status}")
        return
    ids = [m.get("id") for m in json.loads(answer.text).get("data", [])]
    if inventory.model.model_name not in ids:
        findings.fail(head, expected=inventory.model.model_name, observed=ids)


@rule("SRV708", guide="4.1", rests_on=("SRV701",), releases=(Behaviour.HEALTH,))
def test_the_server_says_it_is_healthy(api_server, inventory, findings):
    """From 0.14.0 /health speaks of the engine; before, 200 only means that the HTTP loop lives.

    Judged on GET /health, by version.

    Fix: read the server's log for the first error
    Source: lmdeploy/serve/openai/api_server.py (/health) from 0.14.0
    """
    answer = api_server.health.value
    head = inventory.model.head_node
    if answer.status != OK:
        findings.fail(head, expected="HTTP 200", observed=f"HTTP {answer.status} {answer.text[:120]}")
    elif versions.health_is_json(api_server.version).value:
        try:
            status = json.loads(answer.text).get("status")
        except ValueError:
            status = answer.text[:80] or "an empty body"
        if status != "healthy":
            findings.fail(head, expected="healthy", observed=status)


@rule("SRV709", guide="5", rests_on=("SRV701",), gates=False)
def test_the_log_is_free_of_hccl_errors(api_server, inventory, findings):
    """HCCL's codes in the log of a server that runs announce the next hang.

    Judged on the api_server's log: EI0001 to EJ0004.

    Fix: see the code's page in the CANN documentation; {observed}
    Source: hicann/hccl docs/zh/user_guide/fault_diagnosis; CANN error codes EI0001 to EJ0004
    """
    findings.saw(f"{len(api_server.log.value.milestones)} milestones in the log")
    for error in api_server.hccl:
        findings.warn(inventory.model.head_node, expected="no HCCL error", observed=f"{error.code}: {error.text}")


@rule("SRV710", guide="4.1", rests_on=("INV005", "RAY505"))
def test_no_worker_failed_first(api_server, inventory, findings):
    """When one rank fails, all others time out waiting for it, and it is their words (EI0006, EI0015) that the server
    repeats. What counts is what the first one said, in a log of its own on its own node.

    Judged when the server did not come up, on the logs of every node: the server's, Ray's worker logs and raylet.out
    (/tmp/ray/session_latest/logs), and CANN's plog (~/ascend/log). A rank that reports something of its own comes
    before those that waited; if none does, the one that everybody waited for.

    Fix: on {where}, what the code asks for:
    a taken port (EI0019, EJ0003): ss -ltnp; a device in use (EJ0001): npu-smi info
    TLS (EI0016): hccn_tool -i N -tls -g; an address (EI0014): make the rank table again
    without a code: read the log that is named
    Source: hicann/hccl fault_diagnosis (cluster_info_nego.md, param_link_stage.md); CANN error codes EI0001 to EJ0004
    """
    if api_server.ready:
        findings.skip("the server answers: nobody failed")
    cause = api_server.logs.first_failure(inventory.model.head_node.where)
    if cause is not None and not cause.driver:
        findings.fail(cause.where, expected="workers that come up", **cause.words)


@rule("SRV712", guide="2.4, 4.1")
def test_the_server_joins_the_cluster_that_was_brought_up(api_server, inventory, findings):
    """LMDeploy takes the cluster that RAY_ADDRESS names, or that Ray finds, or else one of its own on this machine
    alone; where that is not the guide's it waits in silence, or serves from somewhere else.

    Judged on Ray's words in the api_server's log, and where there are none on RAY_ADDRESS in its environment.

    Fix: export RAY_ADDRESS={expected} in the shell that serves, inside the container
    Source: ray/_private/worker.py (init); lmdeploy/pytorch/ray.py init_ray_cluster
    """
    head = inventory.model.head_node
    wanted = head_address(inventory.model)
    joined = api_server.log.fact.cluster if api_server.log.readable else None
    if joined is None:
        told = [p.env["RAY_ADDRESS"] for p in api_server.process.value if "RAY_ADDRESS" in p.env]
        joined = told[0] if told and told[0].partition(":")[0] not in ("auto", "localhost", "127.0.0.1") else None
    if joined is None:
        findings.skip("neither its log nor its environment names a cluster")
    findings.saw(joined)
    if joined != wanted:
        findings.fail(head, expected=wanted, observed=joined)


@rule("SRV711")
def test_no_node_was_restarted_while_the_server_loaded(api_server, hosts, findings):
    """A node that started again has taken its workers with it; LMDeploy says only that an actor died. What fails from
    then on, anywhere, is blocked by this.

    Judged on the boot id of every node in the host stage and when the server answers, or has failed to.

    Fix: find out why {node} restarted (last -x; dmesg), then run again
    Source: tt-metal 35914
    """
    for node, before, now in hosts.restarted(api_server.boot_id):
        findings.fail(node, expected=before, observed=now)
