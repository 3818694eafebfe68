# SPDX-License-Identifier: Apache-2.0
"""Makes the helpers of this folder, and those of the simulated runs, importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("simulated", "judgement"))]
