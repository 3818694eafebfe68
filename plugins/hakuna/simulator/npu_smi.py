# SPDX-License-Identifier: Apache-2.0
"""``npu-smi info`` and its parts: the table of the cards, health, board versions.

Cards are numbered apart from devices: on A3 a card has two chips, and a device is one of them (Phy-ID).
"""

from __future__ import annotations

from typing import Any

from hakuna.inventory.model import Chip
from hakuna.simulator.node import SimNode
from hakuna.simulator.processes import lives
from hakuna.simulator.tools import Call, Result, Tool, say, tool

_WIDTH = 96
_LINE = "+" + "-" * 27 + "+" + "-" * 15 + "+" + "-" * 52 + "+"
_DOUBLE = _LINE.replace("-", "=")
_FULL = "+" + "-" * _WIDTH + "+"
_BUSES = ("C1", "C2", "81", "82", "01", "02", "41", "42")
_USAGE = "Usage: npu-smi info <watch|proc|-h|-m|-l|-t type> [Options...]\n"


@tool("npu-smi")
class NpuSmi(Tool):
    def run(self, call: Call) -> Result:
        words = list(call.argv[1:])
        if not words or words[0] != "info":
            return say(_USAGE, exit_code=1)
        return self._info(call, words[1:])

    def _info(self, call: Call, words: list[str]) -> Result:
        if not words:
            return say(table(call.node, call.container))
        if words[0] in ("-l", "-m"):
            return say((_cards if words[0] == "-l" else _map)(call.node))
        options = dict(zip(words[::2], words[1::2], strict=False))
        card, chip = options.get("-i", ""), options.get("-c", "0")
        device = _device(call.node, card, chip)
        if device is None:
            return say(f"Invalid card id.\nError parameter of -i\n{_USAGE}", exit_code=1)
        part = {"health": _health, "board": _board, "spod-info": _super_pod}.get(options.get("-t", ""))
        if part is None:
            return say(f"Error parameter of -t\n{_USAGE}", exit_code=1)
        return say(part(call.node, device))


def _dies(node: SimNode) -> int:
    return node.spec.chip.dies


def _device(node: SimNode, card: str, chip: str) -> int | None:
    """The device id of a card's chip; None when the driver sees none."""
    dies = _dies(node)
    if not (card.isdigit() and chip.isdigit()) or int(chip) >= dies:
        return None
    device = int(card) * dies + int(chip)
    return device if device in node.spec.present_devices(node.name) else None


def _row(*cells: str) -> str:
    """One row: three cells of 27, 15 and 52 columns."""
    a, b, c = cells
    return f"| {a:<26}| {b:<14}| {c:<51}|"


def table(node: SimNode, container: str | None) -> str:
    """``npu-smi info``: two rows for each chip, then who is on them."""
    spec, name = node.spec, node.name
    duo = node.inventory.chip is Chip.ATLAS_300I_DUO
    dies = _dies(node)
    version = spec.npu_smi(name)
    users = _users(node, container)
    column = "Device" if duo else "Phy-ID" if dies > 1 else ""
    memory = "Memory-Usage(MB)" if duo else "Memory-Usage(MB)  HBM-Usage(MB)"
    rows = [
        _FULL,
        f"| {f'npu-smi {version}':<32} {f'Version: {version}':<62}|",
        _LINE,
        _row("NPU   Name", "Health", "Power(W)    Temp(C)           Hugepages-Usage(page)"),
        _row(f"Chip  {column}".rstrip(), "Bus-Id", f"AICore(%)   {memory}"),
        _DOUBLE,
    ]
    present = spec.present_devices(name)
    for position, i in enumerate(present):
        card, chip = divmod(i, dies)
        used = 3400 + 3 * i + sum(u["memory_mb"] for u in users if u["npu"] == i)
        health = "Alarm" if spec.has("npu-unhealthy", name, i) else "OK"
        power = "-" if chip else f"{92.0 + i:.1f}"
        main = (
            f"0           {used:<5}/ {spec.chip.hbm_mb}"
            if duo
            else f"0           0    / 0          {used:<5}/ {spec.chip.hbm_mb}"
        )
        rows += [
            _row(f"{card:<6}{spec.chip.name}", health, f"{power:<12}{36 + i % 8:<18}0    / 0"),
            _row(f"{chip:<6}{i if column else ''}", _bus(i), main),
        ]
        last_of_card = position + 1 == len(present) or present[position + 1] // dies != card
        rows.append(_DOUBLE if last_of_card else _FULL)
    rows += _process_part(present, dies, users)
    return "\n".join(rows) + "\n"


def _bus(device: int) -> str:
    return f"0000:{_BUSES[device]}:00.0" if device < len(_BUSES) else f"0000:{0x90 + device:02X}:00.0"


_P_LINE = "+" + "-" * 27 + "+" + "-" * 15 + "+" + "-" * 26 + "+" + "-" * 25 + "+"
_P_DOUBLE = _P_LINE.replace("-", "=")


def _process_part(present: tuple[int, ...], dies: int, users: list[dict[str, Any]]) -> list[str]:
    rows = [
        _P_LINE,
        f"| {'NPU     Chip':<26}| {'Process id':<14}| {'Process name':<25}| {'Process memory(MB)':<24}|",
        _P_DOUBLE,
    ]
    for card in sorted({i // dies for i in present}):
        here = [u for u in users if u["npu"] // dies == card]
        if not here:
            rows.append(f"| {f'No running processes found in NPU {card}':<95}|")
        for user in here:
            place = f"{card:<8}{user['npu'] % dies}"
            rows.append(f"| {place:<26}| {user['pid']:<14}| {user['name'][:24]:<25}| {user['memory_mb']:<24}|")
        rows.append(_P_DOUBLE)
    return rows


def _users(node: SimNode, container: str | None) -> list[dict[str, Any]]:
    """Who is on the chips. Inside a container the driver shows only the container's own."""
    data = node.state.read()
    known = data["processes"].get(node.name, {})
    rows: list[dict[str, Any]] = [
        r for r in data["npu_processes"].get(node.name, ()) if str(r["pid"]) not in known or lives(known[str(r["pid"])])
    ]
    if container is not None:
        return [r for r in rows if known.get(str(r["pid"]), {}).get("container") == container]
    foreign = node.spec.faulty_devices("foreign-process", node.name)
    return rows + [{"npu": i, "pid": 55115 + i, "name": "python", "memory_mb": 30784} for i in foreign]


def _fields(*pairs: tuple[str, object]) -> str:
    return "".join(f"\t{key:<31}: {value}\n" for key, value in pairs)


def _health(node: SimNode, device: int) -> str:
    if not node.spec.has("npu-unhealthy", node.name, device):
        return _fields(("Health Status", "OK"), ("Error Code", "NA"), ("Error Information", "NA"))
    return _fields(
        ("Health Status", "Alarm"),
        ("Error Code", "A4025021"),
        ("Error Information", "ascend_monitor adda heart beat lost error"),
    )


def _board(node: SimNode, device: int) -> str:
    spec, name = node.spec, node.name
    fits = "NOT OK" if spec.has("firmware-unfit", name, device) else "OK"
    return _fields(
        ("NPU ID", device // spec.chip.dies),
        ("Product Name", "NA" if spec.chip.dies > 1 else "IT21HMDC01"),
        ("Model", "NA"),
        ("Manufacturer", "Huawei"),
        ("Serial Number", f"10{spec.number(name):04d}{device:04d}"),
        ("Software Version", spec.driver(name)),
        ("Firmware Version", spec.firmware(name)),
        ("Compatibility", fits),
        ("Board ID", "0x64"),
        ("PCB ID", "A"),
        ("BOM ID", "1"),
        ("PCIe Bus Info", _bus(device)),
        ("Slot ID", "0"),
        ("Class ID", "NA"),
        ("PCI Vendor ID", "0x19E5"),
        ("PCI Device ID", "0xD802"),
        ("Subsystem Vendor ID", "0x0200"),
        ("Subsystem Device ID", "0x0100"),
        ("Chip Count", spec.chip.dies),
    )


def _super_pod(node: SimNode, device: int) -> str:
    """The place in the super pod: only where there is one (A3)."""
    spec, name = node.spec, node.name
    if spec.chip.dies == 1:
        return "This device does not support querying spod-info.\n"
    neighbour = spec.has("sdid-duplicate", name, device)
    number = (spec.number(name) << 22) + ((device - neighbour) // spec.chip.dies << 18) + (device - neighbour) % 2
    sdid = "NA" if spec.has("sdid-missing", name, device) else number
    return _fields(("SDID", sdid), ("Super Pod Size", 384), ("Super Pod ID", 0), ("Server Index", spec.number(name)))


def _cards(node: SimNode) -> str:
    dies = _dies(node)
    cards = sorted({i // dies for i in node.spec.present_devices(node.name)})
    head = _fields(("Total Count", len(cards)))
    return head + "".join("\n" + _fields(("NPU ID", card), ("Chip Count", dies)) for card in cards)


def _map(node: SimNode) -> str:
    dies = _dies(node)
    name = node.spec.chip.name
    shown = name if name.startswith("Ascend") else f"Ascend {name}"
    rows = [("NPU ID", "Chip ID", "Chip Logic ID", "Chip Name")]
    rows += [(str(i // dies), str(i % dies), str(i), shown) for i in node.spec.present_devices(node.name)]
    return "".join(f"\t{a:<31}{b:<31}{c:<31}{d}\n" for a, b, c, d in rows)
