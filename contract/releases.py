# SPDX-License-Identifier: Apache-2.0
"""Which LMDeploy releases the contract is about."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

#: From the guide's oldest on, as PyPI lists them; what is newer is found by :func:`newer`.
RELEASES = (
    "0.7.2.post1", "0.7.3", "0.8.0", "0.9.0", "0.9.1", "0.9.2", "0.9.2.post1", "0.10.0", "0.10.1", "0.10.2", "0.11.0",
    "0.11.1", "0.12.0", "0.12.1", "0.12.2", "0.12.3", "0.13.0", "0.14.0", "0.15.0", "0.16.0", "0.17.0", "0.18.0",
)  # fmt: skip
#: What CI looks at: the oldest, the guide's, the last that reads the rank table, the newest that is known.
CI = (RELEASES[0], "0.11.1", "0.14.0", RELEASES[-1])


def chosen(words: Sequence[str], python: Path) -> tuple[str, ...]:
    """The releases that a command line asks for: "all", "ci", or versions; in order of age.

    Raises:
        ValueError: a word is none of these.
    """
    found: set[str] = set()
    for word in words:
        if word == "all":
            found |= {*RELEASES, *newer(python)}
        elif word == "ci":
            found |= set(CI)
        else:
            try:
                found.add(str(Version(word)))
            except InvalidVersion:
                raise ValueError(f'{word!r} is no release: say "all", "ci", or versions such as 0.14.0') from None
    return tuple(sorted(found, key=Version))


def newer(python: Path) -> tuple[str, ...]:
    """The releases that the package index has beyond those listed here; none when it cannot be asked."""
    words = [str(python), "-m", "pip", "index", "versions", "lmdeploy", "--disable-pip-version-check"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    except subprocess.TimeoutExpired:
        return ()
    line = re.search(r"Available versions: (.*)", done.stdout)
    listed = [Version(word) for word in line[1].split(", ")] if line else []
    return tuple(str(v) for v in listed if v > Version(RELEASES[-1]))
