"""Figures drawn as inline SVG: text stays text, and colours are the page's CSS variables, so that one drawing serves
light and dark. Every drawing is as wide as a phone; wide screens put several side by side."""

from __future__ import annotations

from bench.report.figures import BarPlot, Ecdf, Figure, Forest, HeatMap, Lanes, LinePlot
from bench.report.svg import bars, ecdf, forest, heatmap, lanes, lines
from bench.report.svg.elements import Drawing


def draw(figure: Figure) -> Drawing:
    match figure:
        case LinePlot():
            return lines.draw(figure)
        case Ecdf():
            return ecdf.draw(figure)
        case BarPlot():
            return bars.draw(figure)
        case HeatMap():
            return heatmap.draw(figure)
        case Lanes():
            return lanes.draw(figure)
        case Forest():
            return forest.draw(figure)
