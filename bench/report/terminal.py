"""A report in a terminal: tables and notes; figures are for the files."""

from __future__ import annotations

from rich import box, table
from rich.console import Console

from bench.report import contents
from bench.report.blocks import Block, Notes, Table, Text
from bench.result import Result


def print_report(result: Result, console: Console) -> None:
    for text in contents.opening(result):
        _print(text, console)
    for section in contents.sections(result):
        console.print(f"\n{section.title}", style="bold", markup=False)
        for block in section.blocks:
            _print(block, console)


def _print(block: Block, console: Console) -> None:
    match block:
        case Text(words, severity):
            console.print(f"{severity}: {words}" if severity else words, markup=False)
        case Notes(lines):
            for line in lines:
                console.print(f"  {line.replace('**', '')}", markup=False)
        case Table():
            console.print(_table(block))


def _table(block: Table) -> table.Table:
    grid = table.Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    for number, header in enumerate(block.headers):
        grid.add_column(header, justify="right" if number else "left", no_wrap=not number)
    for number, row in enumerate(block.rows):
        grid.add_row(*row, style="dim" if number in block.doubted else None)
    return grid
