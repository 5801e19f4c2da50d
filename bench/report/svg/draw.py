"""Each kind of figure by its own module."""

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
