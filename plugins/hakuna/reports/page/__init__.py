# SPDX-License-Identifier: Apache-2.0
"""``report.html``: the whole run on one page that needs no network, no script and no other file."""

from hakuna.reports.page.render import render
from hakuna.reports.page.words import LANGUAGES

__all__ = ["LANGUAGES", "render"]
