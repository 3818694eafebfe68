# SPDX-License-Identifier: Apache-2.0
"""The CPU twin's own tests: they need torch and LMDeploy, so `make lab-lmdeploy` runs them with the lab's Python."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") and find_spec("lmdeploy") else ["test_*.py"]
