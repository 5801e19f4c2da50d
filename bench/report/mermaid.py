"""Line plots as Mermaid's xychart, which GitHub draws. It knows neither legends nor gaps, intervals or logarithms."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.figures import LinePlot
from bench.report.svg.scale import tick_label

PALETTE = (
    ("🔵", "#2a6fc9"),
    ("🟠", "#e0692a"),
    ("🟢", "#219467"),
    ("🟣", "#7a55c7"),
    ("🔴", "#c9376b"),
    ("🟡", "#b98a00"),
)
"""What a legend shows beside the chart, and the colour that stands for."""
MAX_POINTS = 30


def can_express(plot: LinePlot) -> bool:
    """Lines over one and the same x, each value known and none of them doubted."""
    xs = {series.x for series in plot.series}
    complete = all(value is not None for series in plot.series for value in series.y)
    doubted = any(series.doubted or series.doubted_points for series in plot.series)
    drawable = not (doubted or plot.log_y or plot.limits or any(series.is_points for series in plot.series))
    few = len(plot.series) <= len(PALETTE) and all(1 < len(x) <= MAX_POINTS for x in xs)
    return len(xs) == 1 and complete and drawable and few


def chart(plot: LinePlot) -> Iterator[str]:
    if len(plot.series) > 1:
        yield " · ".join(f"{sign} {s.name}" for (sign, _), s in zip(PALETTE, plot.series, strict=False)) + "\n"
    colours = ", ".join(code for _, code in PALETTE[: len(plot.series)])
    x = plot.series[0].x
    order = sorted(range(len(x)), key=x.__getitem__)
    names = [plot.x_names[int(x[i])] if plot.x_names else tick_label(x[i]) for i in order]
    top = max(value for series in plot.series for value in series.y if value is not None)
    yield "```mermaid"
    yield f'---\nconfig:\n  themeVariables:\n    xyChart:\n      plotColorPalette: "{colours}"\n---'
    yield "xychart-beta"
    yield f"  x-axis {_quoted(plot.x_label)} [{', '.join(map(_quoted, names))}]"
    yield f"  y-axis {_quoted(plot.y_label)} 0 --> {top * 1.1:.4g}"
    for series in plot.series:
        yield f"  line [{', '.join(f'{series.y[i]:.4g}' for i in order)}]"
    yield "```"


def _quoted(text: str) -> str:
    """Mermaid has no escape for a quote."""
    return '"' + text.replace('"', "'") + '"'
