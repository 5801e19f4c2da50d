"""A report as Markdown, as GitHub renders it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.report.blocks import Block, Code, Definitions, Notes, Report, Section, Table, Text, Verdict
from bench.report.figures import Figure, LinePlot
from bench.report.mermaid import can_express, chart
from bench.report.tabular import as_table


def markdown(report: Report) -> str:
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {report.title}"
    for block in report.opening:
        yield from ("", *_block(block))
    for section in report.sections:
        yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    yield f"\n<details><summary>{section.title}</summary>" if section.folded else f"\n## {section.title}"
    for block in section.blocks:
        yield from ("", *_block(block))
    if section.folded:
        yield "\n</details>"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text(words, severity):
            yield f"**{severity}**: {words}" if severity else words
        case Notes(lines):
            yield from (f"- {line}" for line in lines)
        case Table():
            yield from _table(block.headers, block.rows)
        case Definitions(terms):
            yield from (f"- **{term.name}**: {term.formula}" for term in terms)
        case Verdict(findings):
            yield from (f"- **{finding.label}**: {finding.words}" for finding in findings)
        case Code(text, language):
            yield from (f"```{language}", text.rstrip("\n"), "```")
        case _:
            yield from _figure(block)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headers)} |"
    yield "|---" + "|---:" * (len(headers) - 1) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _figure(figure: Figure) -> Iterator[str]:
    """A chart where Mermaid can draw one, else its numbers."""
    yield f"**{figure.title}**\n"
    if isinstance(figure, LinePlot) and can_express(figure):
        yield from chart(figure)
    else:
        table = as_table(figure)
        yield from _table(table.headers, table.rows)
    yield f"\n*{figure.caption}*"
