# SPDX-License-Identifier: Apache-2.0
"""hakuna-versions: prints the versions of the Python packages that serve."""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata

NAMES = ("lmdeploy", "ray", "torch", "torch-npu", "dlinfer-ascend", "transformers")


def version(name: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    found = {"python": platform.python_version(), "packages": {name: version(name) for name in NAMES}}
    sys.stdout.write(json.dumps(found) + "\n")
