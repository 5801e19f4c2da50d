"""`warmfn bench report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.commands.options import show, write_report
from bench.result import read_result
from handlers.commands.options import Commands


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "report",
        help="write and print the reports of a result again",
        description="Print the report of a result, and write its report.md and report.html anew, as after an update of "
        "warmfn. The result stays as it was measured. The last line on standard output is a JSON object.",
    )
    command.add_argument("folder", type=Path, metavar="DIR", help="that holds its result.json")
    command.set_defaults(bench=_report)


def _report(args: argparse.Namespace) -> int:
    result = read_result(args.folder)
    write_report(result, args.folder)
    show(result, args.folder)
    return 0
