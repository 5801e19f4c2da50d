"""Horizontal bars, each with its label above it: long labels then fit on a phone too."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.figures import BarPlot
from bench.report.svg.axes import RIGHT, x_axis, x_ticks
from bench.report.svg.elements import Drawing, Entry, box, colour, svg, words
from bench.report.svg.scale import Scale, fitted, tick_label

LEFT = 4.0
VALUE_ROOM = 50.0
ROW, BAR = 34.0, 14.0


def draw(plot: BarPlot) -> Drawing:
    totals = [sum(values[row] or 0.0 for values in plot.parts.values()) for row in range(len(plot.labels))]
    x = fitted(totals, LEFT, RIGHT - VALUE_ROOM, from_zero=True)
    bottom = ROW * len(plot.labels) + 6
    parts = [*x_axis(x_ticks(x), plot.x_label, 0, bottom, left=LEFT, grid=True)]
    for row in range(len(plot.labels)):
        parts += _row(plot, row, totals[row], x)
    legend = tuple(Entry(name, place, "box", colour(place)) for place, name in enumerate(plot.parts))
    return Drawing(svg(bottom + 40, parts, plot.title), legend if len(legend) > 1 else ())


def _row(plot: BarPlot, row: int, total: float, x: Scale) -> Iterator[str]:
    """What was not measured takes no room; where nothing was, the row says so."""
    top, label = ROW * row, plot.labels[row]
    yield words(label, LEFT, top + 14)
    begin = 0.0
    for place, (name, values) in enumerate(plot.parts.items()):
        if (value := values[row]) is not None:
            end = begin + value
            tip = f"{label}, {name}: {value:,.4g}"
            yield box(x(begin), top + 18, x(end) - x(begin), BAR, f"bar {colour(place)}", tip)
            begin = end
    known = any(values[row] is not None for values in plot.parts.values())
    yield words(tick_label(total) if known else "not measured", x(begin) + 6, top + 29)
