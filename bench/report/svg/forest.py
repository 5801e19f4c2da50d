"""Estimates with their intervals, above each other, around the value that means no difference. They are ratios, so the
axis is logarithmic: half and double are equally far from 1."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.figures import Estimate, Forest
from bench.report.svg.axes import RIGHT, x_axis, x_ticks
from bench.report.svg.elements import Drawing, Entry, line, mark, svg, words
from bench.report.svg.scale import Scale, fitted

LEFT = 12.0
ROW = 34.0
MARK = {"better": 3, "worse": 4, "same": 0, "unresolved": 2}
"""Up, down, round, and neither."""


def draw(plot: Forest) -> Drawing:
    x = fitted(_values(plot), LEFT, RIGHT, log=True)
    bottom = ROW * len(plot.rows) + 6
    parts = [*x_axis(x_ticks(x), plot.x_label, 0, bottom, left=LEFT, grid=True)]
    parts.append(line(x(plot.neutral), 0, x(plot.neutral), bottom, "neutral"))
    for row, estimate in enumerate(plot.rows):
        parts += _row(estimate, ROW * row, x)
    seen = dict.fromkeys(estimate.verdict for estimate in plot.rows)
    return Drawing(svg(bottom + 40, parts, plot.title), tuple(Entry(name, MARK[name], "point", name) for name in seen))


def _values(plot: Forest) -> Iterator[float]:
    yield plot.neutral
    for row in plot.rows:
        yield from (value for value in (row.value, row.low, row.high) if value is not None)


def _row(estimate: Estimate, top: float, x: Scale) -> Iterator[str]:
    y, css = top + 24, estimate.verdict
    interval = "no interval"
    if estimate.low is not None and estimate.high is not None:
        interval = f"{estimate.low:.3g} to {estimate.high:.3g}"
        yield line(x(estimate.low), y, x(estimate.high), y, f"whisker {css}")
    yield words(estimate.label, LEFT, top + 13)
    yield words(f"{estimate.value:.3g}  ({interval})", RIGHT, top + 13, "end", "strong")
    yield mark(x(estimate.value), y, MARK[css], f"mark {css}", f"{estimate.label}: {estimate.value:.3g}, {interval}")
