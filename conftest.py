# SPDX-License-Identifier: Apache-2.0
"""A checkout works without being installed: this registers the plugin, nothing more."""

import sys

# Where Hakuna is installed its entry point came first, and pytest allows this name in the top-level conftest.py only:
# a session from another folder, which runs these suites, must not meet it.
if "hakuna.plugin" not in sys.modules:
    pytest_plugins = ["hakuna.plugin"]
