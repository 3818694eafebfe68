# SPDX-License-Identifier: Apache-2.0
"""npu-smi's table and parts."""

from __future__ import annotations

import pytest

from hakuna.inventory.model import Chip
from hakuna.probes.npu_smi import board, health, parse_info, parse_super_pod, super_pod
from hakuna.probes.reading import UnparsedError
from hakuna.simulator.state import section


def test_the_table_has_two_rows_for_each_card_and_no_process(say):
    rows = say("npu-smi info").splitlines()
    assert len({len(r) for r in rows}) == 1
    assert rows[1].startswith("| npu-smi 25.2.0 ")
    assert sum("910B3" in r for r in rows) == 8
    assert sum("No running processes found in NPU" in r for r in rows) == 8


def test_a_card_of_a3_has_two_chips_that_are_devices(say):
    rows = say("npu-smi info", chip="atlas-800t-a3", devices=16).splitlines()
    chips = [r.split("|")[1].split() for r in rows if "0000:" in r]
    assert chips == [[str(i % 2), str(i)] for i in range(16)]
    assert sum("Ascend910" in r for r in rows) == 16
    assert "Health Status" in say("npu-smi info -t health -i 7 -c 1", chip="atlas-800t-a3", devices=16)
    assert say("npu-smi info -t health -i 8 -c 0", chip="atlas-800t-a3", devices=16).startswith("Invalid card id.\n")


def test_the_duo_has_one_memory_column(say):
    text = say("npu-smi info", chip="atlas-300i-duo")
    assert "310P3" in text
    assert "HBM-Usage" not in text


def test_an_alarm_is_in_the_table_and_in_the_health(say):
    assert sum("| Alarm " in r for r in say("npu-smi info", "npu-unhealthy").splitlines()) == 1
    text = say("npu-smi info -t health -i 3 -c 0", "npu-unhealthy")
    assert "\tHealth Status                  : Alarm\n\tError Code                     : A4025021\n" in text
    assert "Health Status                  : OK" in say("npu-smi info -t health -i 2 -c 0", "npu-unhealthy")


def test_a_card_that_fell_off_the_bus(say):
    assert sum("910B3" in r for r in say("npu-smi info", "npu-missing").splitlines()) == 7
    assert say("npu-smi info -t board -i 3", "npu-missing").startswith("Invalid card id.\nError parameter of -i\n")


def test_processes_are_listed_by_their_card(cluster):
    nodes = cluster("foreign-process@node-b/3")
    with nodes["node-b"].state.transaction() as data:
        section(data, "npu_processes", "node-b").append(
            {"npu": 0, "pid": 4711, "name": "ray::RayWorkerWrapper", "memory_mb": 30720}
        )
    text = nodes["node-b"].execute(("npu-smi", "info")).stdout.decode()
    cells = [
        [c.strip() for c in r.strip("|").split("|")]
        for r in text.splitlines()
        if ("Process" not in r and "python" in r) or "4711" in r
    ]
    assert cells == [
        ["0       0", "4711", "ray::RayWorkerWrapper", "30720"],
        ["3       0", "55118", "python", "30784"],
    ]
    assert "No running processes found in NPU 0 " not in text


def test_board_and_map(say):
    assert "\tSoftware Version               : 25.2.0\n" in say("npu-smi info -t board -i 3")
    assert "Compatibility                  : NOT OK" in say("npu-smi info -t board -i 3", "firmware-unfit")
    assert say("npu-smi info -m").splitlines()[1].split() == ["0", "0", "0", "Ascend", "910B3"]
    assert say("npu-smi info -l").startswith("\tTotal Count                    : 8\n")


def test_a_device_of_a3_knows_its_place_in_the_super_pod(say):
    found = {
        parse_super_pod(say(" ".join(super_pod(i, Chip.ATLAS_800T_A3).argv), chip="atlas-800t-a3", devices=16))
        for i in range(16)
    }
    assert len({pod.sdid for pod in found}) == 16
    assert {pod.super_pod_id for pod in found} == {"0"}


def test_a_device_without_an_sdid_is_unparsed(say):
    text = say("npu-smi info -t spod-info -i 1 -c 1", "sdid-missing", chip="atlas-800t-a3", devices=16)
    with pytest.raises(UnparsedError, match="spod-info"):
        parse_super_pod(text)
    with pytest.raises(UnparsedError):
        parse_super_pod(say("npu-smi info -t spod-info -i 1 -c 0"))


def test_a_process_on_a_card_of_two_chips_is_on_its_own_device(say):
    info = parse_info(say("npu-smi info", "foreign-process@node-b/3", chip="atlas-800t-a3", devices=16, node="node-b"))
    assert [(p.npu, p.chip, info.device_of(p)) for p in info.processes] == [(1, 1, 3)]


def test_health_and_board_go_by_card_and_chip_where_a_card_has_two():
    assert health(3).argv[-4:] == ("-i", "3", "-c", "0")
    assert health(3, Chip.ATLAS_800T_A3).argv[-4:] == ("-i", "1", "-c", "1")
    assert board(3, Chip.ATLAS_800T_A2).argv[-2:] == ("-i", "3")
    assert board(3, Chip.ATLAS_800T_A3).argv[-4:] == ("-i", "1", "-c", "1")
