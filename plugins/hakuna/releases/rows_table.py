# SPDX-License-Identifier: Apache-2.0
"""The rows of several nodes and of the rank table."""

from __future__ import annotations

from .row import A2, A3, DUO, Behaviour, DeviceChoice, Row, TableUse, Topology

_RUN = "seen by running the releases 0.7.2.post1 to 0.18.0"

ROWS: tuple[Row, ...] = (
    Row(
        "spans-one-node",
        Behaviour.SPANS,
        True,
        "every release serves on one node",
        "LMDeploy docs get_started/ascend",
        topology=Topology.ONE,
    ),
    Row(
        "spans-not-before-0.8.0",
        Behaviour.SPANS,
        False,
        "LMDeploy up to 0.7.3 does not use Ray on Ascend: its workers are processes of one machine, and "
        "devices 8 to 15 do not exist",
        "0.7.3 backends/base.py: support_ray() is False, and the Ascend backend has none of its own",
        until="0.8.0",
        topology=Topology.SEVERAL,
    ),
    Row(
        "spans-from-0.8.0",
        Behaviour.SPANS,
        True,
        "LMDeploy from 0.8.0 on serves across Ascend nodes by Ray",
        "lmdeploy #3260 (dac197c42)",
        since="0.8.0",
        topology=Topology.SEVERAL,
    ),
    Row(
        "table-unread-before-0.8.0",
        Behaviour.TABLE,
        TableUse.UNREAD,
        "LMDeploy up to 0.7.3 reads no rank table",
        f"0.7.3 has no ASCEND_RANK_TABLE_FILE_PATH; {_RUN}",
        until="0.8.0",
    ),
    Row(
        "table-one-node-0.8.0",
        Behaviour.TABLE,
        TableUse.READ,
        "on one node LMDeploy needs no rank table; one that the variable names is read all the same",
        "ray_executor.py 0.8.0 to 0.14.0 (_init_ascend_distributed_environment)",
        since="0.8.0",
        until="0.15.0",
        topology=Topology.ONE,
    ),
    Row(
        "table-needed-0.8.0",
        Behaviour.TABLE,
        TableUse.NEEDED,
        "LMDeploy 0.8 uses Ray only where ASCEND_RANK_TABLE_FILE_PATH is set; without it all 16 workers go "
        "to one machine",
        "0.8.0 op_backend.py: support_ray(); lmdeploy #3260 (dac197c42)",
        since="0.8.0",
        until="0.9.0",
        topology=Topology.SEVERAL,
    ),
    Row(
        "table-needed-0.9.0",
        Behaviour.TABLE,
        TableUse.NEEDED,
        "LMDeploy 0.9.0 to 0.14.0 reads ASCEND_RANK_TABLE_FILE_PATH; without it two nodes are treated as one "
        "and devices "
        "8 to 15 do not exist",
        'ray_executor.py 0.9.0 to 0.14.0 ("if rank table file is not set, treat as single node"); lmdeploy #3260',
        since="0.9.0",
        until="0.15.0",
        topology=Topology.SEVERAL,
    ),
    Row(
        "table-unread-from-0.15.0",
        Behaviour.TABLE,
        TableUse.UNREAD,
        "LMDeploy from 0.15.0 on never reads ASCEND_RANK_TABLE_FILE_PATH",
        "removed by lmdeploy #4711 (e1b73cd1a)",
        since="0.15.0",
    ),
    Row(
        "format-1.0",
        Behaviour.FORMAT,
        "1.0",
        "HCCL on A2 and 300I Duo reads rank tables of version 1.0",
        "hicann/hccl rank_table_config_a2.md",
        chips=(A2, DUO),
    ),
    Row(
        "format-1.2",
        Behaviour.FORMAT,
        "1.2",
        "HCCL on A3 reads rank tables of version 1.2, with super pods",
        "hicann/hccl rank_table_config_a3.md; gpustack/runtime #27",
        chips=(A3,),
    ),
    Row(
        "device-rank-before-0.8.0",
        Behaviour.DEVICE,
        DeviceChoice.RANK,
        "LMDeploy up to 0.7.3 takes the rank for the device, on one machine",
        "0.7.3 mp_executor.py",
        until="0.8.0",
    ),
    Row(
        "device-position-0.8.0",
        Behaviour.DEVICE,
        DeviceChoice.LIST_POSITION,
        "LMDeploy 0.8.0 to 0.11.1 takes the list position for the device",
        f"ray_executor.py get_ascend_device_rank_mapping, 0.8.0 to 0.11.1; {_RUN}",
        since="0.8.0",
        until="0.12.0",
    ),
    Row(
        "device-id-0.12.0",
        Behaviour.DEVICE,
        DeviceChoice.DEVICE_ID,
        "LMDeploy 0.12.0 to 0.14.0 takes device_id",
        "lmdeploy #4268 (2ef2a046b)",
        since="0.12.0",
        until="0.15.0",
    ),
    Row(
        "device-index-0.15.0",
        Behaviour.DEVICE,
        DeviceChoice.WORKER_INDEX,
        "LMDeploy from 0.15.0 on numbers workers per node",
        "lmdeploy #4711 (e1b73cd1a)",
        since="0.15.0",
    ),
    Row(
        "ranks-unchecked-before-0.12.0",
        Behaviour.RANKS,
        False,
        "LMDeploy up to 0.11.1 does not check the ranks of the table",
        "ray_executor.py 0.8.0 to 0.11.1",
        until="0.12.0",
    ),
    Row(
        "ranks-checked-0.12.0",
        Behaviour.RANKS,
        True,
        'LMDeploy 0.12.0 to 0.14.0: "Rank ids are not contiguous starting from 0"',
        "ray_executor.py; lmdeploy #4268 (2ef2a046b)",
        since="0.12.0",
        until="0.15.0",
    ),
    Row(
        "ranks-unread-from-0.15.0",
        Behaviour.RANKS,
        False,
        "LMDeploy from 0.15.0 on reads no ranks",
        "lmdeploy #4711 (e1b73cd1a)",
        since="0.15.0",
    ),
)
