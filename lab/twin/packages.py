# SPDX-License-Identifier: Apache-2.0
"""What the CPU twin serves with, made once and kept in the lab's cache: packages, LMDeploy's releases, the model."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from lab.machine import run
from lab.plan import CACHE

HERE = Path(__file__).parent
SITE = HERE / "site"
REQUIREMENTS = HERE / "requirements.txt"
MAKER = HERE / "reference_model.py"
#: torch, ray and what LMDeploy imports: shared by all of its releases.
VENV = CACHE / "twin"
MODEL = CACHE / "reference-model"
STAMP = ".hakuna-lab"
Say = Callable[[str], None]


def release(version: str) -> Path:
    """The folder of one release of LMDeploy, as PyPI has it."""
    return CACHE / f"lmdeploy-{version}"


def prepare(version: str, say: Say) -> None:
    """Make all three, as far as they are not there.

    Raises:
        LabError: pip failed, or no model came of the teaching; with what was said.
    """
    _once(VENV, REQUIREMENTS.read_text(encoding="utf-8"), _packages, say)
    prepare_release(version, say)
    _once(MODEL, MAKER.read_text(encoding="utf-8"), _model, say)


def prepare_release(version: str, say: Say) -> None:
    """Install one release of LMDeploy beside the packages, without what it requires."""
    _once(release(version), f"lmdeploy=={version}", lambda folder: _release(folder, version), say)


def _once(folder: Path, recipe: str, make: Callable[[Path], None], say: Say) -> None:
    stamp = folder / STAMP
    wanted = sha256(recipe.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return
    say(f"making {folder}")
    begun = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make(folder)
    stamp.write_text(wanted, encoding="ascii")
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    say(f"made {folder}: {size / 2**20:.0f} MiB in {time.monotonic() - begun:.0f} s")


def _packages(folder: Path) -> None:
    run(["/usr/bin/python3", "-m", "venv", str(folder)])
    _pip("-r", str(REQUIREMENTS))


def _release(folder: Path, version: str) -> None:
    _pip("--no-deps", "--target", str(folder), f"lmdeploy=={version}")


def _pip(*words: str) -> None:
    run([str(VENV / "bin/pip"), "install", "-q", "--disable-pip-version-check", *words], seconds=1200)


def _model(folder: Path) -> None:
    run([str(VENV / "bin/python"), str(MAKER), str(folder)], seconds=1200)
