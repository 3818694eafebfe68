# SPDX-License-Identifier: Apache-2.0
"""Process 1 of a lab host: builds the host's file system, then only reaps. Standard library alone.

``unshare --fork --pid --mount --uts --net --ipc --propagation private python3 init.py NAME FOLDER DEVICES SEEN...``:
prints its process id as the machine sees it when the host stands, and lives until it is killed; the kernel then ends
everything in the host and drops every mount of it, as all of them are in its own namespaces.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

_NULL = (1, 3)
_NODES = {"null": _NULL, "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_CONTROL = ("davinci_manager", "devmm_svm", "hisi_hdc")


def mount(kind: str, target: Path, options: str = "", source: str = "hakuna-lab") -> None:
    target.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", kind, *(["-o", options] if options else []), source, str(target)]
    subprocess.run(words, check=True)


def device_files(folder: Path, devices: int) -> None:
    """/dev: the usual nodes, and stand-ins for the chips (memory devices that swallow everything)."""
    mount("tmpfs", folder, "mode=755,size=1m")
    nodes = _NODES | {f"davinci{i}": _NULL for i in range(devices)} | dict.fromkeys(_CONTROL, _NULL)
    for name, (major, minor) in nodes.items():
        os.mknod(folder / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        (folder / name).chmod(0o666)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (folder / name).symlink_to(target if target.startswith("/") else f"/proc/self/{target}")
    mount("devpts", folder / "pts", "newinstance,ptmxmode=0666,mode=620")
    (folder / "ptmx").symlink_to("pts/ptmx")
    mount("tmpfs", folder / "shm", "mode=1777")
    mount("mqueue", folder / "mqueue")


#: A host's own, empty at its start.
_OWN = ("run", "tmp")
#: Docker's and podman's own layers below /var/lib; they cannot lie on an overlay.
_STORES = ("docker", "containers")


def build(folder: Path, devices: int, seen: list[Path]) -> Path:
    """The host's root: the machine's own as it is, with everything that the host writes in a memory file system.

    The folders ``seen`` are the machine's in any case, read only: a checkout below /tmp must not vanish.
    """
    space = folder / "space"
    mount("tmpfs", space, "mode=755,size=16g")
    root = space / "root"
    for name in ("upper", "work", *_STORES):
        (space / name).mkdir()
    mount("overlay", root, f"lowerdir=/,upperdir={space}/upper,workdir={space}/work")
    mount("proc", root / "proc")
    boot = Path("/proc/sys/kernel/random/uuid").read_text(encoding="ascii")
    (space / "boot_id").write_text(boot, encoding="ascii")
    subprocess.run(
        ["mount", "--bind", str(space / "boot_id"), str(root / "proc/sys/kernel/random/boot_id")], check=True
    )
    mount("sysfs", root / "sys")
    subprocess.run(["mount", "--rbind", "/sys/fs/cgroup", str(root / "sys/fs/cgroup")], check=True)
    device_files(root / "dev", devices)
    for name, mode in zip(_OWN, ("755", "1777"), strict=True):
        mount("tmpfs", root / name, f"mode={mode}")
    for path in seen:
        if path.parts[1] in _OWN:
            place = root / path.relative_to("/")
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--rbind", str(path), str(place)], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
    for name in _STORES:
        (root / "var/lib" / name).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(space / name), str(root / "var/lib" / name)], check=True)
    return root


def enter(root: Path) -> None:
    """Make ``root`` the root and let go of the old one."""
    old = root / "run/old"
    old.mkdir()
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "run/old"], check=True)
    os.chroot(".")
    os.chdir("/")
    subprocess.run(["umount", "-l", "/run/old"], check=True)
    Path("/run/old").rmdir()
    Path("/run/sshd").mkdir()


def main() -> None:
    name, folder, devices = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    pid = str(Path("/proc/self").readlink())  # this /proc is still the machine's
    ctypes.CDLL(None).prctl(15, b"lab-init", 0, 0, 0)  # PR_SET_NAME, for the process list
    enter(build(folder, devices, [Path(word) for word in sys.argv[4:]]))
    socket.sethostname(name)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sys.stdout.write(f"{pid}\n")
    sys.stdout.flush()
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            os.wait()
        except ChildProcessError:  # noqa: PERF203  # it waits in every round
            signal.sigtimedwait([signal.SIGCHLD], 1.0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    main()
