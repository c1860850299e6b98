"""A comparison with raw llama.cpp on a terminal: a table, bars, and what they mean."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from llamachat.bench.report import FIGURES, Figure, Report, setup_line
from llamachat.bench.values import Point
from llamachat.models.sizes import size_in_words
from llamachat.ui.sanitise import sanitise_line
from llamachat.ui.theme import Look, Theme

_SIDES = ("llamachat", "raw")
_LONGEST_LABEL = 7  # a depth of 131,072
_SHORTEST_BAR, _LONGEST_BAR = 8, 48
_LEGEND = (
    "Depth: tokens that came before. Ratio: llamachat's speed ÷ raw llama.cpp's, the median of pairs; 1.00 is as fast, "
    "above is faster."
)
_ONE_AFTER_THE_OTHER = "Memory does not hold the model twice, so one came after the other: noise is in the ratios."


def lines_of(report: Report, theme: Theme, width: int, *, with_bars: bool, is_interrupted: bool) -> Iterator[str]:
    """The whole report, no line wider than `width`."""
    yield from _wrapped(sanitise_line(setup_line(report.setup)), width)
    yield from _wrapped(sanitise_line(report.setup.build), width)
    yield ""
    yield from _tables(report.points, theme, width)
    yield from _wrapped(_LEGEND, width)
    if not report.takes_turns:
        yield from _wrapped(_ONE_AFTER_THE_OTHER, width)
    if with_bars:
        for figure in FIGURES:
            yield from _chart(figure, report.points, theme, width)
    yield ""
    if is_interrupted:
        yield from _wrapped("Interrupted: this is what was measured by then.", width)
    for text in (*_bounds(report), *_skipped(report), *report.advice):
        yield from _wrapped(text, width)


def _tables(points: Sequence[Point], theme: Theme, width: int) -> Iterator[str]:
    """One table of all figures, or where that is too wide one for each, or words."""
    whole = _table(FIGURES, points)
    if len(whole[0]) <= width:
        yield from _painted(whole, theme)
        return
    for figure in FIGURES:
        table = _table((figure,), points)
        yield from _painted(table, theme) if len(table[0]) <= width else _in_words(figure, points, width)
        yield ""


def _in_words(figure: Figure, points: Sequence[Point], width: int) -> Iterator[str]:
    yield from _wrapped(figure.title, width)
    for point in points:
        if found := figure.of(point):
            ours, raw = figure.show(found.ours), figure.show(found.raw)
            yield from _wrapped(f"{point.depth:,}: {ours}, raw {raw}, ratio {found.ratio:.2f}", width)


def _painted(lines: Sequence[str], theme: Theme) -> Iterator[str]:
    yield from (theme.paint(line, Look.TABLE_HEAD) for line in lines[:2])
    yield from lines[2:]


def _table(figures: Sequence[Figure], points: Sequence[Point]) -> list[str]:
    """Two lines of headings and one for each depth, all of one length."""
    blocks = [_block(figure, points) for figure in figures]
    depths = ["", "depth", *(f"{point.depth:,}" for point in points)]
    size = max(map(len, depths))
    return ["  ".join([depth.rjust(size), *cells]) for depth, *cells in zip(depths, *blocks, strict=True)]


def _block(figure: Figure, points: Sequence[Point]) -> list[str]:
    """The columns of one figure."""
    rows = [(*_SIDES, "ratio")]
    for point in points:
        found = figure.of(point)
        rows.append((figure.show(found.ours), figure.show(found.raw), f"{found.ratio:.2f}") if found else ("-",) * 3)
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" ".join(cell.rjust(size) for cell, size in zip(row, sizes, strict=True)) for row in rows]
    size = max(len(figure.title), len(lines[0]))
    return [figure.title.rjust(size), *(line.rjust(size) for line in lines)]


def _chart(figure: Figure, points: Sequence[Point], theme: Theme, width: int) -> Iterator[str]:
    """Two bars for each depth; nothing where nothing is known, or where there is no room for a bar."""
    known = [(point, found) for point in points if (found := figure.of(point))]
    if not known:
        return
    most = max(max(found.ours, found.raw) for _, found in known)
    side = len(_SIDES[0])
    longest_value = max(len(figure.show(most)), *(len(figure.show(found.ours)) for _, found in known))
    room = width - _LONGEST_LABEL - side - longest_value - 3
    if room < _SHORTEST_BAR:
        return
    longest = min(_LONGEST_BAR, room)
    yield ""
    yield theme.paint(figure.title, Look.STRONG)
    for point, found in known:
        for name, value, look in ((_SIDES[0], found.ours, Look.MARKER), (_SIDES[1], found.raw, Look.DIM)):
            label = f"{point.depth:,}" if name == _SIDES[0] else ""
            bar = theme.glyphs.bar_full * max(1, round(longest * value / most))
            yield f"{label:>{_LONGEST_LABEL}} {name:<{side}} {theme.paint(bar, look)} {figure.show(value)}"


def _bounds(report: Report) -> Iterator[str]:
    """What memory and arithmetic were asked for."""
    found = report.bounds
    if found is None:
        return
    for number, memory in enumerate(found.memory):
        kv = f" and {size_in_words(memory.kv)} of KV cache" if memory.kv >= 1e5 else ""
        what = f"{size_in_words(memory.weights)} of weights{kv} a token"
        share = f"{size_in_words(int(memory.bandwidth))}/s, {100 * memory.share:.0f} %"
        if number == 0:
            copy = size_in_words(int(found.copy))
            yield f"Memory: a copy reaches {copy}/s here. Decode reads {what}: {share} of that."
        elif number == len(found.memory) - 1:
            yield f"At {memory.depth:,} tokens it reads {what}: {share}."
    if found.flops:
        threads = report.setup.n_threads
        per_thread = f", {found.flops / threads / 1e9:,.1f} a thread" if threads > 1 else ""
        yield f"Arithmetic: prefill does {found.flops / 1e9:,.1f} GFLOP/s{per_thread}, attention not counted."
    if any(point.is_noisy for point in report.points):
        return
    if found.is_memory_bound:
        yield "Answers wait for memory: smaller weights make them faster, more threads hardly do."
    elif found.memory:
        yield "Memory does not bound answers here: computing does, and threads that wait for each other."


def _skipped(report: Report) -> Iterator[str]:
    if report.skipped:
        depths = " ".join(f"--depth {depth}" for depth in report.skipped)
        yield f"Deeper would have taken too long. To measure it all the same: {depths}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=True, break_on_hyphens=False)
