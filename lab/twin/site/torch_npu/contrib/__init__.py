# SPDX-License-Identifier: Apache-2.0
"""Extras of torch_npu."""
