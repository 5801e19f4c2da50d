"""`warmfn bench`: one module in `bench.commands` for each subcommand.

The last line that a measuring command prints on standard output is one JSON object.
"""

from __future__ import annotations

import argparse

from bench.commands import (
    advise,
    calibrate,
    cold,
    compare,
    context,
    cost,
    import_,
    limits,
    load,
    micro,
    plan,
    quants,
    report,
    run,
)

COMMANDS = (run, load, context, cold, micro, limits, quants, plan, cost, advise, calibrate, report, compare, import_)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_command(commands)


def run_command(args: argparse.Namespace) -> int:
    """The exit status. Raises CoreError for what its user can put right."""
    status: int = args.bench(args)
    return status
