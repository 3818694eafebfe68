# SPDX-License-Identifier: Apache-2.0
"""How dlinfer meets the frameworks that use it."""
