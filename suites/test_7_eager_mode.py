# SPDX-License-Identifier: Apache-2.0
"""Stage 7, eager mode: the guide's one hard restriction, read from the process that really runs (guide, 0 and 4)."""

from hakuna import rule
from hakuna.judgement.versions import EagerDemand
from hakuna.releases import Behaviour


@rule("SRV703", guide="0, 4.1, 4.2", rests_on=("SRV701",), releases=(Behaviour.EAGER,))
def test_the_running_server_is_in_eager_mode(api_server, inventory, findings):
    """Across nodes the guide's releases work in eager mode only: without it the graph backend picks lccl, which cannot
    leave a machine ("rankSize [16] is invalid"), or hangs. LMDeploy itself never checks.

    Judged on --eager-mode in /proc/PID/cmdline of the api_server, by the table of version, chip and topology.

    Fix: stop it and start it with: {command}
    Source: dlinfer docs/ascend_multinodes.md 4.2; xllm #498 (rankSize [16] is invalid)
    """
    running = api_server.arguments.value
    demand = api_server.eager_demand
    head = inventory.model.head_node
    findings.note(f"eager mode is {demand.value.value} here: {demand.source}")
    command = " ".join(api_server.command)
    if demand.value is EagerDemand.REQUIRED and not running.eager_mode:
        findings.fail(head, expected="--eager-mode", observed="graph mode", command=command, message=demand.source)
    elif demand.value is EagerDemand.FORBIDDEN and running.eager_mode:
        findings.fail(head, expected="graph mode", observed="--eager-mode", command=command, message=demand.source)
    elif demand.value is EagerDemand.ADVISED and not running.eager_mode:
        findings.warn(head, expected="--eager-mode", observed="graph mode", command=command, message=demand.source)
