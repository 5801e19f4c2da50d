"""`warmfn bench limits`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from bench.commands.options import add_out_option, out_folder, show, write
from bench.deployment import read_config
from bench.limits.measure import measure_limits
from bench.session import Session
from core.compute import limit_openmp_spin
from core.limits import limits_path
from handlers.commands.options import Commands, add_models_option


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "limits",
        help="measure a model here once, for the server to start from",
        description="Measure the fastest number of threads and rows, and tokens per second by prompt length, depth and "
        "batch: about a minute for a small model. What is found is written beside the weights, where a server on this "
        "host reads it at its start: threads and batch where the YAML sets none, and first estimates for Retry-After "
        "and deadlines. Nothing is written if it is stopped.",
    )
    command.add_argument("model", metavar="MODEL", help="its name in the models folder")
    command.add_argument(
        "--file", type=Path, metavar="FILE", help="where to write the limits (default: WEIGHTS.limits.json)"
    )
    add_models_option(command)
    add_out_option(command)
    command.set_defaults(bench=_limits)


def _limits(args: argparse.Namespace) -> int:
    limit_openmp_spin()
    config = read_config(args.models, args.model)
    file = args.file or limits_path(config.weights)
    out = out_folder(args.out, f"limits-{config.name}")
    session = Session("limits", "limits")
    part = measure_limits(config, file, Console(stderr=True).print)
    part.limits.write(file)
    result = session.result(complete=True, model_name=config.name, limits=part)
    write(result, out)
    show(result, out, limits=str(file))
    return 0
