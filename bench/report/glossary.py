"""Where a report explains its terms, and links to that from wherever one is used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from bench.report.blocks import Block, Definitions, Report, Section, Term

TITLE = "How each number is computed"


def gathered(sections: Iterable[Section]) -> tuple[list[Section], Section | None]:
    """The sections without their definitions, and one section with all of them, each name once."""
    terms: dict[str, Term] = {}
    rest = []
    for section in sections:
        kept: list[Block] = []
        for block in section.blocks:
            if isinstance(block, Definitions):
                terms.update((term.name, term) for term in block.terms if term.name not in terms)
            else:
                kept.append(block)
        if kept:
            rest.append(Section(section.title, kept, section.folded))
    return rest, Section(TITLE, (Definitions(tuple(terms.values())),)) if terms else None


class Links:
    """From a term, as a whole word anywhere in a text, to its definition in the same page."""

    def __init__(self, report: Report) -> None:
        self._anchors = {term.name: self.anchor(term) for term in _terms(report)}
        longest_first = sorted(self._anchors, key=len, reverse=True)
        self._pattern = re.compile("|".join(rf"(?<!\w){re.escape(escape(name))}(?!\w)" for name in longest_first))

    def anchor(self, term: Term) -> str:
        return "term-" + re.sub(r"\W+", "-", term.name.lower()).strip("-")

    def html(self, text: str) -> str:
        if not self._anchors:
            return escape(text)
        names = {escape(name): anchor for name, anchor in self._anchors.items()}
        return self._pattern.sub(lambda found: f'<a href="#{names[found[0]]}">{found[0]}</a>', escape(text))


def _terms(report: Report) -> Iterator[Term]:
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Definitions):
                yield from block.terms
