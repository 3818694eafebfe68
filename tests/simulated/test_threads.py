# SPDX-License-Identifier: Apache-2.0
"""Real threads, replayed: what took people days is named in the first screen.

Each thread is a fault of the simulated cluster; the first screen is the first 25 lines of ``pytest -q --tb=no``, 80
columns wide. What it must say is what the thread's last comment said at last.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
from cluster import ROOT, judged, mock, with_faults

from hakuna.judgement.rules import BOOK
from hakuna.reports.model import from_run
from hakuna.reports.terminal import render
from hakuna.simulator.scenario import with_settings

#: Lines that stand above the report in ``pytest -q --tb=no``: two of dots, and the heading.
ABOVE = 3
SCREEN = 25


@dataclass(frozen=True)
class Thread:
    """``says`` must all stand in the first screen, white space aside."""

    source: str
    faults: tuple[str, ...]
    says: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.source


THREADS = (
    Thread(
        "vllm-ascend #9447",
        ("link-down@node-b/3",),
        ("1. NET207", "node-b/3", "hccn_tool -i 3", "BLOCKED by NET207 on node-b/3"),
        name="vllm-ascend #9447: EI0006, LINK_ERROR_INFO; the port of one device was down",
    ),
    Thread(
        "vllm-ascend #168",
        ("device-unreachable@node-b/3",),
        ("1. NET220", "node-b/3", "BLOCKED by NET220 on node-b/3"),
        name="vllm-ascend #168: hangs; one device's address was not reachable",
    ),
    Thread(
        "vllm-ascend #16847",
        ("stale-hccn-conf@node-b/2",),
        ("1. NET205", "node-b/2", "address_2=10.20.1.112", "10.20.1.12", "/etc/hccn.conf"),
        name="vllm-ascend #16847: 1 of 32 addresses in hccn.conf was stale",
    ),
    Thread(
        "vllm-ascend #10224",
        ("tls-differs@node-b",),
        ("1. NET204", "node-b/0, node-b/1", "hccn_tool -i 3 -tls -s enable 0"),
        name="vllm-ascend #10224: TLS was on at one of the nodes",
    ),
    Thread(
        "hccn_tool reference: tls alarm time threshold",
        ("certificate-expiring@node-b/3",),
        ("NET213", "node-b/3", "5 days left"),
        name="hccn_tool: a certificate runs out",
    ),
    Thread(
        "gpustack #2551",
        ("no-device-ip@node-b/3",),
        ("1. NET201", "node-b/3"),
        name="gpustack #2551: device_ip is invalid in ranktable file: no address was ever set",
    ),
    Thread(
        "gpustack #2821",
        ("table-double-address",),
        ("1. RNK406", "node-b/7", "line "),
        name="gpustack #2821: the same device_ip twice",
    ),
    Thread(
        "lmdeploy #3260",
        ("wrong-server-id",),
        ("1. RNK405", "node_0", "192.0.2.11"),
        name="lmdeploy, Master address does not match rank table: server_id is no node IP",
    ),
    Thread(
        "Ascend FaultDiag AISW_CANN_HCCL_020",
        ("table-differs@node-b",),
        ("1. RNK407", "node-b"),
        name="FaultDiag HCCL_020: the rank table differs between nodes",
    ),
    Thread(
        "gpustack/runtime #27",
        ("table-version-wrong",),
        ("1. RNK408", "2.0", "1.0"),
        name="gpustack/runtime #27: EI0014, a table of another chip",
    ),
    Thread(
        "vllm-ascend #1364",
        ("wrong-ray-address@node-b",),
        ("1. RAY503", "node-b", "a member at", "--node-ip-address"),
        name="vllm-ascend #1364: Ray joined under another interface's address",
    ),
    Thread(
        "vllm-ascend #946",
        ("interface-missing@node-b",),
        ("1. HST123", "node-b", "interfaces:"),
        name="vllm-ascend #946: GLOO_SOCKET_IFNAME names no interface of one node",
    ),
    Thread(
        "gpustack #2125",
        ("hostname-loopback@node-b",),
        ("1. HST124", "node-b", "127.0", "/etc/hosts"),
        name="gpustack #2125: Gloo connectFullMesh failed, remote=[127.0.0.1]",
    ),
    Thread(
        "vllm-ascend #412",
        ("stale-ray@node-b",),
        ("1. RAY501", "node-b", "pid"),
        name="vllm-ascend #412: a raylet of another cluster was still there",
    ),
    Thread(
        "vllm-ascend #167",
        ("worker-missing@node-b",),
        ("1. RAY503", "node-b", "not a member"),
        name="vllm-ascend #167: 1801 s, 1 of 8 joined",
    ),
    Thread(
        "ray #55137",
        ("npu-resource-zero@node-b",),
        ("1. RAY504", "node-b", "--resources"),
        name="ray #55137: the node joins without an NPU resource",
    ),
    Thread(
        "LlamaFactory #3839",
        ("foreign-process@node-b/3",),
        ("1. HST108", "node-b/3", "pid 55118"),
        name="LlamaFactory #3839: EJ0001, a process of before holds the device",
    ),
    Thread(
        "vllm-ascend #1955",
        ("port-taken@node-a",),
        ("1. HST107", "node-a", "6379", "pid"),
        name="vllm-ascend #1955: EJ0003, the port is taken",
    ),
    Thread(
        "gpustack #755",
        ("driver-differs@node-b",),
        ("1. HST109", "node-b", "25.2.0", "24.1.rc3"),
        name="gpustack #755: another driver on one node",
    ),
    Thread(
        "LMDeploy pytorch_multinodes.md",
        ("model-differs@node-b",),
        ("1. HST122", "node-b"),
        name="LMDeploy: the model differs on one node",
    ),
    Thread(
        "xllm #498",
        ("eager-missing",),
        ("1. SRV703", "--eager-mode", "rankSize [16] is invalid"),
        name="xllm #498: rankSize [16] is invalid: no eager mode across nodes",
    ),
    Thread(
        "gpustack/runtime #28",
        ("device-not-in-container@node-b/3",),
        ("1. CTR303", "node-b/3"),
        name="gpustack/runtime #28: the device is not in the container",
    ),
    Thread(
        "dlinfer docs/ascend_multinodes.md 1",
        ("shm-small@node-b",),
        ("1. CTR306", "node-b"),
        name="dlinfer guide: /dev/shm is Docker's 64 MB",
    ),
    Thread(
        "lmdeploy #3354",
        ("server-dies",),
        ("1. SRV701", "NPU out of memory", "died"),
        name="lmdeploy #3354: it dies while it loads",
    ),
    Thread(
        "lmdeploy #3637",
        ("engine-dies-in-request",),
        ("1. GEN801", "node-a"),
        name="lmdeploy #3637: it dies in a request",
    ),
    Thread(
        "vllm-ascend #405",
        ("worker-port-taken@node-b/3",),
        ("1. SRV710", "node-b/3", "rank 11", "15 other ranks only waited", "EI0019", "16666"),
        name="vllm-ascend #405: 15 ranks say EI0006, one says that its port is taken",
    ),
    Thread(
        "vllm-ascend #5461",
        ("worker-hangs@node-b/3",),
        ("1. SRV710", "node-b/3", "rank 11", "says nothing itself", "15 other ranks"),
        name="vllm-ascend #5461: Getting socket times out: the rank that everybody waits for",
    ),
    Thread(
        "gpustack #2551",
        ("duplicate-rank-id",),
        ("1. RNK402", "node-b/7", "line "),
        name="gpustack #2551: a rank_id stands twice in the table",
    ),
    Thread(
        "lmdeploy ray_executor.py",
        ("rank-gap",),
        ("1. RNK403", "node-b/7", "line "),
        name="lmdeploy: Rank ids are not contiguous starting from 0",
    ),
    Thread(
        "vllm-ascend PR #4727",
        ("address-elsewhere@node-b",),
        ("1. HST123", "node-b", "192.0.2.12"),
        name="vllm-ascend PR #4727: the node's address is on another interface",
    ),
    Thread(
        "gpustack #4171",
        ("two-raylets@node-b",),
        ("1. RAY507", "node-b", "observed  2"),
        name="gpustack #4171: two raylets on one node",
    ),
    Thread(
        "vllm-ascend #1955",
        ("server-port-taken@node-a",),
        ("1. HST107", "node-a", "23333", "pid"),
        name="vllm-ascend #1955: the server's port is taken",
    ),
    Thread(
        "vllm-ascend #1955",
        ("hccl-port-taken@node-b",),
        ("1. HST107", "node-b", "60000", "pid"),
        name="vllm-ascend #1955: HCCL's port is taken on the host",
    ),
    Thread(
        "dlinfer docs/ascend_multinodes.md 0",
        ("image-differs@node-b",),
        ("1. HST121", "node-b", "sha256"),
        name="dlinfer guide: the image's tag stands for another digest on one node",
    ),
    Thread(
        "LMDeploy pytorch_multinodes.md",
        ("model-missing@node-b",),
        ("1. HST122", "node-b"),
        name="LMDeploy: the model directory is missing on one node",
    ),
    Thread(
        "LMDeploy 300I Duo docs",
        ("eager-added",),
        ("1. SRV703", "graph mode", "Atlas 300I Duo runs in graph mode"),
        {"chip": "atlas-300i-duo", "nodes": 1, "server.eager_mode": False},
        name="LMDeploy 300I Duo: --eager-mode where it must not be",
    ),
    Thread(
        "lmdeploy #3637",
        ("server-never-ready",),
        ("1. SRV701", "node-a", "no answer within", "last: "),
        {"thresholds.time_to_ready": 0.3},
        name="lmdeploy #3637: it starts and never answers",
    ),
    Thread(
        "lmdeploy #3354",
        ("garbage-generation",),
        ("1. GEN805", "node-a", "a sensible text"),
        name="lmdeploy #3354: it answers with garbage",
    ),
    Thread(
        "lmdeploy #3637",
        ("worker-full-in-request@node-b/3",),
        ("1. GEN814", "node-b/3", "rank 11", "NPU out of memory"),
        name="lmdeploy #3637: it dies in a request, of one worker on another node",
    ),
    Thread(
        "OpenSSH ssh(1)",
        ("host-key-changed@node-b",),
        ("1. HST102", "node-b", "SHA256"),
        name="ssh: the node has another host key than yesterday",
    ),
    Thread(
        "OpenSSH ssh(1)",
        ("login-refused@node-b",),
        ("1. HST103", "node-b"),
        name="ssh: the node refuses the login",
    ),
    Thread(
        "Ascend FaultDiag (No space left on device)",
        ("low-disk@node-b",),
        ("1. HST119", "node-b"),
        name="FaultDiag: the disk is full",
    ),
    Thread(
        "pytest-testinfra #449",
        ("dead-host@node-b",),
        ("1. HST101", "node-b", "timed out"),
        name="pytest-testinfra #449: a dead host",
    ),
    Thread(
        "ROCm/cvs #269",
        ("connection-cut@node-b",),
        ("1. HST104", "node-b"),
        name="ROCm/cvs #269: unreachable nodes fail loudly",
    ),
    Thread(
        "tt-metal 35914",
        ("reboot@node-b",),
        ("TDN906", "node-b"),
        name="tt-metal 35914: a node was restarted in the middle of the run",
    ),
    Thread(
        "vllm-ascend #4284",
        ("clock-skew@node-b", "host-cann-differs@node-b"),
        ("1. HST112", "2. HST118", "node-b"),
        name="vllm-ascend #4284: another CANN on one node, whose clock is wrong too",
    ),
)


def words(text: str) -> str:
    """The text with its line breaks, and where lines were folded, taken out."""
    return " ".join(text.split())


@pytest.mark.parametrize("thread", THREADS, ids=str)
def test_the_first_screen_names_what_the_thread_took_days_to_find(thread, tmp_path):
    inventory = with_faults(*thread.faults, inventory=with_settings(mock(), thread.settings))
    patient = inventory.ray.model_copy(update={"join_timeout": 0.2})
    run, summary = judged(tmp_path, inventory.model_copy(update={"ray": patient}))
    run.journal.write("end", verdict=summary.verdict.value)
    run_json = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    events = [json.loads(x) for x in (run.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    text = render(from_run(run_json, events, summary.results, book=BOOK), width=80, color=False)
    screen = words("\n".join(text.splitlines()[: SCREEN - ABOVE]))
    missing = [said for said in thread.says if words(said) not in screen]
    assert not missing, f"{missing} not in the first screen:\n{text}"


def test_so_does_a_whole_session_of_pytest(tmp_path):
    thread = next(t for t in THREADS if t.source == "vllm-ascend #405")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--inventory=inventory/mock.yaml", "-q", "--tb=no"),
            *("--reports", str(tmp_path / "reports"), "-p", "no:cacheprovider"),
            *(word for fault in thread.faults for word in ("--fault", fault)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    screen = words("\n".join(done.stdout.splitlines()[:SCREEN]))
    assert [said for said in thread.says if words(said) not in screen] == []
