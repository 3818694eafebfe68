# SPDX-License-Identifier: Apache-2.0
"""Puts a simulated node's tools into a folder, for the front of a real login's PATH."""

from __future__ import annotations

import sys
from pathlib import Path

#: The tools that a simulated node answers for.
NAMES = (
    "hccn_tool",
    "npu-smi",
    "docker",
    "podman",
    "nerdctl",
    "ray",
    "lmdeploy",
    "python3",
    "python",
    "sh",
    "cat",
    "tail",
    "find",
    "ls",
    "sha256sum",
    "ip",
    "ss",
    "df",
    "date",
    "hostname",
    "uname",
)
_SOURCE = Path(__file__).with_name("shim_script.py")


def install_shims(directory: Path, socket_path: Path, python: str = sys.executable) -> tuple[str, ...]:
    """Write the tools into ``directory``; each hands its calls to the service at ``socket_path``. Gives their names.

    A tool that the service does not answer for (a file that is not simulated) runs as the machine's own.

    Raises:
        ValueError: a path that can not stand in the script (quotes, line breaks), or too long a socket path.
    """
    for path in (str(directory), str(socket_path), python):
        if set(path) & set("\"\\\n'") or not path.isascii():
            raise ValueError(f"not a path for a script: {path!r}")
    if len(str(socket_path)) > _SOCKET_LIMIT:
        raise ValueError(f"the socket's path is longer than {_SOCKET_LIMIT} characters: {socket_path}")
    directory.mkdir(parents=True, exist_ok=True)
    text = _SOURCE.read_text(encoding="utf-8")
    text = text.replace("@SOCKET@", str(socket_path)).replace("@FOLDER@", str(directory))
    script = directory / ".hakuna-shim"
    script.write_text(f"#!{python} -IS\n{text}", encoding="utf-8")
    script.chmod(0o755)
    for name in NAMES:
        link = directory / name
        link.unlink(missing_ok=True)
        link.symlink_to(script.name)
    return NAMES


#: sun_path of unix(7), without its final NUL.
_SOCKET_LIMIT = 107
