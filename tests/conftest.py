# SPDX-License-Identifier: Apache-2.0
"""Makes ``tests/support`` importable from every test folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
