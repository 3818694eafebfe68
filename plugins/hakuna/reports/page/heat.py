# SPDX-License-Identifier: Apache-2.0
"""The mesh as two SVG drawings, loss and latency. Colours are classes of the page's style sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from markupsafe import Markup, escape

from hakuna.reports.facts.mesh import Cell, MeshMap, Pair
from hakuna.reports.page.words import Words
from hakuna.reports.text import one_line

#: Steps of the latency scale, as multiples of the median of all pairs.
STEPS = (1.5, 3.0, 6.0, 12.0)
_ALL = 100.0
_GAP = 0.6  # between nodes, in squares
_SMALL = 0.58  # size of a label of one device, in squares


def loss_class(loss: float | None) -> str:
    """The class of a square by its loss in per cent: none, some, much, all, unread."""
    if loss is None:
        return "u"
    if loss <= 0:
        return "l0"
    return "l3" if loss >= _ALL else "l2" if loss >= 34 else "l1"  # noqa: PLR2004  # one of three packets


def time_class(ms: float | None, median: float | None, limit: float) -> str:
    """The class of a square by its round trip: how many times the median, or beyond the limit."""
    if ms is None:
        return "u"
    if ms > limit:
        return "t9"
    times = ms / median if median else 1.0
    return f"t{sum(times > step for step in STEPS)}"


def loss_map(mesh: MeshMap, words: Words) -> Markup:
    """Every square coloured by the worst loss in it."""
    return _draw(mesh, words("loss"), lambda cell: loss_class(cell.loss), words)


def time_map(mesh: MeshMap, limit: float, words: Words) -> Markup:
    """Every square coloured by the slowest round trip in it."""
    return _draw(mesh, words("latency"), lambda cell: time_class(cell.slowest, mesh.median_ms, limit), words)


def milliseconds(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.3f} ms"


def _draw(mesh: MeshMap, title: str, style: Callable[[Cell], str], words: Words) -> Markup:
    offsets, size = _offsets(mesh)
    margin = size * 0.16 if _is_large(mesh, size) else 2.0
    listed = {(p.source, p.target): f"#pair-{i}" for i, p in enumerate(mesh.worst, 1)} if not mesh.by_node else {}
    links = {(str(s), str(t)): anchor for (s, t), anchor in listed.items()}
    names = [one_line(name) for name in mesh.labels]
    box = f"{-margin:.2f} {-margin:.2f} {size + margin:.2f} {size + margin:.2f}"
    label = f"{escape(title)}: {escape(words('mesh_pairs', mesh.pairs))}"
    parts = [f'<svg class="heat" viewBox="{box}" role="img" aria-label="{label}">']
    parts += _labels(mesh, offsets, size, margin)
    parts += _own_nodes(mesh, offsets)
    for cell in mesh.cells:
        x, y = offsets[cell.column], offsets[cell.row]
        words_of = escape(f"{names[cell.row]} → {names[cell.column]}: {_figures(cell, words)}")
        square = f'<rect class="{style(cell)}" x="{x:g}" y="{y:g}"><title>{words_of}</title></rect>'
        anchor = links.get((mesh.labels[cell.row], mesh.labels[cell.column]))
        parts.append(f'<a href="{anchor}" aria-label="{words_of}">{square}</a>' if anchor else square)
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704  # all that came from nodes went through escape


def _offsets(mesh: MeshMap) -> tuple[list[float], float]:
    """Where each row and column begins, with a gap between nodes, and the size of it all."""
    offsets: list[float] = []
    at = 0.0
    for _, count in mesh.nodes:
        offsets += [at + i for i in range(count)]
        at += count + (0 if mesh.by_node else _GAP)
    return offsets, at


def _own_nodes(mesh: MeshMap, offsets: list[float]) -> Iterable[str]:
    """The pairs within one node do not use this network: their square is there, so that it does not look forgotten."""
    first = 0
    for _, devices in mesh.nodes:
        if not mesh.by_node and devices:
            at = offsets[first]
            yield f'<path class="own" d="M{at:g} {at:g}h{devices - 0.08:g}v{devices - 0.08:g}h-{devices - 0.08:g}z"/>'
        first += devices


def _labels(mesh: MeshMap, offsets: list[float], size: float, margin: float) -> Iterable[str]:
    """Names of nodes along both axes, and device numbers where there is room for them."""
    large = _is_large(mesh, size)
    big = max(0.7, size / 40)
    every = max(1, len(mesh.nodes) // 16)
    first = 0
    for number, (name, devices) in enumerate(mesh.nodes):
        middle = offsets[first] + devices / 2
        first += devices
        if number % every:
            continue
        short = escape(_fit(one_line(name), margin - 0.6 if large else devices, big))
        at = f'<text class="n {"e" if large else "m"}" font-size="{big:.2f}" '
        turned = f'<text class="n {"" if large else "m"}" font-size="{big:.2f}" '
        low = middle + big / 3
        if large:  # names stand away from the map
            yield f'{at}x="-.4" y="{low:.2f}">{short}</text>'
            yield f'{turned}transform="translate({low:.2f} -.4) rotate(-90)">{short}</text>'
        else:  # names lie along the map
            yield f'{at}x="{middle:.2f}" y="-1.2">{short}</text>'
            yield f'{turned}transform="translate(-1.2 {middle:.2f}) rotate(-90)">{short}</text>'
    if large:
        return
    for label, offset in zip(mesh.labels, offsets, strict=True):
        device = escape(label.rpartition("/")[2])
        yield f'<text class="m" font-size="{_SMALL}" x="{offset + 0.5:g}" y="-.3">{device}</text>'
        yield f'<text class="e" font-size="{_SMALL}" x="-.25" y="{offset + 0.68:g}">{device}</text>'


def _is_large(mesh: MeshMap, size: float) -> bool:
    """Whether single devices have no room for their numbers."""
    return mesh.by_node or size > 40  # noqa: PLR2004  # squares


def _fit(name: str, room: float, size: float) -> str:
    """The name, cut at its beginning to the room that there is: nodes differ at the end of their names."""
    most = max(3, int(room / (size * 0.66)))
    return name if len(name) <= most else "…" + name[-(most - 1) :]


def _figures(cell: Cell, words: Words) -> str:
    if cell.loss is None:
        return one_line(cell.why) or words("unread")
    if cell.count == 1:
        return f"{cell.loss:.0f}%, {milliseconds(cell.ms)}"
    lost = f"{cell.lossy}/{cell.count} > 0%, max {cell.loss:.0f}%"
    said = f"{lost}, {milliseconds(cell.ms)}, max {milliseconds(cell.slowest)}"
    return said + (f", {words('unread')}: {cell.unread}" if cell.unread else "")


def pair_words(pair: Pair, words: Words) -> tuple[str, str]:
    """Loss and round trip of one pair, as the table of the worst pairs shows them."""
    return (words("unread") if pair.loss is None else f"{pair.loss:.0f}%", milliseconds(pair.ms))
