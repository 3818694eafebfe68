# SPDX-License-Identifier: Apache-2.0
"""``lmdeploy serve api_server MODEL ...`` of the lab: one process, whose workers are real actors of the Ray cluster."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from . import __version__, workers


def main() -> None:
    """Serve until told to end."""
    words = sys.argv[1:]
    if words[:2] != ["serve", "api_server"]:
        sys.exit("usage: lmdeploy serve api_server MODEL ...")
    parser = argparse.ArgumentParser(prog="lmdeploy serve api_server", allow_abbrev=False)
    parser.add_argument("model_path")
    parser.add_argument("--tp", type=int, default=1)
    parser.add_argument("--server-name", default="0.0.0.0")  # noqa: S104  # lmdeploy's own default
    parser.add_argument("--server-port", type=int, default=23333)
    parser.add_argument("--model-name", default="")
    options, _ = parser.parse_known_args(words[2:])
    json.loads(Path(options.model_path, "config.json").read_text(encoding="utf-8"))  # as loading a model begins
    group = workers.start(options.tp)  # held as long as this serves: Ray ends actors that nobody refers to
    server = importlib.import_module("lmdeploy_server")
    arguments = ["--lmdeploy-version", __version__, "--model", options.model_name or options.model_path]
    arguments += ["--host", options.server_name, "--port", str(options.server_port), "--idle", "86400"]
    status = server.main(arguments)
    workers.end(group)
    sys.exit(status)
