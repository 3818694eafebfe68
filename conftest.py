# SPDX-License-Identifier: Apache-2.0
"""Registers the Hakuna plugin, so that a checkout works without being installed."""

pytest_plugins = ["hakuna.plugin"]
