"""`warmfn bench calibrate`."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from bench.commands.options import add_out_option, exit_status, out_folder, show, write
from bench.result import Result
from bench.session import Session
from handlers.commands.options import Commands


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "calibrate",
        help="measure the client's own error",
        description="Measure the client's own error against answers of known timing, by a server of the bench: bundled "
        "tokens, early role chunks, characters cut in two, slow drips, errors within a stream. Takes about three "
        "seconds. Commands that measure with the client do this first by themselves. Exit status 1 if the client took "
        "an answer wrongly. The last line on standard output is a JSON object.",
    )
    add_out_option(command)
    command.set_defaults(bench=_calibrate)


def _calibrate(args: argparse.Namespace) -> int:
    folder = out_folder(args.out, "calibrate")
    result = asyncio.run(_measured(folder))
    assert result.calibration is not None
    write(result, folder)
    show(result, folder, error_ms=result.calibration.error_ms, faults=result.calibration.faults)
    return exit_status(result) or int(bool(result.calibration.faults))


async def _measured(folder: Path) -> Result:
    session = Session("calibrate", "client")
    await session.calibrate(folder)
    return session.result(complete=True)
