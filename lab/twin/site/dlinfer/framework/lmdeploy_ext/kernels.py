# SPDX-License-Identifier: Apache-2.0
"""``triton``, as far as it takes to import a file that defines kernels and does not run them.

LMDeploy 0.14.0 imports its sampler for speculative decoding with every model, whether it is asked for or not
(spec_decode/base.py), and that wants triton: triton-ascend on an Ascend machine. Put in by dlinfer and not a package
of its own, so that neither torch nor transformers takes it for the compiler.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NoReturn


class Kernel:
    """A kernel that cannot be run."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = function.__name__

    def __getitem__(self, grid: object) -> NoReturn:
        raise NotImplementedError(f"the CPU twin has no triton, so it cannot run {self.name}")


def jit(function: Callable[..., Any] | None = None, **_options: object) -> Any:
    """The decorator, with and without options."""
    return Kernel if function is None else Kernel(function)


def install() -> None:
    """Put it in, unless there is a triton."""
    if "triton" in sys.modules or find_spec("triton") is not None:
        return
    triton, language = ModuleType("triton"), ModuleType("triton.language")
    vars(triton).update(jit=jit, language=language)
    vars(language).update(constexpr=object)
    sys.modules.update({"triton": triton, "triton.language": language})
