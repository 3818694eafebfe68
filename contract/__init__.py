# SPDX-License-Identifier: Apache-2.0
"""The contract with LMDeploy: every release's own code is asked what Hakuna and its simulator take for granted."""
