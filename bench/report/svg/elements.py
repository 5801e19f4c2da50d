"""SVG as text: elements, words, and the marks that tell series apart without colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

WIDTH = 420
"""Of every drawing, in CSS pixels at its natural size."""
COLOURS = 8
MARKS = (
    "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0Z",
    "M-3.2,-3.2H3.2V3.2H-3.2Z",
    "M0,-4.4L4.4,0L0,4.4L-4.4,0Z",
    "M0,-4.2L4.2,3.2H-4.2Z",
    "M0,4.2L4.2,-3.2H-4.2Z",
    "M-1.4,-4H1.4V-1.4H4V1.4H1.4V4H-1.4V1.4H-4V-1.4H-1.4Z",
)
"""Paths around (0, 0): circle, square, diamond, triangles, cross."""
CHARACTER = 6.9
"""Mean width of one at the drawings' font size, in pixels."""


@dataclass(frozen=True)
class Entry:
    """Of a legend: the place of a series decides its mark, `css` its colour; `kind` is what is shown of it."""

    name: str
    place: int
    kind: Literal["mark", "point", "line", "dashed", "box"]
    css: str


@dataclass(frozen=True)
class Drawing:
    """`svg` is a whole element; the legend is the page's to lay out."""

    svg: str
    legend: tuple[Entry, ...] = ()


def element(name: str, *children: str, **attributes: str | float | None) -> str:
    """`css` is the class; an underscore in an attribute's name stands for a hyphen; None leaves one out."""
    names = {"css": "class"}
    written = "".join(
        f' {names.get(key, key.replace("_", "-"))}="{_value(value)}"'
        for key, value in attributes.items()
        if value not in (None, "")
    )
    return f"<{name}{written}>{''.join(children)}</{name}>"


def _value(value: str | float | None) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def svg(height: float, parts: Sequence[str], label: str) -> str:
    """`label` is what a screen reader says."""
    return element(
        "svg", *parts, viewBox=f"0 0 {WIDTH} {height:.0f}", xmlns="http://www.w3.org/2000/svg", role="img",
        aria_label=label,
    )  # fmt: skip


def words(text: str, x: float, y: float, anchor: str = "start", css: str = "") -> str:
    return element("text", escape(text), x=x, y=y, text_anchor=anchor if anchor != "start" else None, css=css)


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, css=css)


def box(x: float, y: float, width: float, height: float, css: str, tip: str, **more: float) -> str:
    """A rectangle that shows `tip` under the pointer."""
    return element("rect", element("title", escape(tip)), x=x, y=y, width=width, height=height, css=css, **more)


def mark(x: float, y: float, place: int, css: str, tip: str) -> str:
    transform = f"translate({x:.1f},{y:.1f})"
    return element("path", element("title", escape(tip)), d=MARKS[place % len(MARKS)], transform=transform, css=css)


def colour(place: int) -> str:
    """The CSS class of a series."""
    return f"c{place % COLOURS}"


def width_of(text: str) -> float:
    return len(text) * CHARACTER


def shortened(text: str, room: float) -> str:
    """Cut, visibly, to what fits into `room` pixels."""
    fitting = max(1, int(room / CHARACTER))
    return text if len(text) <= fitting else text[: fitting - 1] + "…"
