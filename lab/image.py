# SPDX-License-Identifier: Apache-2.0
"""The lab's image, made of the machine's own programs, as an archive for ``docker load``.

Nothing can be pulled, and every host must get the same image id: so the archive is written here, byte for byte the
same each time. It holds a shell, the usual tools, Python, CANN's version file, and the simulated lmdeploy - or the
environment in which the real one, mounted, finds the CPU twin.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hakuna import releases
from hakuna.inventory.model import GUIDE_IMAGE
from hakuna.simulator import lmdeploy_server
from hakuna.simulator.cluster import CANN
from hakuna.simulator.files import CANN_INFO
from lab.machine import run
from lab.plan import CACHE

#: Where the simulated lmdeploy lies inside.
LMDEPLOY = "/opt/lmdeploy"
VERSION = "0.14.0"
#: Where the CPU twin's stand-ins are mounted.
TWIN = "/opt/twin"
#: What a device of the twin pretends to have, for LMDeploy to fill with its cache.
TWIN_MEMORY_MIB = 64
_TOOLS = [
    "bash",
    "sh",
    "cat",
    "ls",
    "find",
    "grep",
    "sed",
    "tr",
    "head",
    "tail",
    "wc",
    "sort",
    "uniq",
    "cut",
    "mkdir",
    "mkfifo",
    "mktemp",
    "rm",
    "rmdir",
    "mv",
    "cp",
    "ln",
    "chmod",
    "chown",
    "touch",
    "date",
    "df",
    "du",
    "env",
    "expr",
    "id",
    "printf",
    "pwd",
    "readlink",
    "sha256sum",
    "sleep",
    "stat",
    "sync",
    "test",
    "true",
    "false",
    "uname",
    "hostname",
    "kill",
    "ps",
    "ss",
    "ip",
    "getent",
    "timeout",
    "tee",
    "nproc",
    "dirname",
    "basename",
    "echo",
    "awk",
    "mawk",
    "which",
    "setsid",
    "stty",
    "tty",
    "nohup",
    "python3",
]
_STAND_IN = Path(__file__).with_name("standin")


def _libraries(paths: Iterable[str]) -> set[str]:
    """What the dynamic loader would load for these files."""
    found: set[str] = set()
    for path in paths:
        said = run(["ldd", path], check=False)
        found.update(re.findall(r"(/\S+) \(0x", said))
    return found


def _python() -> Path:
    code = "import sysconfig; print(sysconfig.get_path('stdlib'))"
    return Path(run(["/usr/bin/python3", "-c", code]).strip())


@dataclass(frozen=True)
class Twin:
    """An image for the real LMDeploy: where its release lies, and how many devices a host has."""

    release: Path
    devices: int


def path(*, twin: bool) -> Path:
    """The archive in the cache."""
    return CACHE / ("image-twin.tar" if twin else "image.tar")


def _environment(venv: Path, twin: Twin | None) -> list[str]:
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if twin is None:
        return [f"PATH={venv}/bin:{system}", f"PYTHONPATH={LMDEPLOY}"]
    return [
        f"PATH={twin.release}/bin:{venv}/bin:{system}",
        f"PYTHONPATH={TWIN}:{twin.release}",
        f"TWIN_DEVICES={twin.devices}",
        f"TWIN_MEMORY_MIB={TWIN_MEMORY_MIB}",
        "OMP_NUM_THREADS=1",  # 16 ranks share what cores there are
    ]


def _files(venv: Path, *, whole: bool) -> set[Path]:
    """The files of the machine that go in; ``whole``: whatever any extension of the virtual environment needs."""
    paths = {p for tool in _TOOLS if (p := shutil.which(tool, path="/usr/bin:/bin:/usr/sbin:/sbin"))}
    binaries = {str(Path(p).resolve()) for p in paths}
    library = _python()
    standard = [p for p in library.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    files = {p for p in standard if not {"test", "idlelib", "ensurepip", "dist-packages"} & set(p.parts)}
    packages = "**/*" if whole else "ray/**/*"
    core = [str(p) for p in venv.glob(f"lib/python3*/site-packages/{packages}") if p.suffix == ".so" and p.is_file()]
    core += [str(p) for p in venv.glob("lib/python3*/site-packages/ray/core/src/ray/*/*") if p.is_file()]
    extensions = [str(p) for p in standard if p.suffix == ".so"]
    wanted = paths | binaries | _libraries([*binaries, *extensions, *core])
    files |= {Path(p) for p in wanted if not p.startswith(str(venv))}
    return files | {Path("/etc/passwd"), Path("/etc/group"), Path("/etc/nsswitch.conf")}


def _own(venv: Path, twin: Twin | None) -> dict[str, tuple[bytes, int]]:
    """Path inside -> content and mode of what is made here."""
    info = f"package_name=Ascend-cann-toolkit\nversion={CANN}\ninnerversion=V100R001C25SPC002B220\n"
    own = {CANN_INFO: (info.encode(), 0o644)}
    if twin is not None:
        return own
    meta = f"Metadata-Version: 2.1\nName: lmdeploy\nVersion: {VERSION}\nSummary: stand-in of the lab\n"
    own[f"{LMDEPLOY}/lmdeploy-{VERSION}.dist-info/METADATA"] = (meta.encode(), 0o644)
    package = Path(lmdeploy_server.__file__).parent
    # These load each other by path, so they must not lie in a package.
    for source in sorted(package.glob("lmdeploy_server*.py")):
        own[f"{LMDEPLOY}/{source.name}"] = (source.read_bytes(), 0o644)
    for source in sorted((package.parent / "releases").glob("*.py")):
        own[f"{LMDEPLOY}/releases/{source.name}"] = (source.read_bytes(), 0o644)
    for source in sorted(Path(releases.__file__).parent.glob("*.py")):
        own[f"{LMDEPLOY}/releases/{source.name}"] = (source.read_bytes(), 0o644)
    for source in sorted(_STAND_IN.glob("*.py")):
        own[f"{LMDEPLOY}/lmdeploy/{source.name}"] = (source.read_bytes(), 0o644)
    start = f"#!{venv}/bin/python3\nfrom lmdeploy.command import main\n\nmain()\n"
    own["/usr/local/bin/lmdeploy"] = (start.encode(), 0o755)
    return own


class _Layer:
    """A tar of files, each once."""

    def __init__(self) -> None:
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  # closed by bytes()
        self.names: set[str] = set()
        self.merged = [name for name in ("bin", "sbin", "lib", "lib64") if Path("/", name).is_symlink()]

    def add(self, path: str, content: bytes | None, mode: int, kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
        first, _, rest = path.lstrip("/").partition("/")
        name = f"usr/{first}/{rest}" if first in self.merged and rest else path.lstrip("/")
        if name in self.names:
            return
        self.names.add(name)
        entry = tarfile.TarInfo(name)
        entry.mode, entry.type, entry.linkname = mode, kind, link
        entry.size = len(content or b"")
        self.tar.addfile(entry, io.BytesIO(content) if content else None)

    def copy(self, source: Path) -> None:
        """A file of the machine; of a link, what it leads to as well."""
        folder = source.parent.resolve()
        real = folder / source.name
        if real.is_symlink():
            self.add(str(real), None, 0o777, tarfile.SYMTYPE, str(real.readlink()))
            self.copy(real.parent / real.readlink())
        elif real.is_file():
            self.add(str(real), real.read_bytes(), real.stat().st_mode & 0o777)

    def bytes(self) -> bytes:
        self.tar.close()
        return self.out.getvalue()


def _layer(venv: Path, twin: Twin | None) -> bytes:
    layer = _Layer()
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/local/bin", "etc", "root", "var/log", "opt"):
        layer.add(folder, None, 0o755, tarfile.DIRTYPE)
    layer.add("tmp", None, 0o1777, tarfile.DIRTYPE)
    for name in layer.merged:
        layer.add(name, None, 0o777, tarfile.SYMTYPE, f"usr/{name}")
    for source in sorted(_files(venv, whole=twin is not None)):
        layer.copy(source)
    for name, (content, mode) in sorted(_own(venv, twin).items()):
        layer.add(name, content, mode)
    return layer.bytes()


def build(venv: Path, twin: Twin | None = None) -> Path:
    """Write the archive into the cache; its path."""
    layer = _layer(venv, twin)
    digest = hashlib.sha256(layer).hexdigest()
    made = "2026-01-01T00:00:00Z"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": made,
        "config": {
            "Env": _environment(venv, twin),
            "Cmd": ["/bin/bash"],
            "WorkingDir": "/root",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": made, "created_by": "the lab"}],
    }
    text = json.dumps(config, sort_keys=True).encode()
    name = hashlib.sha256(text).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": [GUIDE_IMAGE], "Layers": [f"{digest}/layer.tar"]}]
    archive = path(twin=twin is not None)
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w") as tar:
        files = (
            (f"{name}.json", text),
            (f"{digest}/layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        )
        for inside, content in files:
            entry = tarfile.TarInfo(inside)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive
