# SPDX-License-Identifier: Apache-2.0
"""Judgement: rules, findings, verdicts, and the judges that are more than a comparison."""
