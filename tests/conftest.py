# SPDX-License-Identifier: Apache-2.0
"""Makes ``tests/support`` importable from every test folder, and keeps hypothesis from judging a busy machine's speed."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("hakuna", deadline=None)
settings.load_profile("hakuna")
