"""`warmfn bench plan`: of a model or, by the file's ending, of a scenario."""

from __future__ import annotations

import argparse

from bench.commands import plan_model, plan_scenario
from bench.errors import BenchError
from handlers.commands.options import Commands

YAML = (".yaml", ".yml")


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "plan",
        help="a model's speed and memory here before downloading it, or a scenario's time and money before running it",
        description=f"{plan_model.DESCRIPTION} {plan_scenario.DESCRIPTION}",
        epilog=plan_model.EPILOG,
    )
    command.add_argument(
        "subject", metavar="SHAPE|FILE.gguf|SCENARIO.yaml", help="a shape's name, a GGUF's header, or a scenario file"
    )
    plan_model.add_options(command.add_argument_group("for a SHAPE or FILE.gguf"))
    plan_scenario.add_options(command.add_argument_group("for a SCENARIO.yaml"))
    command.set_defaults(bench=_plan)


def _plan(args: argparse.Namespace) -> int:
    if args.subject.endswith(YAML):
        _refuse(args, plan_model.OPTIONS, "a model")
        return plan_scenario.plan(args)
    _refuse(args, plan_scenario.OPTIONS, "a scenario")
    return plan_model.plan(args)


def _refuse(args: argparse.Namespace, options: tuple[str, ...], subject: str) -> None:
    """What would be ignored is an error."""
    given = [name for name in options if getattr(args, name) not in (None, False, [])]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise BenchError(f"{names}: only for the plan of {subject}, and {args.subject} is none")
