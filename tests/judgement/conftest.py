# SPDX-License-Identifier: Apache-2.0
"""Makes ``support`` importable."""

from __future__ import annotations

import sys
from pathlib import Path

# In importlib mode pytest puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parents[1]))
