# SPDX-License-Identifier: Apache-2.0
"""Good rank tables of any size, to be spoilt by tests."""

from __future__ import annotations

import json

from hakuna.inventory.model import Chip
from hakuna.judgement.rank_table import DeviceEntry, ServerEntry, generate
from hakuna.judgement.rank_table_rules import Profile, TableContext, judge

#: The guide's own example (section 3), letter by letter.
GUIDE = """\
{
  "status": "completed",
  "version": "1.0",
  "server_count": "2",
  "server_list": [
    {
      "server_id": "node_0",
      "device": [
        {
          "device_id": "0",
          "device_ip": "192.168.1.8",
          "device_port": "16667",
          "rank_id": "0"
        },
        {
          "device_id": "1",
          "device_ip": "192.168.1.9",
          "device_port": "16667",
          "rank_id": "1"
        }
      ]
    },
    {
      "server_id": "node_1",
      "device": [
        {
          "device_id": "0",
          "device_ip": "192.168.2.8",
          "device_port": "16667",
          "rank_id": "2"
        },
        {
          "device_id": "1",
          "device_ip": "192.168.2.9",
          "device_port": "16667",
          "rank_id": "3"
        }
      ]
    }
  ]
}
"""


def deployment(nodes=2, devices=8, *, v6=False, version="1.0", lmdeploy="0.14.0"):
    """A good table and the context that it fits."""
    ips = [f"fd00::{n + 1:x}" if v6 else f"10.0.0.{n + 1}" for n in range(nodes)]
    live = {
        (ip, i): f"fd01::{n + 1:x}:{i + 1:x}" if v6 else f"192.168.{n + 1}.{i + 8}"
        for n, ip in enumerate(ips)
        for i in range(devices)
    }
    entries = [
        ServerEntry(ip, [DeviceEntry(i, live[ip, i], n * devices + i) for i in range(devices)], str(n // 2))
        for n, ip in enumerate(ips)
    ]
    context = TableContext(
        chip=Chip.ATLAS_800T_A3 if version == "1.2" else Chip.ATLAS_800T_A2,
        node_ips=tuple(ips),
        world_size=nodes * devices,
        live=live,
        lmdeploy_version=lmdeploy,
        path="/tmp/hakuna/rank_table.json",
    )
    return json.loads(generate(entries, version, 16667)), context


def faults(table, context):
    text = table if isinstance(table, str) else json.dumps(table, indent=2)
    return {p: judge(text, p, context) for p in Profile}


def codes(table, context):
    return {p.name: [f.code for f in found] for p, found in faults(table, context).items()}
