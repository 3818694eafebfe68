# SPDX-License-Identifier: Apache-2.0
"""LMDeploy imports this for its effect; there is none to be had without a device."""
