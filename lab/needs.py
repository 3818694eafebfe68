# SPDX-License-Identifier: Apache-2.0
"""What the lab needs of the machine: root, and a few packages."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lab.machine import LabError, run
from lab.plan import Plan

PACKAGES = Path(__file__).with_name("packages.txt")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def require_root() -> None:
    """Refuse kindly without the rights that namespaces need.

    Raises:
        LabError: not root.
    """
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and mounts: run it as root (sudo -E make lab)")


def missing(plan: Plan) -> list[str]:
    """The packages that are not there yet."""
    rows = [line.split() for line in PACKAGES.read_text(encoding="utf-8").splitlines()]
    wanted = [row for row in rows if row and not row[0].startswith("#") and _is_for(plan, row[2:])]
    return sorted({package for thing, package, *_ in wanted if not _is_there(thing)})


def _is_for(plan: Plan, engines: list[str]) -> bool:
    """Whether a lab of this plan needs it; with no engine named, every lab does."""
    return not engines or (not plan.bare and plan.engine in engines)


def _is_there(thing: str) -> bool:
    if thing.startswith("/"):
        return bool(glob.glob(thing))  # noqa: PTH207  # an absolute pattern
    return shutil.which(thing, path=_PATH) is not None


def _of_release(names: list[str]) -> str:
    """The first of several packages that this release has; the last one if it has none, for apt to complain of."""
    known = (name for name in names if run(["apt-cache", "show", "--no-all-versions", name], check=False))
    return next(known, names[-1])


def install(plan: Plan, say: Callable[[str], None]) -> None:
    """Install what is missing with apt, without starting any service.

    Raises:
        LabError: there is no apt, or it failed.
    """
    packages = missing(plan)
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"please install {', '.join(packages)}: this machine has no apt-get")
    say(f"installing {', '.join(packages)}")
    run(["apt-get", "update", "-q"])
    packages = sorted({_of_release(names.split("|")) for names in packages})
    # RUNLEVEL 1: packages then start none of their services.
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    run([*quiet, "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages])
