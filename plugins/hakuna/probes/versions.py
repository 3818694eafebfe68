# SPDX-License-Identifier: Apache-2.0
"""Versions of a node's software: driver, firmware, CANN, and the Python packages that serve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hakuna.evidence import Command
from hakuna.probes.programs import program
from hakuna.probes.reading import UnparsedError
from hakuna.probes.scripts import script
from hakuna.probes.texts import clean, lines, program_answer, shaped, shown, unknown

DRIVER = "/usr/local/Ascend/driver/version.info"
FIRMWARE = "/usr/local/Ascend/firmware/version.info"


@dataclass(frozen=True)
class VersionInfo:
    """One of Ascend's version files. ``package`` is its ``package_version``; ``values`` holds every key as printed."""

    version: str
    package: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CannFile:
    """CANN's own version file; ``path`` and ``version`` are None where CANN is not installed."""

    path: str | None
    version: str | None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PackageVersions:
    """The Python that answered and the packages that matter; None: not installed."""

    python: str
    packages: Mapping[str, str | None]


def driver() -> Command:
    return Command("host.driver", ("cat", DRIVER), lane="files", query=True)


def firmware() -> Command:
    return Command("host.firmware", ("cat", FIRMWARE), lane="files", query=True)


def cann() -> Command:
    return script("cann", id="host.cann", lane="files")


def packages() -> Command:
    return program("versions", id="versions", deadline=60.0, lane="python")


_SETTING = re.compile(r"([A-Za-z][\w. -]*?)\s*[=:]\s*(.*)")


def parse_version_info(text: str) -> VersionInfo:
    """Read a ``version.info``, ``*_install.info`` or ``version.cfg``: ``key=value``, or MindIE's ``key : value``.

    Raises:
        UnparsedError: no version, or the files of several packages.
    """
    values: dict[str, str] = {}
    for row in lines(text):
        match = _SETTING.fullmatch(row)
        if match:
            key, value = match.group(1), match.group(2).strip().strip('"')
            if values.setdefault(key, value) != value:
                raise UnparsedError(f"a version file: several files in one answer ({key} is there twice)")
    version = _version(values)
    if not version:
        raise unknown("a version file", text)
    return VersionInfo(version, values.get("package_version"), values)


def _version(values: Mapping[str, str]) -> str:
    lower = {k.lower(): v for k, v in values.items()}
    for key in ("version", "ascend-mindie", "toolkit_installed_version", "runtime_installed_version"):
        if lower.get(key):
            # MindIE writes its name before the version; CANN's version.cfg "[8.0.RC1:8.0.RC1]".
            word = lower[key].split()[-1].strip("[]")
            return word.split(":")[0]
    return ""


def split_by_file(text: str) -> dict[str, str]:
    """The parts of a transcript that shows several files, by path (``cat PATH`` or the path alone on a line)."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for row in clean(text).split("\n"):
        header = re.fullmatch(r"\s*(?:.*[#$>]\s*)?(?:cat\s+)?(/\S+(?:\.info|\.cfg))\s*", row)
        command = re.match(r"\s*(?:[$#>]\s*)?(?:cat|pip3?|npu-smi|hccn_tool|lspci)\s", row)
        if header:
            current = found.setdefault(header.group(1), [])
        elif command:
            current = None
        elif current is not None:
            current.append(row)
    return {path: "\n".join(rows) for path, rows in found.items()}


def parse_cann(text: str) -> CannFile:
    """Read what ``hakuna-cann`` printed.

    Raises:
        UnparsedError: the end mark is missing, or the file names no version.
    """
    rows = clean(text).split("\n")
    if "cann-end" not in (r.strip() for r in rows):
        raise unknown("hakuna-cann", text)
    head = next((i for i, r in enumerate(rows) if r.startswith("file ")), None)
    if head is None:
        return CannFile(None, None)
    body = []
    for row in rows[head + 1 :]:
        if row.strip() == "cann-end":
            break
        body.append(row)
    found = parse_version_info("\n".join(body))
    return CannFile(rows[head][5:].strip(), found.version, found.values)


@shaped
def parse_packages(text: str) -> PackageVersions:
    """Read what ``hakuna-versions`` printed.

    Raises:
        UnparsedError: it failed, or printed something else.
    """
    answer = program_answer("hakuna-versions", text)
    found = answer.get("packages")
    if not isinstance(found, dict) or not isinstance(answer.get("python"), str):
        raise UnparsedError(f"hakuna-versions: {shown(str(answer.get('error') or text))}")
    return PackageVersions(answer["python"], {str(k): None if v is None else str(v) for k, v in found.items()})
