#!/usr/bin/python3 -IS
# SPDX-License-Identifier: Apache-2.0
"""runc for machines that lack a capability themselves: what they have not, no container asks for.

``docker run --privileged=true`` asks for every capability and fails ("unable to apply caps") where the machine's
bounding set lacks one. This stands between Docker and runc: ``create`` and ``run`` mend the bundle's config.json,
``exec`` the file behind ``--process``.
"""

from __future__ import annotations

import json
import os
import resource
import sys

RUNC = "/usr/sbin/runc" if os.access("/usr/sbin/runc", os.X_OK) else "/usr/bin/runc"
#: Where the lab writes which control group its containers belong to, and where podman puts them by itself.
GROUP = "/etc/hakuna-lab/cgroup"
PODMANS = "/libpod_parent/"
NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]  # one name per line would be a page


def present() -> set[str]:
    """The capabilities of this machine's bounding set (capabilities(7) numbers them in the order above)."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123  # runs for every exec
        bounding = next(int(line.split()[1], 16) for line in file if line.startswith("CapBnd:"))
    return {f"CAP_{name}" for number, name in enumerate(NAMES) if bounding >> number & 1}


def mend(process: dict[str, object], caps: set[str]) -> None:
    """Take out of one process description what the machine cannot give."""
    sets = process.get("capabilities")
    if isinstance(sets, dict):
        for kind, wanted in sets.items():
            sets[kind] = [name for name in wanted or () if name in caps]
    limits = process.get("rlimits")
    if isinstance(limits, list) and "CAP_SYS_RESOURCE" not in caps:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        for limit in limits:
            if limit.get("type") == "RLIMIT_NOFILE":
                limit["hard"] = min(limit["hard"], hard)
                limit["soft"] = min(limit["soft"], hard)
    adjust = process.get("oomScoreAdj")
    if isinstance(adjust, int) and "CAP_SYS_RESOURCE" not in caps:
        process["oomScoreAdj"] = max(0, adjust)


def move(data: dict[str, object]) -> None:
    """Podman puts its containers into a group of its own, which outlives a lab: put them into the lab's."""
    try:
        with open(GROUP, encoding="utf-8") as file:  # noqa: PTH123  # see above
            group = file.read().strip()
    except FileNotFoundError:
        return
    linux = data.get("linux")
    path = linux.get("cgroupsPath") if isinstance(linux, dict) else None
    if isinstance(linux, dict) and isinstance(path, str) and path.startswith(PODMANS):
        linux["cgroupsPath"] = f"{group}/{path.removeprefix(PODMANS)}"


def mend_file(path: str, *, bundle: bool) -> None:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123  # see above
        data = json.load(file)
    mend(data.get("process") or {} if bundle else data, present())
    if bundle:
        move(data)
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123  # see above
        json.dump(data, file)


def option(words: list[str], *names: str) -> str:
    """The value of an option, written either way; empty without it."""
    for at, word in enumerate(words):
        for name in names:
            if word == name and at + 1 < len(words):
                return words[at + 1]
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
    return ""


def main() -> None:
    words = sys.argv[1:]
    if "create" in words or "run" in words:
        mend_file(os.path.join(option(words, "--bundle", "-b") or ".", "config.json"), bundle=True)  # noqa: PTH118  # see above
    elif "exec" in words:
        path = option(words, "--process", "-p")
        if path:
            mend_file(path, bundle=False)
    os.execv(RUNC, [RUNC, *words])  # noqa: S606  # this becomes runc


if __name__ == "__main__":
    main()
