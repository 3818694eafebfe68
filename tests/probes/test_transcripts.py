# SPDX-License-Identifier: Apache-2.0
"""Public transcripts of real tools, against what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hakuna.evidence import HttpAnswer
from hakuna.probes import (
    containers,
    hccl_log,
    hccn,
    hccn_conf,
    host,
    lmdeploy_http,
    lmdeploy_log,
    npu_smi,
    ray,
    versions,
)
from hakuna.probes.container_facts import npus_of, parse_host_config
from hakuna.probes.reading import UnparsedError

FOLDER = Path(__file__).parents[1] / "transcripts"


def each(parse: Callable[[str], Any], get: Callable[[Any], Any]) -> Callable[[str], Any]:
    """What ``get`` sees in the part of every device."""
    return lambda text: {device: get(parse(part)) for device, part in hccn.split_by_device(text).items()}


def some(parse: Callable[[str], Any], get: Callable[[Any], Any]) -> Callable[[str], Any]:
    return lambda text: get(parse(text))


def chat(text: str) -> Any:
    return lmdeploy_http.parse_chat(HttpAnswer("x", 200, body=text.encode()))


def ids(text: str) -> Any:
    return lmdeploy_http.parse_models(HttpAnswer("x", 200, body=text.encode())).ids


def codes(text: str) -> list[str]:
    return list(dict.fromkeys(e.code for e in hccl_log.parse_hccl_log(text)))


def numbered(*values: object) -> Mapping[int, object]:
    return dict(enumerate(values))


address = each(hccn.parse_address, lambda a: a.ip)
pings = each(hccn.parse_ping, lambda p: (p.target, p.sent, p.received, p.loss_percent))
ping = some(hccn.parse_ping, lambda p: (p.sent, p.received, round(p.loss_percent, 2), p.times_ms))
switch = each(hccn.parse_tls, lambda t: (t.enabled, t.preconfigured))
history = some(hccn.parse_link_stat, lambda h: (h.up_count, h.down_count, h.last_up))
chips = some(npu_smi.parse_info, lambda i: (i.version, len(i.chips), sorted({c.health for c in i.chips})))
processes = some(npu_smi.parse_info, lambda i: [(p.npu, p.pid, p.name) for p in i.processes])
memory = some(npu_smi.parse_info, lambda i: (i.chips[0].hbm_used_mb, i.chips[0].hbm_total_mb))
version = some(versions.parse_version_info, lambda v: v.version)
status = some(ray.parse_status, lambda s: (s.ready, s.active, s.resources.get("NPU"), s.resources.get("GPU")))
started = some(ray.parse_start, lambda s: (s.ok, s.node_ip))
up = some(host.parse_addresses, lambda found: {i.name: (i.up, i.addresses) for i in found})
ready = some(lmdeploy_log.parse_log, lambda s: (s.ready, s.cause))
alarm = some(npu_smi.parse_health, lambda h: (h.ok, h.status, h.codes))

UNPARSED = UnparsedError

#: File, how it is read, and what must be seen there (after the index of the transcripts).
EXPECTED: list[tuple[str, Callable[[str], Any], Any]] = [
    (
        "hccn/ip_8dev_with_cmd_headers.txt",
        address,
        numbered(
            "192.1.45.172",
            "192.2.167.33",
            "192.3.103.252",
            "192.4.166.202",
            "192.1.157.81",
            "192.2.8.198",
            "192.3.26.213",
            "192.4.32.120",
        ),
    ),
    ("hccn/ip_8dev_10_10_0.txt", address, numbered(*(f"10.10.0.{i}" for i in range(10, 18)))),
    ("hccn/ip_8dev_bare_no_headers.txt", address, numbered(*(f"11.12.165.{i}" for i in range(80, 88)))),
    ("hccn/ip_dev0_masked_doc.txt", hccn.parse_address, UNPARSED),
    ("hccn/ip_and_route_session.txt", address, {3: "29.1.112.213"}),
    (
        "hccn/ip_link_health_concat.txt",
        some(hccn.parse_address, lambda a: (a.ip, a.netmask)),
        ("10.86.1.80", "255.255.255.0"),
    ),
    ("hccn/ip_link_health_concat.txt", some(hccn.parse_link, lambda x: x.up), True),
    ("hccn/ip_link_health_concat.txt", some(hccn.parse_net_health, lambda h: h.word), "Success"),
    (
        "hccn/ip_mixed_v4_v6_fixture.txt",
        each(hccn.parse_address, lambda a: (a.ip, a.prefix)),
        numbered(("192.168.1.100", 24), ("2001:db8:85a3::8a2e:c0a8:1c6", 64)),
    ),
    ("hccn/ip_invalid_value_fixture.txt", lambda t: hccn.parse_address(hccn.split_by_device(t)[0]), UNPARSED),
    ("hccn/ip_invalid_value_fixture.txt", lambda t: hccn.parse_address(hccn.split_by_device(t)[1]).ip, "192.168.1.100"),
    ("hccn/ip_invalid_value_fixture.txt", hccn.parse_address, UNPARSED),
    ("hccn/ping_ok_gt_prompt.txt", pings, {3: ("10.20.11.16", 3, 3, 0.0)}),
    ("hccn/ping_ok_gt_prompt.txt", ping, (3, 3, 0.0, (0.137, 0.046, 0.058))),
    ("hccn/ping_partial_loss_no_header.txt", ping, (3, 2, 33.33, (0.097, 0.066))),
    ("hccn/ping_8dev_one_target.txt", pings, numbered(*(("11.12.165.80", 3, 3, 0.0),) * 8)),
    ("hccn/ping_8dev_one_target.txt", hccn.parse_ping, UNPARSED),
    ("hccn/ping_100pct_summary_only.txt", ping, (3, 0, 100.0, ())),
    ("hccn/ubping_950_ok.txt", ping, (6, 6, 0.0, (0.286, 0.288, 0.278, 0.282, 0.289, 0.295))),
    ("hccn/tls_full_2dev_no_preconfigured.txt", switch, numbered(*((False, None),) * 2)),
    (
        "hccn/tls_full_2dev_no_preconfigured.txt",
        each(hccn.parse_tls, lambda t: [(c.name, c.not_after.isoformat()) for c in t.certificates]),
        numbered(
            *(
                [
                    ("pub", "2030-02-16T03:19:21+00:00"),
                    ("ca1", "2030-02-16T03:19:07+00:00"),
                    ("ca2", "2030-02-16T03:19:10+00:00"),
                ],
            )
            * 2
        ),
    ),
    ("hccn/tls_switch_8dev_all0.txt", switch, numbered(*((False, True),) * 8)),
    ("hccn/tls_switch_8dev_all0.txt", hccn.parse_tls, UNPARSED),
    ("hccn/link_up.txt", some(hccn.parse_link, lambda x: x.up), True),
    ("hccn/link_down_950.txt", some(hccn.parse_link, lambda x: x.up), False),
    ("hccn/link_stat_last_down.txt", history, (2, None, False)),
    ("hccn/link_stat_with_down_count.txt", history, (2, 1, True)),
    ("hccn/link_stat_950_table.txt", history, (2, 2, True)),
    ("hccn/link_stat_8dev.txt", each(hccn.parse_link_stat, lambda h: h.last_up), dict.fromkeys((7, *range(7)), True)),
    ("hccn/health_socket_failed.txt", some(hccn.parse_net_health, lambda h: h.status), hccn.HealthStatus.BAD),
    ("hccn/health_success.txt", some(hccn.parse_net_health, lambda h: h.status), hccn.HealthStatus.SUCCESS),
    ("hccn/health_fault.txt", some(hccn.parse_net_health, lambda h: h.status), hccn.HealthStatus.BAD),
    (
        "hccn/lldp_ifname_8.txt",
        each(hccn.parse_lldp, lambda x: x.port),
        numbered(*(f"400GE1/{a}/5:{b}" for a in range(1, 5) for b in (1, 2))),
    ),
    (
        "hccn/gateway_8dev.txt",
        each(hccn.parse_gateway, lambda g: (g.ip, g.interface)),
        numbered(*(("11.12.165.1", f"eth{i}") for i in range(8))),
    ),
    (
        "hccn/vnic_loop_wrong_cmd_echo.txt",
        each(hccn.parse_vnic, lambda v: (v.up, v.ip)),
        numbered(*((True, f"192.168.2.{i}") for i in range(199, 193, -1))),
    ),
    ("hccn/vnic_loop_wrong_cmd_echo.txt", hccn.parse_address, UNPARSED),
    ("hccn/vnic_950_masked.txt", hccn.parse_vnic, UNPARSED),
    (
        "hccn_conf/hccn_conf_8dev_ip_only.txt",
        some(hccn_conf.parse_conf, lambda c: c.addresses),
        numbered(*(f"10.20.11.{i}" for i in range(11, 19))),
    ),
    (
        "hccn_conf/hccn_conf_ipv6_fixture.txt",
        some(hccn_conf.parse_conf, lambda c: (c.addresses6, c.prefixes6)),
        ({0: "121::101"}, {0: 112}),
    ),
    ("hccn_conf/hccn_conf_invalid_fixture.txt", hccn_conf.parse_conf, UNPARSED),
    ("npu_smi/info_a3_16chips_2die.txt", chips, ("24.1.rc3.7", 16, ["OK"])),
    (
        "npu_smi/info_a3_16chips_2die.txt",
        some(npu_smi.parse_info, lambda i: [c.phy_id for c in i.chips]),
        list(range(16)),
    ),
    ("npu_smi/info_a3_16chips_2die.txt", processes, []),
    ("npu_smi/info_910prob_memory.txt", memory, (30711, 32768)),
    ("npu_smi/info_910prob_memory.txt", processes, [(0, 55115, "python")]),
    ("npu_smi/info_310p3_22.txt", chips, ("22.0.3", 1, ["OK"])),
    ("npu_smi/info_310p3_22.txt", memory, (3292, 21527)),
    ("npu_smi/info_doc_masked_elided.txt", chips, ("24.1.rc1", 1, ["OK"])),
    ("npu_smi/info_doc_hugepages_full.txt", chips, ("23.0.rc2.3", 8, ["OK"])),
    ("npu_smi/info_doc_hugepages_full.txt", some(npu_smi.parse_info, lambda i: len(i.processes)), 8),
    ("npu_smi/info_23_health_ok.txt", chips, ("23.0.5", 2, ["OK"])),
    (
        "npu_smi/m_910a_8.txt",
        some(npu_smi.parse_map, lambda m: [(r.npu, r.chip, r.logic, r.name) for r in m]),
        [(i, 0, i, "Ascend 910A") for i in range(8)],
    ),
    ("npu_smi/m_910b3_subset.txt", some(npu_smi.parse_map, lambda m: [r.name for r in m]), ["Ascend 910B3"] * 2),
    ("npu_smi/board_invalid_card.txt", npu_smi.parse_board, UNPARSED),
    ("npu_smi/board_chip_910a.txt", some(npu_smi.parse_board, lambda b: b.firmware), "7.1.0.7.220"),
    ("npu_smi/health_alarm_codes.txt", alarm, (False, "Alarm", ("A4025021", "8C03A000", "8C084E00"))),
    ("npu_smi/health_950.txt", alarm, (True, "OK", ())),
    ("version_info/driver_23_0_7.txt", version, "23.0.7"),
    ("version_info/toolkit_7_0_T10.txt", version, "7.0.T10"),
    ("version_info/driver_25_0_rc1_1.txt", some(versions.parse_version_info, lambda v: v.package), "25.0.rc1.1"),
    ("version_info/driver_25_3_rc1_indented.txt", version, "25.3.rc1"),
    ("version_info/opp_version_info.txt", version, "8.5.0.2.220"),
    (
        "version_info/opp_version_info.txt",
        some(versions.parse_version_info, lambda v: v.values["version_dir"]),
        "8.5.0",
    ),
    ("version_info/toolkit_8_5_1_newpath.txt", version, "8.5.1"),
    ("version_info/mindie_version_info.txt", version, "2.0.T3.B010"),
    ("version_info/all_versions_one_file.txt", versions.parse_version_info, UNPARSED),
    (
        "version_info/all_versions_one_file.txt",
        lambda t: [versions.parse_version_info(p).version for p in versions.split_by_file(t).values()],
        ["23.0.7", "7.1.0.11.220", "7.0.T10", "8.0.RC3"],
    ),
    ("ray/status_2node_16npu_ok.txt", status, (True, 2, (0.0, 16.0), None)),
    ("ray/status_2node_16gpu_no_demands.txt", status, (True, 2, None, (0.0, 16.0))),
    ("ray/status_fake_cluster_2021.txt", status, (True, 3, None, None)),
    ("ray/status_in_autoscaler_log_2022.txt", status, (True, 1, None, None)),
    ("ray/status_one_line_collapsed.txt", ray.parse_status, UNPARSED),
    ("ray/status_pg_pending_reserved.txt", status, (True, None, None, (0.0, 2.0))),
    ("ray/status_pg_pending_reserved.txt", some(ray.parse_status, lambda s: "pending placement" in s.demands[0]), True),
    ("ray/start_head_ok_dashboard_8000.txt", started, (True, "127.0.0.1")),
    ("ray/old_start_head_k8s_log.txt", started, (True, "10.1.94.146")),
    ("ray/start_worker_fail_gcs_generic.txt", started, (False, "")),
    ("ray/node_ip_mismatch_java.txt", some(ray.parse_start, lambda s: "192.168.67.2" in s.message), True),
    (
        "ray/lmdeploy_pg_timeout_no_npu.txt",
        some(
            lmdeploy_log.parse_log, lambda s: (s.cause or "").startswith("ValueError: Cannot provide a placement group")
        ),
        True,
    ),
    ("lmdeploy/startup_ok_doc.txt", ready, (True, None)),
    ("lmdeploy/startup_ok_other_device_maca.txt", ready, (True, None)),
    ("lmdeploy/startup_multinode_ray_hang.txt", ready, (False, "Process mp_engine_proc")),
    ("lmdeploy/error_no_dlinfer_2025.txt", ready, (False, "ModuleNotFoundError: No module named 'dlinfer'")),
    ("lmdeploy/ascend_import_warning_banner.txt", some(lmdeploy_log.parse_log, lambda s: s.errors), ()),
    (
        "lmdeploy/gloo_socket_timeout_retry.txt",
        some(lmdeploy_log.parse_log, lambda s: "198.18.0.1" in (s.cause or "")),
        True,
    ),
    ("lmdeploy/models_minimal.json", ids, ("/workspace/models/llama-8b-hf",)),
    (
        "lmdeploy/chat_completion.json",
        some(chat, lambda c: (c.finish_reason, c.prompt_tokens, c.completion_tokens, c.total_tokens, c.text[:3])),
        ("stop", 17, 26, 43, " 很高"),
    ),
    (
        "docker/ps_1_k8s.txt",
        some(containers.parse_ps, lambda rows: [(r.id, r.name, r.state) for r in rows]),
        [("8b70390775f2", "k8s_ascend_default-last-test-deepseek2-60b", "running")],
    ),
    ("docker/inspect_ascend_fragment.json", containers.parse_inspect, UNPARSED),
    (
        "docker/inspect_ascend_fragment.json",
        some(parse_host_config, lambda h: (h[0], npus_of(h[1]))),
        ("ascend", (0, 1)),
    ),
    (
        "net/ip_addr_ascend_trimmed.txt",
        up,
        {"enp67s0f5": (True, ("192.168.0.128/24",))} | {f"enp189s0f{i}": (False, ()) for i in range(4)},
    ),
    (
        "net/ip_addr_container_two.txt",
        up,
        {
            "lo": (True, ()),
            "eth0": (True, ("10.0.108.2/23",)),
            "vxlan0": (True, ()),
            "eth1": (True, ("10.0.110.2/23",)),
        },
    ),
    ("hccl_log/plog_init_ok_by_file.txt", codes, []),
    ("hccl_log/plog_init_ok_run2.txt", codes, []),
    ("hccl_log/ei0019_bind_port_plog.txt", lambda t: codes(t)[0], "EI0019"),
    ("hccl_log/bind_fail_ipv6.txt", codes, ["EI0019"]),
    ("hccl_log/topo_server_timeout_agent.txt", codes, ["EI0015"]),
    ("hccl_log/ranktable_check_fail.txt", codes, ["EI0001"]),
    ("hccl_log/cluster_verify_third.txt", codes, ["EI0004"]),
    ("hccl_log/ei0001_env_rdma_sl_plog.txt", codes, ["EI0001"]),
    ("hccl_log/ranktable_path_missing.txt", codes, ["EI0004"]),
    ("hccl_log/ranktable_device_ip_not_local.txt", codes, ["EI0014"]),
    ("hccl_log/check_ip_fail_16.txt", codes, ["EI0014"]),
    ("hccl_log/ei0006_link_error_info_tls.txt", lambda t: codes(t)[0], "EI0006"),
    ("hccl_log/ei0006_link_error_info_tls.txt", lambda t: hccl_log.parse_hccl_log(t)[0].rank, 1),
    ("hccl_log/alloc_transport_two_ends_a.txt", codes, ["HCCL"]),
    ("hccl_log/ei0005_param_inconsistent.txt", lambda t: codes(t)[0], "EI0005"),
    ("hccl_log/notify_wait_timeout.txt", codes, ["EI0002"]),
    ("hccl_log/ei0012_sdma.txt", codes, ["EI0012"]),
    ("hccl_log/roce_cqe_plog.txt", codes, ["EI0013"]),
    ("hccl_log/ej0001_hccp_exists.txt", codes, ["EJ0001"]),
    ("hccl_log/hccp_rdev_init_67.txt", codes, ["EI0007"]),
    ("hccl_log/hccl_test_retcode4.txt", codes, ["HCCL"]),
    ("hccl_log/ms_ei0002_heartbeat_lost.txt", codes, ["EI0002"]),
    ("hccl_log/ms_ei0005_args_inconsistent.txt", codes, ["EI0005"]),
    ("hccl_log/plog_link_error_no_connect.txt", codes, ["EI0006"]),
    ("hccl_log/plog_get_socket_timeout_old.txt", lambda t: hccl_log.parse_hccl_log(t)[0].rank, 2),
    ("hccl_log/plog_notify_wait_after_init_ok.txt", codes, ["EI0002"]),
    ("hccl_log/plog_mixed_example.txt", lambda t: {"EI0002", "EI0015"} <= set(codes(t)), True),
    ("hccl_log/plog_socket_timeout.txt", codes, ["EI0006"]),
    ("hccl_log/vllm_worker_ei0006_tp11.txt", codes, ["EI0006"]),
    ("hccl_log/lmdeploy_ej0003_bind.txt", lambda t: codes(t)[0], "EJ0003"),
    ("hccl_log/ei0006_new_form_allgather.txt", codes, ["EI0006"]),
    ("hccl_log/tls_alert_unknown_ca.txt", codes, ["EI0016"]),
]


@pytest.mark.parametrize(
    ("name", "parse", "expected"), [pytest.param(*row, id=f"{n}-{row[0]}") for n, row in enumerate(EXPECTED)]
)
def test_a_transcript_reads_as_its_index_says(name: str, parse: Callable[[str], Any], expected: object):
    text = (FOLDER / name).read_text(encoding="utf-8")
    if expected is UNPARSED:
        with pytest.raises(UnparsedError):
            parse(text)
    else:
        assert parse(text) == expected


@pytest.mark.parametrize(
    "dress",
    [lambda t: t.replace("\n", "\r\n"), lambda t: "\x1b[0m" + t.replace("\n", "\x1b[K\n"), lambda t: f"\n  \n{t}\n\n"],
    ids=["crlf", "ansi", "blank"],
)
@pytest.mark.parametrize(
    ("name", "parse", "expected"),
    [
        pytest.param(*row, id=f"{n}-{row[0]}")
        for n, row in enumerate(EXPECTED)
        if row[2] is not UNPARSED and not row[0].endswith(".json")
    ],
)
def test_line_ends_colours_and_blank_lines_change_nothing(name: str, parse, expected, dress):
    assert parse(dress((FOLDER / name).read_text(encoding="utf-8"))) == expected


def test_the_index_names_each_transcript_once():
    rows = [line.split("\t") for line in (FOLDER / "INDEX.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    files = sorted(p.relative_to(FOLDER).as_posix() for p in FOLDER.glob("*/*"))
    assert sorted({row[0] for row in rows}) == files
    assert all(row[4] for row in rows)
