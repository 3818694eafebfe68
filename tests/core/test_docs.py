# SPDX-License-Identifier: Apache-2.0
"""The docs say what the code does: generated pages are fresh, codes and files that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hakuna.reports.rules_page import markdown
from hakuna.reports.versions_page import page
from hakuna.suites import load_rules

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"\b(?:INV|HST|NET|CTR|RNK|RAY|COL|SRV|GEN|TDN)\d{3}\b")
SITES_OWN = {"NET950"}


def test_the_rules_page_is_fresh():
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == markdown(load_rules()), "run: make docs"


def test_the_versions_page_is_fresh():
    assert (ROOT / "docs" / "versions.md").read_text(encoding="utf-8") == page(load_rules()), "run: make docs"


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.name)
def test_every_rule_that_is_named_exists(page):
    named = set(CODE.findall(page.read_text(encoding="utf-8"))) - SITES_OWN
    assert named <= {r.code for r in load_rules()}


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.name)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [x for x in links if "://" not in x and not (page.parent / x).exists()]
    assert missing == []


def test_the_guides_coverage_names_code_that_exists():
    text = (ROOT / "docs" / "guide-coverage.md").read_text(encoding="utf-8")
    package = ROOT / "plugins" / "hakuna"
    for name in re.findall(r"`((?:stages|probes|inventory)/[\w./-]+)`", text):
        assert (package / name).exists() or (ROOT / name).exists(), name


def test_every_section_of_the_guide_is_covered():
    text = (ROOT / "docs" / "guide-coverage.md").read_text(encoding="utf-8")
    sections = {row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| ")}
    for section in ("0", "1", "2.1", "2.2", "2.3", "2.4", "3", "4.1", "4.2", "5", "5.1", "5.2"):
        assert any(section in {p.strip() for p in s.split(",")} for s in sections), section
