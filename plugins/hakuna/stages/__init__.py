# SPDX-License-Identifier: Apache-2.0
"""Stages: how each layer is brought up, read and taken down, and in which order. Knows nothing of pytest."""
