# SPDX-License-Identifier: Apache-2.0
"""hakuna-serve lmdeploy serve api_server ...: runs LMDeploy's own command with the API key that comes on stdin.

LMDeploy takes keys on its command line only, where every user of the node can read them in /proc. Here they go
into the list of arguments of the running interpreter and never into the process's own.
"""

from __future__ import annotations

import importlib
import os
import sys


def main(words: list[str]) -> None:
    """Read the key, close stdin, and become ``lmdeploy``."""
    key = sys.stdin.readline().strip()
    if not key:
        sys.exit("hakuna-serve: no API key on stdin")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.argv = [*words, "--api-keys", key]
    importlib.import_module("lmdeploy.cli").run()


if __name__ == "__main__":
    main(sys.argv[2:])
