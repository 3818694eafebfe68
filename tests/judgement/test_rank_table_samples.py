# SPDX-License-Identifier: Apache-2.0
"""Real rank tables from public sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from hakuna.judgement.rank_table_rules import FaultCode, Profile, TableContext, judge

C = FaultCode
TRANSCRIPTS = Path(__file__).parents[1] / "transcripts" / "rank_table"

#: What HCCL's rules find in each file of the collection; a file that is not named must be good.
EXPECTED = {
    "ei0004_duplicate_device_id.json": {C.DEVICE_ID_DUPLICATE},
    "legacy_device_table_1p.json": {C.LEGACY_LAYOUT},
    "llmaction_2x8_elided.json": {C.NOT_JSON},
    "mind_cluster_hccl_json_commented.txt": {C.NOT_JSON},
    "mindie_global_a3.json": {C.LEGACY_LAYOUT},
    "mindie_global_initializing.json": {C.STATUS},
    "minimal_no_rank_ip_fixture.json": {
        C.VERSION,
        C.SERVER_COUNT,
        C.DEVICE_ID_RANGE,
        C.DEVICE_IP_INVALID,
        C.RANK_NOT_INT,
    },
    "ms_16pcs_masked_dup_server.json": {C.DEVICE_IP_INVALID, C.SERVER_ID_DUPLICATE},
    "no_server_id_fixture.json": {
        C.STATUS,
        C.VERSION,
        C.SERVER_COUNT,
        C.SERVER_ID_EMPTY,
        C.DEVICE_ID_RANGE,
        C.RANK_GAP,
    },
    "pymotor_a3_v12_noncontig.json": {C.RANK_GAP},
    "server_list_string_fixture.json": {C.STATUS, C.VERSION, C.SERVER_COUNT},
    "truncated_brace_fixture.json": {C.NOT_JSON},
    "v12_a3_4srv_4dev_commented.json": {C.NOT_JSON},
    "v1_300iduo_commented.json": {C.NOT_JSON},
    "v2_a5_rank_list_commented.json": {C.NOT_JSON, C.LEGACY_LAYOUT},
    "v2_rank_list_1srv.json": {C.LEGACY_LAYOUT},
}
#: Unfilled templates: fine as names for HCCL, but no node IPs.
PLACEHOLDERS = {"mindie_placeholder_server_id.json": 2, "mindinsight_1x8.json": 1}


@pytest.mark.parametrize("file", sorted(TRANSCRIPTS.glob("*")), ids=lambda f: f.name)
def test_real_samples(file):
    text = file.read_text(encoding="utf-8")
    found = judge(text, Profile.HCCL, TableContext())
    assert {f.code for f in found} == EXPECTED.get(file.name, set())
    assert all(f.line is not None and 1 <= f.line <= len(text.splitlines()) + 1 for f in found)
    if file.name in PLACEHOLDERS:
        lmdeploy = judge(text, Profile.LMDEPLOY, TableContext(lmdeploy_version="0.14.0"))
        assert [f.code for f in lmdeploy] == [C.SERVER_ID_NOT_NODE_IP] * PLACEHOLDERS[file.name]
