"""What a report is made of. What it says is written once, as these; Markdown, terminal and HTML only show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bench.report.figures import Figure


@dataclass(frozen=True)
class Text:
    """A paragraph; `severity` is set where it is a reason to doubt."""

    words: str
    severity: str | None = None


@dataclass(frozen=True)
class Notes:
    """Short lines that belong to what stands above them."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """The first column names a row, the others are numbers as text; rows at places in `doubted` are greyed."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    doubted: frozenset[int] = frozenset()


Block: TypeAlias = Text | Notes | Table | Figure


@dataclass(frozen=True)
class Section:
    title: str
    blocks: Sequence[Block]


def number(value: float | None, digits: int = 1) -> str:
    """What could not be measured is not a number, and not zero."""
    return "n/a" if value is None else f"{value:,.{digits}f}"
