# SPDX-License-Identifier: Apache-2.0
"""Probes: for each tool the commands to send, the parser of its output, and the facts that come of it."""
