# SPDX-License-Identifier: Apache-2.0
"""Which chip dlinfer is for."""

vendor_name = "ascend"
