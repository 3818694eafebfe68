# SPDX-License-Identifier: Apache-2.0
"""Makes the hand-made runs importable: in importlib mode pytest puts no test folder on the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "simulated")]
