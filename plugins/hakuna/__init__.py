# SPDX-License-Identifier: Apache-2.0
"""Hakuna: acceptance harness for LMDeploy served across several Ascend machines."""

__version__ = "0.1.0"
