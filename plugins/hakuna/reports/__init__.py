# SPDX-License-Identifier: Apache-2.0
"""Reports: one model of a run, and pure functions that render it. Knows nothing of pytest."""
