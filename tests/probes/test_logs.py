# SPDX-License-Identifier: Apache-2.0
"""Logs of workers: what tells of trouble, who wrote it, whom it waited for; noise stays quiet."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from hakuna.probes import log_places, worker_logs
from hakuna.probes.hccl_codes import CODES, code_of
from hakuna.probes.log_places import Peer, Writer
from hakuna.probes.log_trouble import RAY, TORCH, Weight, troubles
from hakuna.probes.reading import UnparsedError

CAUSE, DIED, WAITED, WRAPPER = Weight.CAUSE, Weight.DIED, Weight.WAITED, Weight.WRAPPER

#: On the screen, as CANN writes it: new form, old form (hcomm's error table; LlamaFactory, verl, vllm-ascend threads).
ON_SCREEN = [
    ("EI0001", "Environment variable [HCCL_RDMA_SL] is invalid. Reason: the value is out of range."),
    ("EI0002", "The wait execution of the Notify register times out. Reason: The Notify register has not received"),
    ("EI0003", "In [HcclAllReduce], value [-1] for parameter [count] is invalid."),
    ("EI0004", "The ranktable or rank is invalid,Reason:[x]. Please check the configured ranktable. [/a.json]"),
    ("EI0005", "The arguments for collective communication are inconsistent between ranks: tag [x]"),
    ("EI0006", "Getting socket times out. Reason: Remote Rank did not send the data in time."),
    ("EI0007", "Failed to allocate resource[Notify] with info [x]. Reason: Memory resources are exhausted."),
    ("EI0008", "The HCCL versions are inconsistent: tag [x], local_version [8.5], remote_version [8.3]"),
    ("EI0009", "Transport init error. Reason: [Create][DestLink]Create Dest error!"),
    ("EI0011", "Failed to allocate [209715200] bytes of NPU memory."),
    ("EI0012", "SDMA memory copy task exception occurred. Remote rank: [3]."),
    ("EI0013", "An error CQE occurred during operator execution. Local information: server 1.1.1.1, device ID 0"),
    ("EI0014", "The ranktable information check failed, Reason:[x]."),
    ("EI0015", "Failed to collect cluster information of the communicator based on rootInfo detection. Reason: x."),
    ("EI0016", 'Value Disable for config "tls" is invalid. Expected Value:"All ranks are consistent."'),
    ("EI0017", "Config device_ip is missing in the ranktable file."),
    (
        "EI0019",
        "Failed to enable listening for the host network adapter socket.Reason: The IP address 192.168.1.100 and port",
    ),
    ("EJ0001", "Failed to initialize the HCCP process. Reason: Maybe the last training process is running."),
    ("EJ0002", "The network port is down.Suggest: check it"),
    ("EJ0003", "Failed to bind the IP port. Reason: The IP address and port have been bound already."),
    ("EJ0004", "Check ip fail. Reason: x"),
]


@pytest.mark.parametrize(("code", "words"), ON_SCREEN)
@pytest.mark.parametrize(
    "form",
    [
        "{code}: [PID: 10233] 2025-06-17-06:11:32.832.492 {words}",
        "[PID: 10233] 2025-06-17-06:11:32.832.492 Some_Error({code}): {words}",
        "(RayWorkerWrapper pid=10233, ip=10.0.0.2) {code}: 2025-06-17-06:11:32.832.492 {words}",
    ],
)
def test_every_code_is_known_as_it_stands_on_the_screen(code, words, form):
    (found,) = troubles(form.format(code=code, words=words))
    assert (found.code, found.writer.pid, found.time) == (code, 10233, "2025-06-17T06:11:32.832492")
    assert found.weight is (WAITED if CODES[code].waits else CAUSE)


@pytest.mark.parametrize(
    ("code", "words"), [x for x in ON_SCREEN if x[0] not in ("EI0003", "EI0007", "EI0019", "EJ0003")]
)
def test_most_codes_are_known_by_their_words(code, words):
    assert code_of(words) == code


@pytest.mark.parametrize(
    ("line", "weight", "code"),
    [
        ("RuntimeError: NPU out of memory. Tried to allocate 2.03 GiB (NPU 3; 60.97 GiB total capacity)", CAUSE, TORCH),
        ("AssertionError: Master address does not match rank table", CAUSE, TORCH),
        ("2026-03-13 10:15:05,676 - lmdeploy - ERROR - base.py:53 - ModuleNotFoundError: No module named 'dlinfer'", CAUSE, TORCH),
        ("RuntimeError: Initialize:NpuSysCtrl.cpp:215 NPU function error: c10_npu::SetDevice(8), error code is 107001", CAUSE, TORCH),
        ("RuntimeError: ACL stream synchronize failed, error code:507048 NPU function error", WRAPPER, TORCH),
        ("torch.distributed.DistBackendError: [3] is setting up HCCL communicator ... wait() timeout", WAITED, TORCH),
        ("torch.distributed.DistNetworkError: The client socket has timed out after 1800000ms while trying to connect to (10.0.0.1, 29500).", WAITED, TORCH),
        ("RuntimeError: [../gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.2]:1", WAITED, TORCH),
        ("ray.exceptions.RayTaskError(RuntimeError): ray::RayWorkerWrapper.warmup() (pid=5, ip=10.0.0.2)", WRAPPER, TORCH),
        ("[ERROR] 2025-10-11-11:32:59 (PID:15618, Device:11, RankID:-1) ERR00100 PTA call acl api failed.", WRAPPER, TORCH),
        ("(raylet) [2023-04-09 07:23:59,445 E 395 395] (raylet) node_manager.cc:3049: 10 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: e5d9, IP: 10.0.62.231) over the last time period.", CAUSE, RAY),
        ("(raylet) A worker died or was killed while executing a task by an unexpected system error. Worker IP address: 10.80.8.181 Worker port: 45555 Worker PID: 26103 Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file.", DIED, RAY),
        ("*** SIGSEGV received at time=1692931519 on cpu 133 ***", CAUSE, TORCH),
        ("Fatal Python error: Bus error", CAUSE, TORCH),
        ("OSError: [Errno 28] No space left on device", CAUSE, TORCH),
        ("[ERROR] HCCL(1,x):2026-01-01-00:00:00.000.001 [a.cc:1] something new", WRAPPER, "HCCL"),
        ("EZ9999: Inner Error!", WRAPPER, "EZ9999"),
        ("EE1001: The argument is invalid.Reason: rtMalloc failed", CAUSE, "EE1001"),
    ],
)  # fmt: skip
def test_how_telling_a_line_is(line, weight, code):
    (found,) = troubles(line)
    assert (found.weight, found.code) == (weight, code)


@pytest.mark.parametrize(
    "line",
    [
        "[INFO] HCCL(1,x):2026-01-01-00:00:00.000.001 [a.cc:1][1]Entry-HcclCommInitRootInfo:ranks[16], rank[3]",
        "[EVENT] HCCL(55,python):2023-12-28-06:25:51.049.801 [externalinput.cc:491][55]HCCL_CONNECT_TIMEOUT is set, timeOut[120]",
        "/usr/lib/python3/torch_npu/contrib/transfer_to_npu.py:299: ImportWarning: ",
        "[2026-03-18 10:31:04,552 E 401 440] (raylet) core_worker_process.cc:825: Failed to establish connection to the metrics exporter agent.",
        "(raylet) A worker died or was killed while executing a task by an unexpected system error. Worker exit type: SYSTEM_ERROR Worker exit detail: SystemExit is raised (sys.exit is called). Exit code: 1. The process receives a SIGTERM.",
        "INFO tpu.py:571: Failed to auto-detect TPU type.",
        "(raylet) node_manager.cc:3049: 0 Workers (tasks / actors) killed due to memory pressure (OOM)",
        "*** SIGTERM received at time=1692931519 on cpu 133 ***",
        "[Gloo] Rank 0 is connected to 15 peer ranks. Expected number of connected peer ranks is : 15",
        "ld.so: object '/usr/lib64/libjemalloc.so.2' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.",
        "        Solution: 1. Check the rank service processes. For details run hccn_tool. See EI0006",
        ":actor_name:RayWorkerWrapper",
    ],
)
def test_harmless_noise_stays_quiet(line):
    assert troubles(line) == ()


@pytest.mark.parametrize(
    ("line", "peers"),
    [
        ("   |  192.0.2.199(0)   |  16666  |   192.0.3.198(1)   |  3234403008  |  client  | time out |   DISABLE  | LinkInfo", [Peer(rank=0, device_ip="192.0.2.199")]),
        ("   |   124.0.0.11(1)   |   124.0.0.21(0)   |  server  | no connect |", [Peer(rank=1, device_ip="124.0.0.11")]),
        ("EI0006: srcRank[192.168.0.192/0] connect destRank[192.168.0.125/2] fail", [Peer(host="192.168.0.125", device=2)]),
        ("detects that srcRank (server 10.0.0.1, device ID 1) fails to connect to dstRank (server 10.0.0.2, device ID 0).", [Peer(host="10.0.0.2", device=0)]),
        ('fault_info["Failed to connect agent[1,3,5,7,]"]', [Peer(rank=1), Peer(rank=3), Peer(rank=5), Peer(rank=7)]),
        ("has not received the Notify record from remote rank: [3]. base information", [Peer(rank=3)]),
        ("rank [172.16.0.159/2]: rank [172.16.0.57/5] status[LOST] by rank [172.16.0.57/6]", [Peer(host="172.16.0.57", device=5)]),
        ("TopoExchangeAgent: connect server[127.10.0.1 : 60000] failed", [Peer(host="127.10.0.1")]),
        ("Reason: Receiving message from the root node timed out. Check whether node 10.0.0.1 reports an error.", [Peer(host="10.0.0.1")]),
        ("while trying to connect to (10.0.0.1, 29500).", [Peer(host="10.0.0.1")]),
        ("cqe error status[12] remoteIP:[1.1.1.1]", [Peer(device_ip="1.1.1.1")]),
        ("remoteIP{server[127.10.0.2],deviceId[127.10.0.2],deviceIp[127.11.0.2]}", [Peer(device_ip="127.11.0.2")]),
        ("rankList for enabled tls:[3]; rankList for disabled tls:[0,1,2]", [Peer(rank=3)]),
        ("nobody is named here", []),
    ],
)  # fmt: skip
def test_whom_a_line_waited_for(line, peers):
    assert list(log_places.peers_of(line)) == peers


@pytest.mark.parametrize(
    ("line", "writer"),
    [
        ("[ERROR] HCCL(17528,python3):2026-03-18-10:33:52.113.403 [x.cc:797] wait, role[1] rank[1]", Writer(17528, 1)),
        ("(PID:15618, Device:11, RankID:-1) ERR00100", Writer(15618, None, 11)),
        ("(RayWorkerWrapper pid=545, ip=10.17.44.60) x", Writer(545, host="10.17.44.60")),
        ("NPU out of memory (NPU 3; 60 GiB total)", Writer(device=3)),
        ("createLink para:rank[5]-localUserrank[4]-localIpAddr[1.1.1.1]", Writer(rank=5)),
        ("TsdOpen failed, deviceId[4].", Writer(device=4)),
        ("no connect to remote rank[3]", Writer()),
    ],
)
def test_who_wrote_a_line(line, writer):
    assert log_places.writer_of(line) == writer


def test_a_root_that_lists_who_came_misses_the_others():
    text = (
        "[ERROR] HCCL(1,x):2026-01-01-00:00:00.000.001 [t.cc:1] [1]topo exchange server get socket timeout! timeout[120 s]\n"
        "[ERROR] HCCL(1,x):2026-01-01-00:00:00.000.002 [t.cc:2] [1][DisplayConnectionedRank]need connect rankNum is [4]\n"
        "[ERROR] HCCL(1,x):2026-01-01-00:00:00.000.003 [t.cc:3] [1]connected rankinfo[LINE 0]: [0000000000000000],[0000000000000002];\n"
    )
    assert [p.rank for p in troubles(text)[0].peers] == [1, 3]


def test_a_failed_task_is_the_workers_whose_it_was():
    text = (
        "ray.exceptions.RayTaskError(RuntimeError): ray::RayWorkerWrapper.warmup_dist() (pid=77, ip=10.0.0.2)\n"
        "Traceback (most recent call last):\n"
        "RuntimeError: NPU out of memory. Tried to allocate 1 GiB (NPU 5; 60 GiB total)\n"
    )
    assert troubles(text)[-1].writer == Writer(77, None, 5, "10.0.0.2")


def test_logs_are_read_as_they_were_sent(tmp_path):
    ray = tmp_path / "ray/session_latest/logs"
    plog = tmp_path / "ascend/log/debug/plog"
    for folder in (ray, plog):
        folder.mkdir(parents=True)
    (ray / "worker-00ff-01000000-4242.err").write_text("one\n\ntwo | three")
    (ray / "raylet.out").write_text("fine\n" * 9000 + "x died\n")
    (ray / "gcs_server.out").write_text("not asked for\n")
    (plog / "plog-4242_20260318103300000.log").write_text("EI0006: x\n")
    (plog / "plog-1_20200101000000000.log").write_text("EI0001: of long ago\n")
    long_ago = time.time() - 86400
    os.utime(plog / "plog-1_20200101000000000.log", (long_ago, long_ago))
    command = worker_logs.logs(5)
    env = {"PATH": os.environ["PATH"], "RAY_TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(["sh", *command.argv[1:]], env=env, capture_output=True, check=True)
    found = {f.path.rpartition("/")[2]: f for f in worker_logs.parse_logs(done.stdout.decode())}
    assert set(found) == {"worker-00ff-01000000-4242.err", "raylet.out", "plog-4242_20260318103300000.log"}
    assert found["worker-00ff-01000000-4242.err"].text == "one\n\ntwo | three"
    assert {f.writer.pid for f in found.values()} == {4242, None}
    assert (found["raylet.out"].cut, found["raylet.out"].text.count("x died")) == (
        True,
        2,
    )  # as telling, and as the end


def test_a_progress_bar_in_a_log_stays_in_its_file():
    """Seen in a worker's .err of LMDeploy 0.18.0; a terminal in between sends carriage returns at the ends, too."""
    bar = "|Loading weights: 0%| | 0/1\rLoading weights: 100%|#| 1/1"
    (log,) = worker_logs.parse_logs(f"file 9 whole /tmp/ray/w.err\r\n{bar}\r\n|end\r\nlogs-end\r\n")
    assert log.text.splitlines() == ["Loading weights: 0%| | 0/1", "Loading weights: 100%|#| 1/1", "end"]


@pytest.mark.parametrize("text", ["", "file 3 whole /x\n|a", "|a\nlogs-end", "sh: find: not found\nlogs-end"])
def test_what_is_no_answer_of_the_script_is_unparsed(text):
    with pytest.raises(UnparsedError):
        worker_logs.parse_logs(text)
