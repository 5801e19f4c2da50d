"""One lane for each thing: what happened to it when."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.figures import Lanes
from bench.report.svg.axes import RIGHT, x_axis, x_ticks
from bench.report.svg.elements import Drawing, Entry, box, colour, line, svg, width_of, words
from bench.report.svg.scale import Scale, fitted

LANE, BAR = 13.0, 9.0
TOP = 4.0


def draw(plot: Lanes) -> Drawing:
    spans = [span for _, lane in plot.lanes for span in lane]
    seen = dict.fromkeys(span.part for span in spans)
    order = {name: place for place, name in enumerate(dict.fromkeys((*plot.parts, *seen)))}
    left = max(width_of(label) for label, _ in plot.lanes) + 10
    x = fitted((span.end for span in spans), left, RIGHT, from_zero=True)
    bottom = TOP + LANE * len(plot.lanes) + 4
    parts = [*x_axis(x_ticks(x), plot.x_label, TOP, bottom, left=left, grid=True)]
    for row in range(len(plot.lanes)):
        parts += _lane(plot, row, left, x, order)
    legend = tuple(Entry(name, place, "box", colour(place)) for name, place in order.items() if name in seen)
    return Drawing(svg(bottom + 40, parts, plot.title), legend)


def _lane(plot: Lanes, row: int, left: float, x: Scale, order: dict[str, int]) -> Iterator[str]:
    label, spans = plot.lanes[row]
    y = TOP + LANE * row
    yield words(label, left - 6, y + BAR, "end")
    yield line(left, y + BAR / 2 + 1, RIGHT, y + BAR / 2 + 1, "grid")
    for span in spans:
        tip = f"{label}, {span.part}: {span.start:.3f} to {span.end:.3f}, {span.end - span.start:.3f}"
        width = max(0.6, x(span.end) - x(span.start))
        yield box(x(span.start), y + 1, width, BAR, f"bar {colour(order[span.part])}", tip)
