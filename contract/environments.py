# SPDX-License-Identifier: Apache-2.0
"""An environment for each release: its own wheel, without dependencies, over one base that all share.

The base holds torch (a CPU build) and the light packages that LMDeploy's serving code imports. A release's folder
holds what is in its wheel but the CUDA libraries, which nothing here loads: some 5 MB instead of 400.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TORCH = "torch==2.13.0"
#: transformers 4 is what the releases of all years load; its successor is taken by none but the newest.
PACKAGES = (
    TORCH, "transformers>=4.56,<5", "peft<=0.14.0", "ray>=2.40,<3", "fastapi", "uvicorn", "pydantic>2", "openai",
    "shortuuid", "fire", "mmengine-lite", "einops", "pillow", "sentencepiece", "tiktoken", "protobuf", "safetensors",
    "aiohttp", "prometheus_client", "pyzmq", "partial_json_parser", "pybase64", "openai_harmony",
)  # fmt: skip
#: What is imported and never used here; with its dependencies it would bring Triton along.
BARE_PACKAGES = ("xgrammar", "apache-tvm-ffi")
_HEAVY = (".so", ".a")
_HEAVY_FOLDERS = ("bin", "lib", "lib64")
_STAMP = "ready"


class UnavailableError(Exception):
    """A release cannot be had here; the text is the reason."""


@dataclass(frozen=True)
class Environment:
    """Where a release lies, and what runs it."""

    version: str
    folder: Path
    python: Path

    @property
    def variables(self) -> dict[str, str]:
        """What its programs run with: its own code first, and nothing that reaches out of the machine."""
        kept = {n: v for n, v in os.environ.items() if n in ("PATH", "HOME", "LANG", "TMPDIR")}
        quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1", "no_proxy": "*"}
        return {**kept, **quiet, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}


def cache() -> Path:
    """Where environments are kept between runs (``HAKUNA_CONTRACT_CACHE``)."""
    named = os.environ.get("HAKUNA_CONTRACT_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "hakuna-contract"


def base() -> Path:
    """The base environment's interpreter; the environment is made if it is not there, or of other packages.

    Raises:
        UnavailableError: it cannot be made.
    """
    folder = cache() / f"base-{sys.version_info[0]}.{sys.version_info[1]}"
    stamp = folder / _STAMP
    wanted = "\n".join((*PACKAGES, *BARE_PACKAGES))
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*install, *PACKAGES])
        _run([*install, "--no-deps", *BARE_PACKAGES])
        stamp.write_text(wanted, encoding="utf-8")
    return python


def of(version: str, python: Path) -> Environment:
    """The release's environment; its wheel is fetched when it is not there, and deleted after it was unpacked.

    Raises:
        UnavailableError: the index has no wheel for this interpreter, or cannot be reached.
    """
    folder = cache() / "releases" / f"{version}-cp{sys.version_info[0]}{sys.version_info[1]}"
    if not (folder / _STAMP).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=cache()) as fetched:
            words = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
            _run([str(python), "-m", "pip", *words, "--dest", fetched, f"lmdeploy=={version}"])
            (wheel,) = Path(fetched).glob("*.whl")
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(folder, [name for name in packed.namelist() if not _heavy(name)])
            (folder / _STAMP).write_text(f"{wheel.name} {wheel.stat().st_size}\n", encoding="utf-8")
    return Environment(version, folder, python)


def _heavy(name: str) -> bool:
    """Whether a wheel's member is a compiled library or program."""
    path = Path(name)
    return path.suffix in _HEAVY or ".so." in path.name or path.parent.name in _HEAVY_FOLDERS


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr[-500:]]
        raise UnavailableError(" ".join(errors))
