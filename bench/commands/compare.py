"""`warmfn bench compare`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill, indent

from rich.console import Console

from bench.commands.options import add_out_option, out_folder, write_pages
from bench.compare.changes import Change
from bench.compare.checks import Check, comparable_places, held_against, judged, missing
from bench.compare.comparable import SAME, check_comparable
from bench.compare.contents import report_of, worst
from bench.compare.families import FAMILIES
from bench.compare.gate import EXAMPLE, Gate, read_gate
from bench.compare.judge import Comparison
from bench.compare.junit import write_junit
from bench.compare.metrics import DEFAULT, DIRECTIONS
from bench.compare.side import Side, read_side
from bench.report.blocks import Report
from bench.report.markdown import markdown
from bench.report.terminal import print_report
from core.errors import CoreError
from handlers.commands.options import Commands

PAGE_NAME = "comparison"
STATUS = {"pass": 0, "warn": 0, "fail": 1}
EXIT_NOT_COMPARED = 2
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
DESCRIPTION = """\
Say whether B is better or worse than A, by how much at least and at most, or how many more rounds it would take to
tell. Several results of one side are separated by commas: the more runs, taken in turns A B A B, the more can be told.
Compared is what both results have: speeds by the bootstrap; limits of the context, costs, memory and the client's error
by value; failed requests and right answers as shares. Exit status: 0 passed, 1 something failed the gate or is missing
in B, 2 nothing was compared. The last line on standard output is a JSON object."""
EPILOGUE = f"""\
a gate, by example:
{indent(EXAMPLE, "  ")}
its metrics:
{fill(", ".join((*DIRECTIONS, *FAMILIES)), 118, initial_indent="  ", subsequent_indent="  ")}"""


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "compare",
        help="say whether one result is better or worse than another",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("a", metavar="A", help="result folder, or several: DIR,DIR")
    command.add_argument("b", metavar="B", help="what is compared with it")
    command.add_argument("--gate", type=Path, metavar="FILE", help="rules that B must meet, as below")
    command.add_argument("--force", action="store_true", help="compare what differs in model, machine or scenario too")
    command.add_argument("--junit", type=Path, metavar="FILE", help="write the gate's checks as JUnit XML")
    add_out_option(command)
    command.set_defaults(bench=_compare)


def _compare(args: argparse.Namespace) -> int:
    try:
        a, b, gate = read_side(args.a), read_side(args.b), read_gate(args.gate) if args.gate else None
        doubts = check_comparable(a, b, gate.require.same if gate else tuple(SAME), force=args.force)
        checks = held_against(a, b, gate) if gate else missing(a, b, "fail")
        out = out_folder(args.out, "compare")
    except CoreError as error:
        print(f"warmfn: {error.message}", file=sys.stderr)
        return EXIT_NOT_COMPARED
    comparisons = _comparisons(a, b, gate, checks)
    report = report_of(a, b, comparisons, checks, doubts)
    write_pages(report, out, PAGE_NAME)
    if args.junit:
        write_junit(checks, args.junit)
    _add_to_step_summary(report)
    _show(report, out, checks, comparisons)
    return STATUS[worst(checks)]


def _comparisons(a: Side, b: Side, gate: Gate | None, checks: Sequence[Check]) -> list[Comparison | Change]:
    """Those that a gate asks for; without one, the usual metrics of requests and whatever else both results have."""
    if gate:
        return [check.comparison for check in checks if check.comparison]
    measures = (*DEFAULT, *FAMILIES.values())
    found = [judged(a, b, place, measure) for measure in measures for place in comparable_places(a, b, measure)]
    return [comparison for comparison in found if not (isinstance(comparison, Change) and comparison.is_idle)]


def _add_to_step_summary(report: Report) -> None:
    if path := os.environ.get(SUMMARY_VARIABLE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(markdown(report))


def _show(report: Report, out: Path, checks: Sequence[Check], comparisons: Sequence[Comparison | Change]) -> None:
    """The last line is a JSON object for programs."""
    print_report(report, Console())
    verdicts = {" ".join((*c.place, str(c.metric))): c.verdict for c in comparisons}
    paths = {"report": str(out / f"{PAGE_NAME}.md"), "html": str(out / f"{PAGE_NAME}.html")}
    print(json.dumps(paths | {"status": worst(checks), "verdicts": verdicts}))
