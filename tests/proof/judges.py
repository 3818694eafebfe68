# SPDX-License-Identifier: Apache-2.0
"""What is mutated: every check, and the judges by which checks and reports come to their verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from hakuna.judgement import (
    findings,
    garbage,
    hccl_variables,
    log_cause,
    mesh_again,
    mesh_blame,
    mesh_cover,
    mesh_lossy,
    mesh_matrix,
    mesh_places,
    mesh_probe,
    mesh_split,
    mesh_words,
    rank_table_fault,
    rank_table_hccl,
    rank_table_json,
    rank_table_lmdeploy,
    rank_table_pods,
    rank_table_rules,
    rank_table_shared,
    rank_table_view,
    sizes,
    verdict,
    versions,
)
from hakuna.probes.reading import Table
from hakuna.releases import Row
from hakuna.where import Where

#: Judges one by one; :func:`of_modules` gives those of whole modules.
SINGLE: tuple[Any, ...] = (
    findings.conclude,
    findings._blockers,  # a judge like the others
    findings._attributed,  # likewise
    garbage.why_garbage,
    hccl_variables.hccl_variable_problem,
    mesh_matrix.LossMatrix.add,
    sizes.size_in_gib,
    verdict.worst,
    versions.ruling,
    Row.fits,
    Row.holds,
    Where.covers,
    Table.minority,
    Table.duplicates,
    Table.__iter__,
)
#: Modules that judge logs: their functions run in the cells of the checks, and in scenes of their own (cases.py).
OF_CHECKS: tuple[ModuleType, ...] = (log_cause,)
#: Modules that localise faults in a mesh, and have cells of their own (mesh_cases.py): which devices and pairs a place is
#: of, splits and what the devices say of themselves, the search for the smallest explanation, what is told, and the ping
#: that decides. The schedule is no judge: tests/judgement/test_mesh_schedule.py holds it by its properties.
OF_MESHES: tuple[ModuleType, ...] = (
    mesh_places,
    mesh_split,
    mesh_words,
    mesh_probe,
    mesh_again,
    mesh_blame,
    mesh_cover,
    mesh_lossy,
)
#: Modules that judge rank tables: the stage judges the table once, so they have cells of their own (cases.py).
OF_TABLES: tuple[ModuleType, ...] = (
    rank_table_rules,
    rank_table_shared,
    rank_table_hccl,
    rank_table_lmdeploy,
    rank_table_pods,
    rank_table_view,
    rank_table_json,
    rank_table_fault,
)


def of_modules(modules: tuple[ModuleType, ...]) -> Iterator[FunctionType]:
    """The functions and methods that modules define."""
    for module in modules:
        for value in list(vars(module).values()):
            if getattr(value, "__module__", "") != module.__name__:
                continue
            members = list(vars(value).values()) if isinstance(value, type) else [value]
            for member in (getattr(m, "fget", m) for m in members):
                # What a dataclass makes for itself has no source.
                if isinstance(member, FunctionType) and member.__code__.co_filename == module.__file__:
                    yield member
