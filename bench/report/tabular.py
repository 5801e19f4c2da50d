"""Figures as tables, for where nothing can be drawn."""

from __future__ import annotations

from bench.report.blocks import Table, number
from bench.report.figures import BarPlot, Ecdf, Figure, Forest, HeatMap, Lanes, LinePlot, Series
from bench.report.svg.scale import tick_label
from bench.stats import percentile, required_samples

QUANTILES = (10, 25, 50, 75, 90, 95, 99)


def as_table(figure: Figure) -> Table:
    match figure:
        case LinePlot():
            return _line_plot(figure)
        case Ecdf():
            return _ecdf(figure)
        case BarPlot():
            return _bar_plot(figure)
        case HeatMap():
            headers = (f"{figure.y_label} / {figure.x_label}", *figure.columns)
            return Table(headers, tuple((row, *texts) for row, texts in zip(figure.rows, figure.texts, strict=True)))
        case Lanes():
            return _lanes(figure)
        case Forest():
            rows = ((e.label, f"{e.value:.3f}", number(e.low, 3), number(e.high, 3), e.verdict) for e in figure.rows)
            return Table(("", figure.x_label, "low", "high", "verdict"), tuple(rows))


def _line_plot(plot: LinePlot) -> Table:
    """A column for each series where all have the same x, else, and where points have names, a row for each point."""
    has_one_x = len({series.x for series in plot.series}) == 1
    if has_one_x and not any(series.labels for series in plot.series):
        points = _points_of_one_x(plot)
        limits = tuple((limit.label, *(number(limit.value) for _ in plot.series)) for limit in plot.limits)
    else:
        points = _points(plot)
        limits = tuple((limit.label, "all", number(limit.value)) for limit in plot.limits)
    return Table(points.headers, points.rows + limits)


def _points_of_one_x(plot: LinePlot) -> Table:
    rows = ((_x(plot, x), *(_y(series, i) for series in plot.series)) for i, x in enumerate(plot.series[0].x))
    return Table((plot.x_label, *(f"{series.name}, {plot.y_label}" for series in plot.series)), tuple(rows))


def _points(plot: LinePlot) -> Table:
    rows = ((_name(series, i), _x(plot, x), _y(series, i)) for series in plot.series for i, x in enumerate(series.x))
    return Table(("", plot.x_label, plot.y_label), tuple(rows))


def _name(series: Series, i: int) -> str:
    return f"{series.name}: {series.labels[i]}" if series.labels else series.name


def _x(plot: LinePlot, x: float) -> str:
    return plot.x_names[int(x)] if plot.x_names else tick_label(x)


def _y(series: Series, i: int) -> str:
    doubted = series.doubted or i in series.doubted_points
    return number(series.y[i]) + (" (invalid)" if doubted else "")


def _bar_plot(plot: BarPlot) -> Table:
    headers = ("", *(f"{name}, {plot.x_label}" for name in plot.parts))
    columns = zip(*plot.parts.values(), strict=True)
    rows = ((label, *map(number, values)) for label, values in zip(plot.labels, columns, strict=True))
    return Table(headers, tuple(rows))


def _ecdf(plot: Ecdf) -> Table:
    """Only the quantiles that all samples together support at both ends of the distribution."""
    rows = tuple((name, str(len(values)), *_quantiles(values)) for name, values in plot.samples.items() if values)
    return Table((plot.x_label, "n", *(f"p{p}" for p in QUANTILES)), rows)


def _quantiles(values: tuple[float, ...]) -> list[str]:
    tails = {p: len(values) >= required_samples(max(p, 100 - p)) for p in QUANTILES if not 25 <= p <= 75}
    return [number(percentile(values, p) if tails.get(p, True) else None) for p in QUANTILES]


def _lanes(plot: Lanes) -> Table:
    parts = list(dict.fromkeys(span.part for _, lane in plot.lanes for span in lane))
    rows = []
    for label, spans in plot.lanes:
        lengths = {span.part: span.end - span.start for span in spans}
        start = number(spans[0].start if spans else None, 3)
        rows.append((label, start, *(number(lengths.get(part), 3) for part in parts)))
    return Table(("", f"starts at, {plot.x_label}", *parts), tuple(rows))
