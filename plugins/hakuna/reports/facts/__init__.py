# SPDX-License-Identifier: Apache-2.0
"""What a report shows besides findings: mesh, versions, ranks, answers, deeds, logs. Each part may be missing."""

from hakuna.reports.facts.exhibits import Exhibits, Measure, gather

__all__ = ["Exhibits", "Measure", "gather"]
