"""`warmfn bench`."""

from __future__ import annotations

import argparse

from handlers.commands.options import Commands

EPILOGUE = """\
examples:
  warmfn bench run bench/scenarios/peers.yaml             ours beside llama.cpp's servers
  warmfn bench load http://127.0.0.1:8080 --rate 2        any server under load, without a scenario file
  warmfn bench context orca                               how long its prompts may be, and what limits them
  warmfn bench limits orca                                what a server of it starts from on this host
  warmfn bench plan mistral-7b                            what a model would give here, before it is downloaded
  warmfn bench compare bench/results/A bench/results/B    is B better or worse?
"""


def add_command(commands: Commands, *, chosen: bool) -> None:
    """The bench is imported only where it is asked for."""
    command = commands.add_parser(
        "bench",
        help="measure speeds, context limits, cold starts and what they cost",
        description="Measure speeds, context limits, cold starts and what they cost: of models here, beside other "
        "servers, or of any OpenAI-compatible URL. A folder for each result holds result.json and its reports.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if chosen:
        from bench import cli as bench

        bench.add_arguments(command)
        command.set_defaults(command=bench.run_command)
