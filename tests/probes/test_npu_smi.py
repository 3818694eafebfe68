# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from hakuna.probes import npu_smi
from hakuna.probes.reading import UnparsedError

SAMPLES = Path(__file__).parent / "samples"
TABLE = (SAMPLES / "npu_smi_info_a2.txt").read_text(encoding="utf-8")


def test_the_table_of_an_a2():
    info = npu_smi.parse_info(TABLE)
    assert info.version == "24.1.0"
    assert [(c.npu, c.chip, c.phy_id, c.name, c.health, c.bus_id) for c in info.chips] == [
        (0, 0, None, "910B3", "OK", "0000:C1:00.0"),
        (1, 0, None, "910B3", "Warning", "0000:C2:00.0"),
    ]
    assert [(c.hbm_used_mb, c.hbm_total_mb) for c in info.chips] == [(3382, 65536), (60123, 65536)]
    assert info.processes == (
        npu_smi.NpuProcess(1, 0, 4711, "ray::RayWorkerW", 56789),
        npu_smi.NpuProcess(1, 0, 4712, "", None),
    )
    assert info.lists_processes


def test_half_a_table_is_no_fact():
    rows = TABLE.splitlines()
    cut = next(i for i, r in enumerate(rows) if r.startswith("| 1 ")) + 1
    with pytest.raises(UnparsedError):
        npu_smi.parse_info("\n".join(rows[:cut]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dcmi module initialize failed. ret is -8005",
        "dcmi model initialized failed, because the device is used. ret is -8020",
        TABLE.splitlines()[1],
        TABLE.replace("| 1     910B3 ", "| one   910B3 "),
        TABLE.replace("| 4711 ", "| n/a  "),
    ],
)
def test_anything_else_is_no_fact(text):
    with pytest.raises(UnparsedError):
        npu_smi.parse_info(text)


def test_health_and_board():
    health = npu_smi.parse_health("\tHealth Status   : Warning\n\tError Code : 80E01801\n\tError Information : x\n")
    assert (health.ok, health.status, health.codes) == (False, "Warning", ("80E01801",))
    assert npu_smi.parse_health("Health Status : OK\nError Code : NA").ok
    board = npu_smi.parse_board(
        "NPU ID : 0\nSoftware Version : 24.1.0\nFirmware Version : 7.5.0.1\nCompatibility : NOK\n"
    )
    assert board == npu_smi.NpuBoard("24.1.0", "7.5.0.1", "NOK")
    for parse in (npu_smi.parse_health, npu_smi.parse_board, npu_smi.parse_map, npu_smi.parse_list):
        with pytest.raises(UnparsedError):
            parse("Invalid card id.")
    with pytest.raises(UnparsedError, match="several devices"):
        npu_smi.parse_health("Health Status : OK\nHealth Status : Alarm\n")


def test_list_and_map():
    text = "Card Count : 2\n\nNPU ID : 0\nChip Count : 1\n\nNPU ID : 1\nChip Count : 1\n"
    assert npu_smi.parse_list(text) == (0, 1)
    with pytest.raises(UnparsedError, match="2 announced, 1 listed"):
        npu_smi.parse_list(text.rpartition("NPU ID")[0])
    rows = npu_smi.parse_map("\tNPU ID\tChip ID\tChip Logic ID\tChip Name\n\t0\t0\t0\tAscend 910B3\n\t0\t1\t-\tMcu\n")
    assert [(r.npu, r.chip, r.logic, r.name) for r in rows] == [(0, 0, 0, "Ascend 910B3"), (0, 1, None, "Mcu")]


def test_commands_are_the_documented_ones():
    assert npu_smi.info().argv == ("npu-smi", "info")
    assert (npu_smi.health(3).id, npu_smi.health(3).argv[2:]) == (
        "npu.health/3",
        ("-t", "health", "-i", "3", "-c", "0"),
    )
    assert (npu_smi.board(3).id, npu_smi.board(3).argv[2:]) == ("npu.board/3", ("-t", "board", "-i", "3"))
    assert [npu_smi.npu_list().argv[-1], npu_smi.npu_map().argv[-1]] == ["-l", "-m"]
