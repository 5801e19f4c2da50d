"""`warmfn bench`."""

from __future__ import annotations

from handlers.commands.options import Commands


def add_command(commands: Commands, *, chosen: bool) -> None:
    """The bench is imported only where it is asked for."""
    command = commands.add_parser(
        "bench",
        help="measure tokens per second",
        description="Measure tokens per second and time to the first token, beside other servers and the bare engine.",
    )
    if chosen:
        from bench import cli as bench

        bench.add_arguments(command)
        command.set_defaults(command=bench.run_command)
