"""The frame of a plot: grid, ticks, and what the axes mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.report.svg.elements import WIDTH, line, shortened, width_of, words
from bench.report.svg.scale import Scale, tick_label

LEFT, RIGHT = 46.0, WIDTH - 14.0
TOP, BOTTOM = 26.0, 212.0
HEIGHT = 252.0
TICK_ROOM = 26.0
TICK_AIR = 4.0
"""Pixels between two ticks of the horizontal axis, at least, and between their labels."""


@dataclass(frozen=True)
class XTick:
    at: float
    label: str


def x_ticks(scale: Scale, data: Sequence[float] = ()) -> list[XTick]:
    """At the data itself where that is few and far between, else at round numbers."""
    places = sorted({scale(x) for x in data})
    apart = min((b - a for a, b in pairwise(places)), default=0.0)
    room = max([TICK_ROOM, *(width_of(tick_label(x)) + TICK_AIR for x in data)])
    chosen = sorted(set(data)) if len(places) > 1 and apart >= room else scale.ticks(5)
    return [XTick(scale(value), tick_label(value)) for value in chosen]


def name_ticks(scale: Scale, names: Sequence[str]) -> list[XTick]:
    room = abs(scale(1) - scale(0)) - 4
    return [XTick(scale(i), shortened(name, room)) for i, name in enumerate(names)]


def x_axis(
    ticks: Sequence[XTick], label: str, top: float, bottom: float, *, left: float = LEFT, grid: bool = False
) -> Iterator[str]:
    for tick in ticks:
        if grid:
            yield line(tick.at, top, tick.at, bottom, "grid")
        yield line(tick.at, bottom, tick.at, bottom + 4, "axis")
        half = width_of(tick.label) / 2
        yield words(tick.label, min(max(tick.at, half), WIDTH - half), bottom + 17, "middle")
    yield line(left, bottom, RIGHT, bottom, "axis")
    yield words(label, (left + RIGHT) / 2, bottom + 35, "middle", "label")


def y_axis(scale: Scale, label: str) -> Iterator[str]:
    """The label stands above the axis, where it can be read without turning one's head."""
    for value in scale.ticks(5):
        y = scale(value)
        yield line(LEFT, y, RIGHT, y, "grid")
        yield words(tick_label(value), LEFT - 6, y + 4, "end")
    yield words(label, 2, 12, css="label")
