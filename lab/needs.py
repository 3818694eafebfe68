# SPDX-License-Identifier: Apache-2.0
"""What the lab needs of the machine: root, and a few packages."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lab.machine import LabError, run

PACKAGES = Path(__file__).with_name("packages.txt")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def require_root() -> None:
    """Refuse kindly without the rights that namespaces need.

    Raises:
        LabError: not root.
    """
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and mounts: run it as root (sudo -E make lab)")


def missing() -> list[str]:
    """The packages that are not there yet."""
    rows = [line.split() for line in PACKAGES.read_text(encoding="utf-8").splitlines()]
    wanted = [(row[0], row[1]) for row in rows if row and not row[0].startswith("#")]
    return sorted({package for thing, package in wanted if not _is_there(thing)})


def _is_there(thing: str) -> bool:
    if thing.startswith("/"):
        return bool(glob.glob(thing))  # noqa: PTH207  # an absolute pattern
    return shutil.which(thing, path=_PATH) is not None


def install(say: Callable[[str], None]) -> None:
    """Install what is missing with apt, without starting any service.

    Raises:
        LabError: there is no apt, or it failed.
    """
    packages = missing()
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"please install {', '.join(packages)}: this machine has no apt-get")
    say(f"installing {', '.join(packages)}")
    run(["apt-get", "update", "-q"])
    # RUNLEVEL 1: packages then start none of their services.
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    run([*quiet, "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages])
