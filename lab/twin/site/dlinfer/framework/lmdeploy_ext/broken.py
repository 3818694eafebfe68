# SPDX-License-Identifier: Apache-2.0
"""Breaks LMDeploy's all-reduce on purpose, as a wrong HCCL or a wrong table of ranks would: it goes on, and lies.

Looked up at every call in the file ``collective`` beside these packages (TWIN_BROKEN names another), so that a server
that runs can be broken and mended: one of

    nothing     the all-reduce does nothing: each rank keeps its own part
    lost R      what rank R contributes is lost
    world N     only the first N ranks are summed up
    swap R S    the pieces of the result that ranks R and S send round come to lie in each other's place

Without that file everything is as it should be.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

FILE = Path(os.environ.get("TWIN_BROKEN") or Path(__file__).parents[3] / "collective")
_MARK = "__twin_broken__"


def read(text: str) -> tuple[str, tuple[int, ...]]:
    """What is broken, and where.

    Raises:
        ValueError: the file says something else.
    """
    kind, *numbers = text.split() or [""]
    wanted = {"nothing": 0, "lost": 1, "world": 1, "swap": 2}
    if wanted.get(kind) != len(numbers):
        raise ValueError(f"{FILE}: {text.strip()!r}: expected nothing, lost R, world N or swap R S")
    return kind, tuple(int(n) for n in numbers)


def exchange(tensor: torch.Tensor, parts: int, first: int, second: int) -> None:
    """Exchange two of the pieces, in place, that a ring cuts a tensor into."""
    flat = tensor.view(-1)
    size = flat.numel() // parts
    one, other = (flat[i * size : (i + 1) * size] for i in (first, second))
    kept = one.clone()
    one.copy_(other)
    other.copy_(kept)


def broken(all_reduce: Callable[..., Any], asked: Callable[[], tuple[str, tuple[int, ...]]]) -> Callable[..., Any]:
    """An all-reduce that lies in the way that is asked for at that moment; "" is none."""

    def call(tensor: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        kind, numbers = asked()
        if not kind:
            return all_reduce(tensor, *arguments, **options)
        if kind == "nothing":
            return None
        group = options.get("group", arguments[1] if len(arguments) > 1 else None)
        rank, size = dist.get_rank(group), dist.get_world_size(group)
        if (kind == "lost" and rank == numbers[0]) or (kind == "world" and rank >= numbers[0]):
            tensor.zero_()
        done = all_reduce(tensor, *arguments, **options)
        if kind == "swap" and max(numbers) < size and tensor.numel() % size == 0:
            exchange(tensor, size, *numbers)
        return done

    setattr(call, _MARK, True)
    return call


def from_file() -> tuple[str, tuple[int, ...]]:
    """What the file says now."""
    try:
        text = FILE.read_text(encoding="ascii")
    except FileNotFoundError:
        return "", ()
    return read(text)


def install() -> None:
    """From here on the file counts."""
    if not hasattr(dist.all_reduce, _MARK):
        dist.all_reduce = broken(dist.all_reduce, from_file)
