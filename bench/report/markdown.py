"""A report as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.report import contents
from bench.report.blocks import Block, Notes, Table, Text
from bench.result import Result


def markdown(result: Result) -> str:
    return "\n".join(_lines(result)) + "\n"


def _lines(result: Result) -> Iterator[str]:
    yield f"# {contents.title(result)}"
    for text in contents.opening(result):
        yield from ("", *_block(text))
    for section in contents.sections(result):
        yield f"\n## {section.title}"
        for block in section.blocks:
            yield from ("", *_block(block))


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text(words, severity):
            yield f"**{severity}**: {words}" if severity else words
        case Notes(lines):
            yield from (f"- {line}" for line in lines)
        case Table(headers, rows):
            yield from _table(headers, rows)
        case _:
            yield f"*{block.title}*: {block.caption}"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headers)} |"
    yield "|---" + "|---:" * (len(headers) - 1) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
