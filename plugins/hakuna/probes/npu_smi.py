# SPDX-License-Identifier: Apache-2.0
"""``npu-smi``: the devices of a node, their health, board versions, and the processes on them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hakuna.evidence import Command
from hakuna.inventory.model import Chip
from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import lines, one, shown, unknown

#: Devices per card, where it is not one: npu-smi addresses them by card (-i) and chip (-c).
_PER_CARD = {Chip.ATLAS_800T_A3: 2}


@dataclass(frozen=True)
class NpuChip:
    """One chip. ``phy_id`` is the number of its ``/dev/davinciN`` where the table has it ("Phy-ID", "Device").

    Memory in MB of the HBM, or of the only memory that the table has (310P). None: not printed.
    """

    npu: int
    chip: int
    phy_id: int | None
    name: str
    health: str
    bus_id: str
    hbm_used_mb: int | None
    hbm_total_mb: int | None


@dataclass(frozen=True)
class NpuProcess:
    """One process on a chip, by its process id on the host."""

    npu: int
    chip: int
    pid: int
    name: str
    memory_mb: int | None


@dataclass(frozen=True)
class NpuInfo:
    """``npu-smi info``. ``lists_processes`` is false for releases whose table has no process part."""

    version: str
    chips: tuple[NpuChip, ...]
    processes: tuple[NpuProcess, ...] = ()
    lists_processes: bool = True

    def device_of(self, process: NpuProcess) -> int:
        """The device id that a process is on: of a card with two chips, that chip's own."""
        phys = {(c.npu, c.chip): c.phy_id for c in self.chips}
        phy = phys.get((process.npu, process.chip))
        return process.npu if phy is None else phy


@dataclass(frozen=True)
class NpuHealth:
    """The driver's word on one chip, and its error codes."""

    status: str
    codes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.status.upper() == "OK"


@dataclass(frozen=True)
class NpuBoard:
    """Versions of a card; ``compatibility`` is the driver's word on driver and firmware (None: not printed)."""

    software: str
    firmware: str
    compatibility: str | None


@dataclass(frozen=True)
class NpuMapRow:
    """One row of ``npu-smi info -m``; ``logic`` is None for the board's own controller (Mcu)."""

    npu: int
    chip: int
    logic: int | None
    name: str


def info() -> Command:
    return Command("npu.info", ("npu-smi", "info"), deadline=30.0, lane="npu", sudo=True, query=True)


def npu_list() -> Command:
    return Command("npu.list", ("npu-smi", "info", "-l"), deadline=30.0, lane="npu", sudo=True, query=True)


def npu_map() -> Command:
    return Command("npu.map", ("npu-smi", "info", "-m"), deadline=30.0, lane="npu", sudo=True, query=True)


@dataclass(frozen=True)
class SuperPod:
    """A device's place in its super pod (A3): ``sdid`` is the rank table's super_device_id."""

    sdid: int
    super_pod_id: str


def _of_card(device: int, chip: Chip | None) -> tuple[str, str]:
    """Card and chip of a device, as npu-smi counts them."""
    card, place = divmod(device, _PER_CARD.get(chip, 1) if chip else 1)
    return str(card), str(place)


def health(device: int, chip: Chip | None = None) -> Command:
    card, place = _of_card(device, chip)
    argv = ("npu-smi", "info", "-t", "health", "-i", card, "-c", place)
    return Command(f"npu.health/{device}", argv, lane=f"npu/{device}", sudo=True, query=True)


def board(device: int, chip: Chip | None = None) -> Command:
    card, place = _of_card(device, chip)
    chip_of_card = ("-c", place) if chip in _PER_CARD else ()
    argv = ("npu-smi", "info", "-t", "board", "-i", card, *chip_of_card)
    return Command(f"npu.board/{device}", argv, lane=f"npu/{device}", sudo=True, query=True)


def super_pod(device: int, chip: Chip) -> Command:
    """SDID and super pod of a device (A3); facts: vllm-ascend gen_ranktable."""
    card, place = _of_card(device, chip)
    argv = ("npu-smi", "info", "-t", "spod-info", "-i", card, "-c", place)
    return Command(f"npu.spod/{device}", argv, lane=f"npu/{device}", sudo=True, query=True)


_BUS = re.compile(r"(?:[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]|NA)$")
_PAIR = re.compile(r"(\d+)\s*/\s*(\d+)")


def parse_info(text: str) -> NpuInfo:
    """Read the table by its cells: two rows per chip, then the processes.

    Raises:
        UnparsedError: no version, no chip, half a chip, or an error of the driver (dcmi) instead of a table.
    """
    rows = lines(text)
    version = one(
        "npu-smi info", [m.group(1) for x in rows if (m := re.search(r"npu-smi\s.*Version:\s*(\S+)", x))], text
    )
    chips: list[NpuChip] = []
    processes: list[NpuProcess] = []
    upper: list[str] | None = None
    numbered = False
    lists = False
    for row in rows:
        if not row.startswith("|") or not row.endswith("|"):
            continue
        cells = [c.strip() for c in row.strip("|").split("|")]
        title = cells[0].split()
        if title[:1] in (["NPU"], ["Chip"]):
            lists = lists or any("process id" in c.lower() for c in cells)
            numbered = numbered or title[1:2] in (["Phy-ID"], ["Device"])
        elif "no running processes" in cells[0].lower():
            lists = True
        elif len(cells) == 4 and lists:  # noqa: PLR2004  # the process table's columns
            processes.append(_process(cells))
        elif len(cells) == 3:  # noqa: PLR2004  # the chip table's columns
            if _BUS.search(cells[1]) and upper is not None:
                chips.append(_chip(upper, cells, numbered=numbered))
                upper = None
            elif upper is not None:
                raise UnparsedError(f"npu-smi info: half a chip: {shown(row)!r}")
            else:
                upper = cells
    if upper is not None or not chips:
        raise unknown("npu-smi info", text)
    return NpuInfo(version, tuple(chips), tuple(processes), lists)


def _chip(upper: list[str], lower: list[str], *, numbered: bool) -> NpuChip:
    first, second = upper[0].split(None, 1), lower[0].split()
    if len(first) != 2 or not first[0].isdecimal() or not all(w.isdecimal() for w in second) or not second:  # noqa: PLR2004
        raise UnparsedError(f"npu-smi info: not a chip: {' | '.join(upper)!r}")
    pairs = _PAIR.findall(lower[2])
    used, total = (int(pairs[-1][0]), int(pairs[-1][1])) if pairs else (None, None)
    phy = int(second[1]) if numbered and len(second) > 1 else None
    return NpuChip(int(first[0]), int(second[0]), phy, first[1], upper[1], lower[1], used, total)


def _process(cells: list[str]) -> NpuProcess:
    place = cells[0].split()
    if len(place) != 2 or not all(w.isdecimal() for w in (*place, cells[1])):  # noqa: PLR2004  # NPU and chip
        raise UnparsedError(f"npu-smi info: not a process: {' | '.join(cells)!r}")
    memory = int(cells[3]) if cells[3].isdecimal() else None
    return NpuProcess(int(place[0]), int(place[1]), int(cells[1]), cells[2], memory)


def _fields(what: str, text: str) -> dict[str, str]:
    """``Key : value`` lines; the value of a key that is printed again with another value is refused."""
    found: dict[str, str] = {}
    for row in lines(text):
        match = re.match(r"([A-Za-z][^:]*?)\s*:\s*(.*)", row)
        if match:
            key, value = match.group(1).lower(), match.group(2).strip()
            if found.setdefault(key, value) != value:
                raise UnparsedError(f"{what}: several devices in one answer ({match.group(1)})")
    return found


def parse_health(text: str) -> NpuHealth:
    """Read ``info -t health``: ``Health Status`` (or ``Health``) and ``Error Code``.

    Raises:
        UnparsedError: no such key, or several devices.
    """
    fields = _fields("npu-smi info -t health", text)
    status = fields.get("health status") or fields.get("health")
    if not status:
        raise unknown("npu-smi info -t health", text)
    codes = [c for c in re.split(r"[\s,]+", fields.get("error code", "")) if c and c.upper() != "NA"]
    return NpuHealth(status, tuple(codes))


def parse_board(text: str) -> NpuBoard:
    """Read ``info -t board`` of a card, or of a chip (which names the firmware only).

    Raises:
        UnparsedError: neither version is there; also "Invalid card id.", said of a card that is gone.
    """
    fields = _fields("npu-smi info -t board", text)
    if "software version" not in fields and "firmware version" not in fields:
        raise unknown("npu-smi info -t board", text)
    return NpuBoard(
        fields.get("software version", ""), fields.get("firmware version", ""), fields.get("compatibility") or None
    )


def parse_super_pod(text: str) -> SuperPod:
    """Read ``info -t spod-info``: ``SDID`` and ``Super Pod ID``, both whole numbers.

    Raises:
        UnparsedError: one of them is not there, or is no number.
    """
    fields = _fields("npu-smi info -t spod-info", text)
    sdid, pod = fields.get("sdid", ""), fields.get("super pod id", "")
    if not sdid.isdecimal() or not pod.isdecimal():
        raise unknown("npu-smi info -t spod-info", text)
    return SuperPod(int(sdid), pod)


def parse_map(text: str) -> tuple[NpuMapRow, ...]:
    """Read ``info -m``.

    Raises:
        UnparsedError: no table, or a row that does not fit it.
    """
    found: list[NpuMapRow] = []
    seen = False
    for row in lines(text):
        cells = re.split(r"\s{2,}|\t+", row)
        if cells[0] == "NPU ID":
            seen = True
        elif seen:
            if len(cells) < 4 or not cells[0].isdecimal() or not cells[1].isdecimal():  # noqa: PLR2004  # columns
                raise UnparsedError(f"npu-smi info -m: not a row: {shown(row)!r}")
            logic = int(cells[2]) if cells[2].isdecimal() else None
            found.append(NpuMapRow(int(cells[0]), int(cells[1]), logic, cells[-1]))
    if not found:
        raise unknown("npu-smi info -m", text)
    return tuple(found)


def parse_list(text: str) -> tuple[int, ...]:
    """Read ``info -l``: the NPU ids, which must be as many as ``Total Count`` says (or ``Card Count``).

    Raises:
        UnparsedError: neither is there, or they contradict each other.
    """
    rows = lines(text)
    total = [m.group(1) for x in rows if (m := re.match(r"(?:Total|Card) Count\s*:\s*(\d+)", x))]
    npus = tuple(int(m.group(1)) for x in rows if (m := re.match(r"(?:NPU|Card) ID\s*:\s*(\d+)", x)))
    count = int(one("npu-smi info -l", total, text))
    if count != len(npus):
        raise UnparsedError(f"npu-smi info -l: {count} announced, {len(npus)} listed")
    return npus
