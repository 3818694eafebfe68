# SPDX-License-Identifier: Apache-2.0
"""Node output is untrusted: whatever a parser is given, it gives a fact or UnparsedError, nothing else."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from hypothesis import given, note, settings
from hypothesis import strategies as st

from hakuna.evidence import HttpAnswer
from hakuna.probes import (
    collective,
    containers,
    hccl_log,
    hccn,
    hccn_conf,
    host,
    lmdeploy,
    lmdeploy_http,
    lmdeploy_log,
    log_trouble,
    model_dir,
    npu_smi,
    procs,
    ray,
    table_file,
    versions,
    worker_logs,
)
from hakuna.probes.reading import UnparsedError

MODULES = (
    collective,
    containers,
    hccl_log,
    hccn,
    hccn_conf,
    host,
    lmdeploy_log,
    model_dir,
    npu_smi,
    procs,
    ray,
    table_file,
    versions,
    worker_logs,
)
PARSERS = {
    f"{m.__name__.rpartition('.')[2]}.{n}": getattr(m, n) for m in MODULES for n in vars(m) if n.startswith("parse_")
}
PARSERS["lmdeploy.parse_pipeline"] = lmdeploy.parse_pipeline
PARSERS["log_trouble.troubles"] = log_trouble.troubles
HTTP = [getattr(lmdeploy_http, n) for n in vars(lmdeploy_http) if n.startswith("parse_")]

LINES = [
    line
    for path in sorted((Path(__file__).parent / "samples").iterdir())
    for line in path.read_text(encoding="utf-8").splitlines()
]
LINES += """ipaddr:10.0.0.1|netmask:255.255.255.0|ipv6_address:fd00::1|prefix_length:999|link status: UP|vnic ipaddr: *.*.*.*
tls switch[1](0:disable)|dev_id:0, [pub cert] info:|end_time[Sat Feb 31 03:19:21 2027 GMT]|[devid 0]link up count : 2
net health status: Init|System Name TLV|Ifname: x|default gateway:10.0.0.1, Iface:eth0|netdetect addr: x|Command execute failed!
device 0 PING 10.0.0.2|recv seq=0,time=0.1.1ms|3 packets transmitted, 3 received, 0.00% packet loss|99 packets transmitted, 0 received, 1.2.3% packet loss
address_0=10.0.0.1|IPv6netmask_0=x|tls_enable=1|Health Status : OK|Error Code : NA|Total Count : 2|NPU ID Chip ID Chip Logic ID Chip Name
process 1 2 3|arg x|env A=B|limit nofile 1|end|procs-end 1|hostname x|address 127.0.0.1|hostname-end|which-end|tcp-end|22 open|lease held a 99999999999999999
Version=1|file /x|cann-end|{"python": 3, "packages": {}}|{"error": 1}|{"nodes": [1]}|{"Client": {}}|[{"Id": 1, "State": {}}]|[1]|{"ID": null, "Names": 1}
Max open files unlimited|LISTEN 0 1 [::]:99999 *|1: lo: <UP>|inet 1.2.3.4/99 x|[{"ifname": "x", "addr_info": [{"local": 1}]}]|/dev/davinci0|1755684672.1
Active:| 1 node_1|Usage:|file 1 whole /plog-1_2.log|logs-end|EI0006: rank[99999999999] [PID: 1] 2026-99-99-00:00:00|connected rankinfo[LINE 0]: [0000000000000000]|need connect rankNum is [999999]|rankList for enabled tls:[,]; rankList for disabled tls:[1,x]|destRank[1.1.1.1/3]|Failed to connect agent[,,]| 0.0/1.0 CPU|1e999/2 x|0 0.0 0%|/dev/sda 1 1 1 1% /|a	5|data: {"choices": [1]}|data: [1]|data: null""".replace(
    "\n", "|"
).split("|")

texts = st.one_of(
    st.text(max_size=200),
    st.from_regex(r"[0-9²]{1,3}[a-z:/ ]{0,9}[0-9]{1,2000}", fullmatch=True),
    st.lists(st.sampled_from(LINES), max_size=12).map("\n".join),
    st.lists(st.sampled_from(LINES), max_size=6).flatmap(
        lambda rows: st.integers(0, 200).map(lambda n: "\r\n".join(rows)[:n])
    ),
)


# Making a text costs more than reading it: all parsers get the same ones, and more of them than each could have alone.
@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_a_parser_gives_a_fact_or_says_that_it_can_not(text: str):
    for name, parse in PARSERS.items():
        note(name)
        with contextlib.suppress(UnparsedError):
            parse(text)


@settings(max_examples=120, deadline=None)
@given(body=texts, status=st.sampled_from([200, 400, 503]))
def test_http_bodies_are_untrusted_too(body: str, status: int):
    for parse in HTTP:
        note(parse.__name__)
        with contextlib.suppress(UnparsedError):
            parse(HttpAnswer("x", status, body=body.encode()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Id",
                    "ID",
                    "Names",
                    "State",
                    "HostConfig",
                    "Config",
                    "Mounts",
                    "Labels",
                    "Env",
                    "Devices",
                    "Client",
                    "Server",
                    "Components",
                    "Version",
                    "RepoDigests",
                    "ray",
                    "python",
                    "gcs",
                    "nodes",
                    "resources",
                    "packages",
                    "error",
                    "backend",
                    "ranks",
                    "rounds",
                    "world_size",
                    "text",
                    "seconds",
                    "choices",
                    "message",
                    "delta",
                    "detail",
                    "data",
                    "id",
                    "usage",
                    "content",
                    "ifname",
                    "flags",
                    "addr_info",
                    "local",
                    "prefixlen",
                    "Binds",
                    "ShmSize",
                    "Entrypoint",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


OF_JSON = [
    n for n in sorted(PARSERS) if n.split(".")[0] in ("containers", "ray", "collective", "versions", "host", "lmdeploy")
]


@settings(max_examples=200, deadline=None)
@given(value=JSON)
def test_json_of_any_shape(value: object):
    for name in OF_JSON:
        note(name)
        with contextlib.suppress(UnparsedError):
            PARSERS[name](json.dumps(value))


@settings(max_examples=120, deadline=None)
@given(value=JSON, status=st.sampled_from([200, 400]))
def test_http_json_of_any_shape(value: object, status: int):
    for parse in HTTP:
        note(parse.__name__)
        for body in (json.dumps(value), f"data: {json.dumps(value)}\n"):
            with contextlib.suppress(UnparsedError):
                parse(HttpAnswer("x", status, body=body.encode()))
