# SPDX-License-Identifier: Apache-2.0
"""Programs that run in the environment of one LMDeploy release; each is started by its path."""
