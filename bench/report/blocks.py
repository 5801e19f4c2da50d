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


@dataclass(frozen=True)
class Term:
    """A metric's name, as headers, labels and captions write it, and how it is computed."""

    name: str
    formula: str


@dataclass(frozen=True)
class Definitions:
    """A report gathers them in one place at its end; where a term is used, HTML links to it."""

    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Finding:
    """One line of the verdict. `state` is `good`, `doubtful` or `bad`, or None for what is neither."""

    label: str
    words: str
    state: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What someone who reads nothing else should know."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Code:
    """To be copied as it stands."""

    text: str
    language: str = ""


Block: TypeAlias = Text | Notes | Table | Definitions | Verdict | Code | Figure


@dataclass(frozen=True)
class Section:
    """`folded`: of interest to those who look for it."""

    title: str
    blocks: Sequence[Block]
    folded: bool = False


@dataclass(frozen=True)
class Report:
    title: str
    opening: tuple[Block, ...]
    sections: tuple[Section, ...]


def number(value: float | None, digits: int = 1) -> str:
    """What could not be measured is not a number, and not zero."""
    return "n/a" if value is None else f"{value:,.{digits}f}"
