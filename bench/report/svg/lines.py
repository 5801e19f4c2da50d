"""Lines and points over an axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

from bench.report.figures import LinePlot, Series, Values
from bench.report.svg.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, name_ticks, x_axis, x_ticks, y_axis
from bench.report.svg.elements import WIDTH, Drawing, Entry, colour, element, line, mark, svg, width_of, words
from bench.report.svg.scale import Scale, fitted, tick_label

MAX_MARKS = 16
"""Of a line; with more points it is drawn without, and so is a prediction, which was measured nowhere."""
LABEL_AIR = 6.0
"""Pixels between a point and its label."""
DODGE = 9.0
"""Pixels between the points of two series at one name."""


def draw(plot: LinePlot) -> Drawing:
    x, y = _x_scale(plot), _y_scale(plot)
    xs = [value for series in plot.series for value in series.x]
    ticks = name_ticks(x, plot.x_names) if plot.x_names else x_ticks(x, xs)
    parts = [*y_axis(y, plot.y_label), *x_axis(ticks, plot.x_label, TOP, BOTTOM), *_limits(plot, y)]
    for place, series in enumerate(plot.series):
        shift = DODGE * (place - (len(plot.series) - 1) / 2) if plot.x_names else 0.0
        parts += _series(plot, series, place, x, y, shift)
    legend = [Entry(s.name, place, _kind(plot, s), _css(s, place)) for place, s in enumerate(plot.series)]
    return Drawing(svg(HEIGHT, parts, plot.title), tuple(legend) if len(legend) > 1 else ())


def _kind(plot: LinePlot, series: Series) -> Literal["point", "dashed", "line", "mark"]:
    if series.is_points or plot.x_names:
        return "point"
    return "dashed" if series.dashed else "line" if len(series.x) > MAX_MARKS else "mark"


def _css(series: Series, place: int) -> str:
    return "doubted" if series.doubted else colour(place)


def _x_scale(plot: LinePlot) -> Scale:
    if plot.x_names:
        return Scale(-0.5, len(plot.x_names) - 0.5, LEFT, RIGHT)
    return fitted((x for series in plot.series for x in series.x), LEFT, RIGHT, log=plot.log_x)


def _y_scale(plot: LinePlot) -> Scale:
    columns: list[Values] = [plot_y for s in plot.series for plot_y in (s.y, s.low or (), s.high or ())]
    values = [value for column in columns for value in column if value is not None]
    values += [limit.value for limit in plot.limits]
    return fitted(values, BOTTOM, TOP, log=plot.log_y, from_zero=True)


def _limits(plot: LinePlot, y: Scale) -> Iterator[str]:
    for limit in plot.limits:
        yield line(LEFT, y(limit.value), RIGHT, y(limit.value), "limit")
        yield words(limit.label, RIGHT, y(limit.value) - 5, "end", "limit")


def _series(plot: LinePlot, series: Series, place: int, x: Scale, y: Scale, shift: float) -> Iterator[str]:
    css = _css(series, place)
    points = _points(plot, series, x, y, shift)
    kind = _kind(plot, series)
    if kind != "point":
        yield from (_path(run, css, series.dashed, plot.steps) for run in _unbroken(points))
    if kind in ("point", "mark"):
        for i, point in enumerate(points):
            if point is not None:
                faded = "doubted" if i in series.doubted_points else css
                yield from _whisker(series, i, point[0], y, faded)
                yield mark(*point, place, f"mark {faded}", _tip(plot, series, i))
                if series.labels:
                    yield _label(series.labels[i], *point)


def _label(text: str, x: float, y: float) -> str:
    """To the right of its point, or to the left where the frame would cut it."""
    fits = x + LABEL_AIR + width_of(text) <= WIDTH
    return words(text, x + LABEL_AIR if fits else x - LABEL_AIR, y - LABEL_AIR, "start" if fits else "end")


Point = tuple[float, float]


def _points(plot: LinePlot, series: Series, x: Scale, y: Scale, shift: float) -> list[Point | None]:
    """None for what was not measured and for what a logarithmic axis cannot show."""
    drawable = [
        value is not None and (value > 0 or not plot.log_y) and (at > 0 or not plot.log_x)
        for at, value in zip(series.x, series.y, strict=True)
    ]
    pairs = zip(series.x, series.y, drawable, strict=True)
    return [(x(at) + shift, y(value)) if shown and value is not None else None for at, value, shown in pairs]


def _unbroken(points: Sequence[Point | None]) -> Iterator[list[Point]]:
    for known, run in groupby(points, key=lambda point: point is not None):
        if known:
            yield [point for point in run if point is not None]


def _path(points: Sequence[Point], css: str, dashed: bool, steps: bool) -> str:
    first, *rest = points
    moves = (f"H{a:.1f}V{b:.1f}" if steps else f"L{a:.1f},{b:.1f}" for a, b in rest)
    path = f"M{first[0]:.1f},{first[1]:.1f}{''.join(moves)}"
    return element("path", d=path, css=f"line {css}{' dashed' if dashed else ''}")


def _whisker(series: Series, i: int, at: float, y: Scale, css: str) -> Iterator[str]:
    low, high = (column[i] if column else None for column in (series.low, series.high))
    if low is not None and high is not None and (low > 0 or not y.log):
        yield line(at, y(low), at, y(high), f"whisker {css}")


def _tip(plot: LinePlot, series: Series, i: int) -> str:
    at = plot.x_names[int(series.x[i])] if plot.x_names else f"{plot.x_label} {tick_label(series.x[i])}"
    low, high = (column[i] if column else None for column in (series.low, series.high))
    interval = "" if low is None or high is None else f" [{low:,.4g} to {high:,.4g}]"
    return f"{series.name}, {at}: {series.y[i]:,.4g}{interval}"
