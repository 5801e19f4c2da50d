"""A report as one HTML file: works offline and without scripts, light and dark, on paper and on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import get_args

from bench.report.blocks import Block, Code, Definitions, Finding, Notes, Report, Section, Table, Term, Text, Verdict
from bench.report.figures import Figure, Lanes
from bench.report.glossary import Links
from bench.report.svg.draw import draw
from bench.report.svg.elements import Entry, element, line, mark

STYLE = Path(__file__).with_name("style.css")
BADGES = ("valid", "suspect", "invalid", "better", "worse", "same", "unresolved", "missing", "pass", "warn", "fail")
"""Words that a table's cell shows as a badge, coloured by the style sheet."""


def html(report: Report) -> str:
    page = _Page(Links(report))
    title = escape(report.title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        f"<header>\n<h1>{title}</h1>\n{page.blocks(report.opening)}\n</header>\n"
        f"{''.join(page.section(section) for section in report.sections)}</main>\n</body>\n</html>\n"
    )


class _Page:
    def __init__(self, links: Links) -> None:
        self._links = links

    def section(self, section: Section) -> str:
        title, content = escape(section.title), self.blocks(section.blocks)
        if section.folded:
            return f"<details><summary>{title}</summary>\n{content}\n</details>\n"
        return f"<section>\n<h2>{title}</h2>\n{content}\n</section>\n"

    def blocks(self, blocks: Iterable[Block]) -> str:
        """Figures that follow each other stand side by side where there is room, tall ones among themselves."""
        parts = []
        for kind, group in groupby(blocks, key=_figure_kind):
            shown = "\n".join(self._block(block) for block in group)
            parts.append(f'<div class="figures">\n{shown}\n</div>' if kind else shown)
        return "\n".join(parts)

    def _block(self, block: Block) -> str:
        match block:
            case Text(words, severity):
                return element("p", self._links.html(words), css=severity and f"doubt {severity}")
            case Notes(lines):
                return element("ul", *(element("li", self._links.html(line)) for line in lines), css="notes")
            case Table():
                return "".join(self._table(block))
            case Definitions(terms):
                return element("dl", *map(self._term, terms), css="terms")
            case Verdict(findings):
                return element("dl", *map(self._finding, findings), css="verdict")
            case Code(text):
                return f"<pre><code>{escape(text)}</code></pre>"
            case _:
                return self._figure(block)

    def _term(self, term: Term) -> str:
        name = element("dt", escape(term.name), id=self._links.anchor(term))
        return name + element("dd", escape(term.formula))

    def _finding(self, finding: Finding) -> str:
        words = f"<dt>{escape(finding.label)}</dt><dd>{self._links.html(finding.words)}</dd>"
        return element("div", words, css=finding.state)

    def _table(self, table: Table) -> Iterator[str]:
        yield '<div class="scroll"><table><thead><tr>'
        yield from (element("th", self._links.html(header)) for header in table.headers)
        yield "</tr></thead><tbody>"
        for i, row in enumerate(table.rows):
            yield element("tr", *map(_cell, row), css="doubted" if i in table.doubted else None)
        yield "</tbody></table></div>"

    def _figure(self, figure: Figure) -> str:
        drawing = draw(figure)
        legend = element("ul", *map(_entry, drawing.legend), css="legend") if drawing.legend else ""
        caption = element("figcaption", self._links.html(figure.caption))
        return f"<figure>\n<h3>{escape(figure.title)}</h3>{legend}{drawing.svg}{caption}\n</figure>"


def _figure_kind(block: Block) -> str | None:
    return ("tall" if isinstance(block, Lanes) else "plot") if isinstance(block, get_args(Figure)) else None


def _cell(text: str) -> str:
    return element("td", element("span", text, css=f"badge {text}") if text in BADGES else escape(text))


def _entry(entry: Entry) -> str:
    """The sample that a legend shows of a series."""
    match entry.kind:
        case "box":
            sample = element("rect", x=-6, y=-5, width=12, height=10, css=f"bar {entry.css}")
        case "point":
            sample = mark(0, 0, entry.place, f"mark {entry.css}", entry.name)
        case "mark":
            sample = line(-8, 0, 8, 0, f"line {entry.css}") + mark(0, 0, entry.place, f"mark {entry.css}", entry.name)
        case "line" | "dashed":
            sample = line(-8, 0, 8, 0, f"line {entry.css} {entry.kind}")
    return element("li", element("svg", sample, viewBox="-8 -6 16 12", aria_hidden="true"), escape(entry.name))
