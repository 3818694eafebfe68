# SPDX-License-Identifier: Apache-2.0
"""The Ascend part of dlinfer."""
