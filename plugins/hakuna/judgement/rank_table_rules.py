# SPDX-License-Identifier: Apache-2.0
"""Judges the text of a rank table, by HCCL's rules or by LMDeploy's."""

from __future__ import annotations

from hakuna.judgement import rank_table_hccl, rank_table_lmdeploy
from hakuna.judgement.rank_table_fault import FaultCode, Profile, TableContext, TableFault, place_of
from hakuna.judgement.rank_table_json import DefectKind, Element, Kind, read_json
from hakuna.judgement.rank_table_shared import layout_faults, text_faults
from hakuna.judgement.rank_table_view import View

__all__ = ["FaultCode", "Profile", "TableContext", "TableFault", "both_profiles", "judge", "place_of"]

#: Python's json, with which LMDeploy reads the table, takes the last one as HCCL does, but says nothing.
_HARMLESS_TO_PYTHON = frozenset({DefectKind.DUPLICATE_KEY})


def judge(text: str, profile: Profile, context: TableContext) -> tuple[TableFault, ...]:
    """Every fault of the table, each once, in the order of the file.

    Empty means that HCCL (or this LMDeploy) takes it. An LMDeploy that reads no table takes everything. A text that
    cannot be read to its end, or is in another layout, is judged no further.
    """
    lmdeploy = profile is Profile.LMDEPLOY
    if lmdeploy and not rank_table_lmdeploy.reads_table(context.lmdeploy_version):
        return ()
    document = read_json(text)
    faults = list(text_faults(document, _HARMLESS_TO_PYTHON if lmdeploy else frozenset()))
    if not lmdeploy:
        faults += rank_table_hccl.path_faults(context.path)
    root = document.root
    if root is not None and root.kind is Kind.OBJECT:
        faults += _of_content(root, context, lmdeploy=lmdeploy)
    return tuple(sorted(faults, key=lambda f: f.line or 0))


def both_profiles(text: str, context: TableContext) -> tuple[TableFault, ...]:
    """What HCCL or this LMDeploy objects to, each fault once, in the order of the file."""
    found: dict[tuple[FaultCode, str], TableFault] = {}
    for fault in (*judge(text, Profile.HCCL, context), *judge(text, Profile.LMDEPLOY, context)):
        found.setdefault((fault.code, fault.path), fault)
    return tuple(sorted(found.values(), key=lambda f: f.line or 0))


def _of_content(root: Element, context: TableContext, *, lmdeploy: bool) -> list[TableFault]:
    other = list(layout_faults(root))
    if other:
        return other
    rules = rank_table_lmdeploy.faults if lmdeploy else rank_table_hccl.faults
    return list(rules(View.of(root), context))
