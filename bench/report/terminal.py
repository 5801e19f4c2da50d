"""A report in a terminal: tables and notes; figures and code are for the files."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box, table
from rich.console import Console

from bench.report.blocks import Block, Definitions, Notes, Report, Table, Text, Verdict

SHOWN = (Text, Notes, Table, Definitions, Verdict)


def print_report(report: Report, console: Console) -> None:
    _print_all(report.opening, console)
    for section in report.sections:
        if any(isinstance(block, SHOWN) for block in section.blocks):
            console.print(f"\n{section.title}", style="bold", markup=False)
            _print_all(section.blocks, console)


def _print_all(blocks: Iterable[Block], console: Console) -> None:
    for block in blocks:
        match block:
            case Table():
                console.print(_table(block))
            case _:
                for line in _lines(block):
                    console.print(line, markup=False)


def _lines(block: Block) -> list[str]:
    match block:
        case Text(words, severity):
            return [f"{severity}: {words}" if severity else words]
        case Notes(lines):
            return [f"  {line}" for line in lines]
        case Definitions(terms):
            return [f"  {term.name}: {term.formula}" for term in terms]
        case Verdict(findings):
            return [f"  {finding.label}: {finding.words}" for finding in findings]
        case _:
            return []


def _table(block: Table) -> table.Table:
    grid = table.Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    for number, header in enumerate(block.headers):
        grid.add_column(header, justify="right" if number else "left", no_wrap=not number)
    for number, row in enumerate(block.rows):
        grid.add_row(*row, style="dim" if number in block.doubted else None)
    return grid
