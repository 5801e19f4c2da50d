"""Figures as data: what is drawn, in which units, from which formula. How it is drawn is the renderers' business.

Every figure has labelled axes with units and a `caption` that says what a point is and how it was computed. A point
that is None was not measured; one that is doubted is drawn grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Values: TypeAlias = tuple[float | None, ...]


@dataclass(frozen=True)
class Series:
    """One line or set of points. `low` and `high` bound an interval around each `y`; `dashed` is for predictions;
    `labels` are written beside the points; those at places in `doubted_points` are greyed."""

    name: str
    x: tuple[float, ...]
    y: Values
    low: Values | None = None
    high: Values | None = None
    dashed: bool = False
    doubted: bool = False
    is_points: bool = False
    labels: tuple[str, ...] = ()
    doubted_points: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Limit:
    """A horizontal line: an SLO, a ceiling."""

    label: str
    value: float


@dataclass(frozen=True)
class LinePlot:
    """`x_names`, where given, stand at x = 0, 1, 2, ...: for things that have no order."""

    title: str
    caption: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    limits: tuple[Limit, ...] = ()
    log_x: bool = False
    log_y: bool = False
    steps: bool = False
    x_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ecdf:
    """For each name its values: which share of them is at most x."""

    title: str
    caption: str
    x_label: str
    samples: dict[str, tuple[float, ...]]
    doubted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class BarPlot:
    """Horizontal bars, one for each label, each stacked of `parts` (part name -> a value for each label)."""

    title: str
    caption: str
    x_label: str
    labels: tuple[str, ...]
    parts: dict[str, Values]


@dataclass(frozen=True)
class HeatMap:
    """`cells[row][column]`, rows from top to bottom; `texts` are written into them."""

    title: str
    caption: str
    x_label: str
    y_label: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[Values, ...]
    texts: tuple[tuple[str, ...], ...]
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Span:
    start: float
    end: float
    part: str


@dataclass(frozen=True)
class Lanes:
    """One horizontal lane for each label: which part of it happened when (seconds). `parts` are all names that may
    occur, in the order of their colours: so that one part has one colour in several figures."""

    title: str
    caption: str
    x_label: str
    lanes: tuple[tuple[str, tuple[Span, ...]], ...]
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, for a forest plot; without one where it could not be told."""

    label: str
    value: float
    low: float | None
    high: float | None
    verdict: Literal["better", "worse", "same", "unresolved"]


@dataclass(frozen=True)
class Forest:
    """Ratios above each other, around the value that means no difference."""

    title: str
    caption: str
    x_label: str
    neutral: float
    rows: tuple[Estimate, ...]


Figure: TypeAlias = LinePlot | Ecdf | BarPlot | HeatMap | Lanes | Forest
