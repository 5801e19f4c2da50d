"""Cells under two axes of names; the darker, the higher."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.figures import HeatMap
from bench.report.svg.axes import RIGHT
from bench.report.svg.elements import Drawing, box, shortened, svg, width_of, words

TOP, CELL, GAP = 24.0, 34.0, 2.0
LIGHT_TEXT_ABOVE = 0.65
"""Share of full colour from which dark words can no longer be read on it."""


def draw(plot: HeatMap) -> Drawing:
    left = max(width_of(row) for row in plot.rows) + 12
    width = (RIGHT - left) / len(plot.columns)
    parts = [words(plot.y_label, 2, 12, css="label")]
    for i in range(len(plot.rows)):
        parts += _row(plot, i, left, width)
    bottom = TOP + CELL * len(plot.rows)
    for j, name in enumerate(plot.columns):
        parts.append(words(shortened(name, width), left + width * (j + 0.5), bottom + 16, "middle"))
    parts.append(words(plot.x_label, (left + RIGHT) / 2, bottom + 35, "middle", "label"))
    return Drawing(svg(bottom + 42, parts, plot.title))


def _row(plot: HeatMap, i: int, left: float, width: float) -> Iterator[str]:
    y = TOP + CELL * i
    yield words(plot.rows[i], left - 8, y + CELL / 2 + 4, "end")
    for j, (value, text) in enumerate(zip(plot.cells[i], plot.texts[i], strict=True)):
        share = None if value is None else min(1.0, max(0.0, (value - plot.low) / (plot.high - plot.low)))
        tip = f"{plot.rows[i]}, {plot.columns[j]}: {text if value is not None else 'not measured'}"
        css = "cell" if share is not None else "cell unknown"
        opacity = {} if share is None else {"fill_opacity": round(0.08 + 0.92 * share, 2)}
        x = left + width * j
        yield _cell(x, y, width, css, tip, opacity)
        yield words(text, x + width / 2, y + CELL / 2 + 4, "middle", _ink(share))


def _cell(x: float, y: float, width: float, css: str, tip: str, opacity: dict[str, float]) -> str:
    return box(x + GAP / 2, y + GAP / 2, width - GAP, CELL - GAP, css, tip, **opacity)


def _ink(share: float | None) -> str:
    return "inverse" if share is not None and share > LIGHT_TEXT_ABOVE else "ink"
