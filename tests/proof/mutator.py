# SPDX-License-Identifier: Apache-2.0
"""Makes mutants of checks and judges: the mistakes that a careless change of them would be.

A mutant is a code object for a function that exists; :func:`planted` puts it in and takes it out again, so that everybody
who imported the function by name sees it.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from hakuna.inventory.model import Node
from hakuna.where import Where

_SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_REPORTS = ("fail", "warn", "unclear")
#: What the places that a mutant leaves out are, in the proof's clusters: the last node, a middle device.
LAST_NODE = "node-b"
DEVICE = 3

#: Set as soon as a mutant left something out: one that never does is no mutant.
DROPPED: set[str] = set()


@dataclass(frozen=True)
class Mutant:
    """``name`` says what is wrong, at which line of the function's file."""

    name: str
    function: FunctionType
    code: CodeType
    line: str = ""
    #: Which loop of the function it leaves something out of; -1 when it does something else.
    loop: int = -1

    @property
    def operator(self) -> str:
        return self.name.partition(" ")[2]


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The function is the mutant inside the block."""
    sound = mutant.function.__code__
    mutant.function.__code__ = mutant.code
    try:
        yield
    finally:
        mutant.function.__code__ = sound


def mutants(function: FunctionType) -> Iterator[Mutant]:
    """Every mutant of a function."""
    source = textwrap.dedent(inspect.getsource(function))
    lines = source.splitlines()
    first = function.__code__.co_firstlineno
    tree = ast.parse(source)
    whole = tree.body[0]
    assert isinstance(whole, ast.FunctionDef)
    whole.decorator_list = []
    for name, line, changed, loop in _changes(whole):
        code = _compiled(changed, function)
        if code is not None:
            place = f"{function.__module__.rpartition('.')[2]}.{function.__name__}:{first + line - 1}"
            yield Mutant(f"{place} {name}", function, code, lines[line - 1].strip(), loop)


@contextlib.contextmanager
def watched(functions: Iterable[FunctionType]) -> Iterator[set[tuple[FunctionType, int, str]]]:
    """What the loops of these functions meet inside the block: function, loop, and the operator that would leave it out.

    A mutant of an operator that never meets anything is none, and need not be tried.
    """
    met: set[tuple[FunctionType, int, str]] = set()
    sound = {f: f.__code__ for f in functions}
    for function in sound:
        watching = _watching(function, met)
        if watching is not None:
            function.__code__ = watching
    try:
        yield met
    finally:
        for function, code in sound.items():
            function.__code__ = code


def _watching(function: FunctionType, met: set[tuple[FunctionType, int, str]]) -> CodeType | None:
    whole = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(whole, ast.FunctionDef)
    whole.decorator_list = []
    for i, node in enumerate(list(ast.walk(whole))):
        if isinstance(node, (ast.For, ast.comprehension)):
            node.iter = ast.Call(ast.Name(f"_watch_{function.__name__}", ast.Load()), [node.iter, ast.Constant(i)], [])

    def watch(items: Iterable[Any], loop: int) -> Iterator[Any]:
        for item in items:
            met.update((function, loop, name) for name, drops in _DROPS.items() if _is_left_out(item, drops))
            yield item

    function.__globals__[f"_watch_{function.__name__}"] = watch
    return _compiled(whole, function)


def _changes(whole: ast.FunctionDef) -> Iterator[tuple[str, int, ast.FunctionDef, int]]:
    nodes = list(ast.walk(whole))
    reports = [i for i, n in enumerate(nodes) if _is_report(n)]
    if reports:
        yield "return pass", whole.lineno, _replaced(whole, reports), -1
    if len(reports) > 1:
        for i in reports:
            yield "drop a report", _line(nodes[i]), _replaced(whole, [i]), -1
    for i, node in enumerate(nodes):
        if isinstance(node, ast.Compare):
            for which, op in enumerate(node.ops):
                changed = copy.deepcopy(whole)
                target = list(ast.walk(changed))[i]
                assert isinstance(target, ast.Compare)
                target.ops[which] = _SWAPPED[type(op)]()
                yield f"swap {type(op).__name__}", node.lineno, changed, -1
        if isinstance(node, (ast.For, ast.comprehension)):
            for dropper in DROPPERS:
                changed = copy.deepcopy(whole)
                loop = list(ast.walk(changed))[i]
                assert isinstance(loop, (ast.For, ast.comprehension))
                loop.iter = ast.Call(ast.Name(dropper, ast.Load()), [loop.iter], [])
                yield dropper.strip("_").replace("_", " "), _line(node), changed, i


def _line(node: ast.AST) -> int:
    inner = node.iter if isinstance(node, ast.comprehension) else node
    return int(getattr(inner, "lineno", 1))


def _is_report(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, (ast.Yield, ast.YieldFrom)):
        return True  # judges of tables give their faults one by one
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call):
        return False
    if isinstance(call.func, ast.Name):
        return call.func.id in ("say", "report", "text_of")
    return (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in _REPORTS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "findings"
    )


def _replaced(whole: ast.FunctionDef, which: Iterable[int]) -> ast.FunctionDef:
    """The function with these statements evaluated to nothing."""
    changed = copy.deepcopy(whole)
    nodes = list(ast.walk(changed))
    for i in which:
        statement = nodes[i]
        assert isinstance(statement, ast.Expr)
        if isinstance(statement.value, (ast.Yield, ast.YieldFrom)):
            # Still a generator, of nothing.
            statement.value = ast.IfExp(ast.Constant(False), statement.value, ast.Constant(None))
        else:
            statement.value = ast.Constant(None)
    return changed


def _compiled(tree: ast.FunctionDef, function: FunctionType) -> CodeType | None:
    module = ast.Module([tree], [])
    if function.__code__.co_freevars:
        return None  # a closure of its own; none of the checks and judges is one
    ast.fix_missing_locations(module)
    made = compile(module, function.__code__.co_filename, "exec")
    code = next(c for c in made.co_consts if isinstance(c, CodeType) and c.co_name == function.__name__)
    for dropper, does in DROPPERS.items():
        function.__globals__.setdefault(dropper, does)
    return code


def _is_left_out(item: Any, drops: Callable[[Where], bool]) -> bool:
    place = item[0] if isinstance(item, tuple) and item else item
    place = place.where if isinstance(place, Node) else place
    return isinstance(place, Where) and drops(place)


def _without(name: str, drops: Callable[[Where], bool]) -> Callable[[Iterable[Any]], Iterator[Any]]:
    def left(items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if _is_left_out(item, drops):
                DROPPED.add(name)
                continue
            yield item

    return left


_DROPS: dict[str, Callable[[Where], bool]] = {
    "drop a node": lambda w: not w.is_pair and w.node == LAST_NODE,
    "drop a device": lambda w: not w.is_pair and w.device == DEVICE,
    "ignore one side": lambda w: w.is_pair and w.node < w.peer_node,
    "ignore the other side": lambda w: w.is_pair and w.node > w.peer_node,
}
DROPPERS: dict[str, Callable[[Iterable[Any]], Iterator[Any]]] = {
    f"_{name.replace(' ', '_')}": _without(name, drops) for name, drops in _DROPS.items()
}
