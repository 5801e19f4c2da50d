"""Which share of the values is at most x, on a logarithmic axis: a second mode or a long tail cannot hide."""

from __future__ import annotations

from bench.report.figures import Ecdf, LinePlot, Series
from bench.report.svg import lines
from bench.report.svg.elements import Drawing
from bench.stats import percentile

DRAWN = 200
"""Steps of a curve; of more values, that many evenly spaced quantiles."""


def draw(plot: Ecdf) -> Drawing:
    series = tuple(_curve(name, values, name in plot.doubted) for name, values in plot.samples.items() if values)
    return lines.draw(LinePlot(plot.title, plot.caption, plot.x_label, "% of them", series, log_x=True, steps=True))


def _curve(name: str, values: tuple[float, ...], doubted: bool) -> Series:
    """Above as many values as are drawn, quantiles stand for them. Ends where the last value is: at 100 %."""
    steps = min(DRAWN, len(values))
    shares = [100 * (i + 1) / steps for i in range(steps)]
    ordered = sorted(values)
    found = ordered if steps == len(values) else [percentile(ordered, share) for share in shares]
    return Series(name, (found[0], *found), (0.0, *shares), doubted=doubted)
