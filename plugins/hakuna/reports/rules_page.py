# SPDX-License-Identifier: Apache-2.0
"""Rules as pages: ``--explain RULE``, ``--rules``, and docs/rules.md. The text is the suites' own."""

from __future__ import annotations

import textwrap

from hakuna.judgement.rules import Rule, RuleBook
from hakuna.judgement.stage import Stage
from hakuna.reports.text import lines, plural
from hakuna.simulator.catalogue import CATALOGUE, VARIANTS

_WIDTH = 100


def explain(rule: Rule) -> str:
    """Give one rule as a page for the terminal. Fix lines are never folded: they are to be copied."""
    path, line = rule.place
    page = [f"{rule.code}  {rule.title}", f"stage {rule.stage.title}, {path.parent.name}/{path.name}:{line}", ""]
    page += [*_folded(rule.why), ""]
    page += [*_folded(rule.judged), "", "Fix", *(f"  {text}" for text in lines(rule.fix)), ""]
    if rule.needs:
        page += _folded(f"Blocked by a failure at the same place of: {', '.join(rule.needs)}")
    if rule.rests_on:
        page += _folded(f"Blocked by a failure anywhere of: {', '.join(rule.rests_on)}")
    if rule.gates and rule.stage is not Stage.TEARDOWN:
        page += ["A failure keeps later stages from being brought up."]
    if rule.guide:
        page += [f"Guide: section {rule.guide}"]
    if rule.source:
        page += _folded(f"Source: {rule.source}")
    for row in rule.rows:
        page += _folded(f"Rests on table row {row.key} ({row.scope}): {row.says}")
    proof = proven_by(rule)
    if proof:
        page += _folded(f"Proven by the simulated faults: {', '.join(proof)}")
    return "\n".join(page).rstrip()


def proven_by(rule: Rule) -> list[str]:
    """The faults of the simulator's catalogue that trip a rule; a site's own rules have none."""
    return [kind.name for kind in (*CATALOGUE.values(), *VARIANTS.values()) if kind.rule == rule.code]


def listing(book: RuleBook) -> str:
    """Give all rules, one line each, by stage."""
    page: list[str] = []
    for stage, rules in _by_stage(book):
        page += [f"{stage.title} ({plural(len(rules), 'rule')})"]
        page += [f"  {r.code}  {r.title}" for r in rules]
        page += [""]
    page += [f"{plural(len(book), 'rule')}; hakuna explain RULE tells why one exists, how it is judged and what to do"]
    return "\n".join(page)


def markdown(book: RuleBook) -> str:
    """Give all rules as one page for docs/rules.md."""
    page = [
        "# Rules",
        "",
        "Generated from the docstrings of the suites: change it there. `hakuna explain RULE` shows the same text.",
        "Every rule says why it exists, how it is judged, what to do, on what it rests, and which simulated faults prove it.",
        "",
    ]
    for stage, rules in _by_stage(book):
        page += [f"- [{stage.title.capitalize()}](#{stage.title.replace(' ', '-')}): {plural(len(rules), 'rule')}"]
    for stage, rules in _by_stage(book):
        page += ["", f"## {stage.title.capitalize()}"]
        for rule in rules:
            page += _section(rule)
    return "\n".join(page) + "\n"


def _section(rule: Rule) -> list[str]:
    path, _ = rule.place
    section = ["", f"### {rule.code} {rule.title}", "", _prose(rule.why), "", _prose(rule.judged), "", "Fix:", ""]
    section += ["```text", *(text.replace("```", "'''") for text in lines(rule.fix)), "```", ""]
    if rule.needs:
        section += [f"- Needs: {', '.join(f'[{n}](#{n.lower()})' for n in rule.needs)}"]
    if rule.rests_on:
        section += [f"- Rests on: {', '.join(f'[{n}](#{n.lower()})' for n in rule.rests_on)}"]
    if rule.guide:
        section += [f"- Guide: section {rule.guide}"]
    if rule.source:
        section += [f"- Source: {_prose(rule.source)}"]
    if rule.rows:
        section += [f"- Rests on table rows: {', '.join(f'[{r.key}](versions.md#{r.key})' for r in rule.rows)}"]
    proof = proven_by(rule)
    if proof:
        section += [f"- Proven by: {', '.join(f'`{name}`' for name in proof)} ([faults](faults.md))"]
    section += [f"- Check: `{path.parent.name}/{path.name}`, `{rule.function.__name__}`"]
    # A stable anchor: that of the heading would change with the title.
    section.insert(1, f'<a id="{rule.code.lower()}"></a>\n')
    return section


def _by_stage(book: RuleBook) -> list[tuple[Stage, list[Rule]]]:
    return [(stage, rules) for stage in Stage if (rules := book.of(stage))]


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _prose(text: str) -> str:
    """Docstring prose in Markdown: outside of code, nothing is read as HTML."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))
