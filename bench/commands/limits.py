"""`warmfn bench limits`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console

from bench.commands.options import add_out_option, out_folder, show, write
from bench.deployment import read_config
from bench.errors import BenchError
from bench.limits.disturbance import disturbances, readings
from bench.limits.measure import measure_limits
from bench.result import read_result
from bench.session import Session
from core.config.model import ModelConfig
from core.limits import limits_path
from handlers.commands.options import Commands, add_models_option

EXIT_DISTURBED = 1


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "limits",
        help="measure a model here once, for the server to start from",
        description="Measure the fastest number of threads and rows, and tokens per second by prompt length, depth and "
        "batch: about a minute for a small model. What is found is written beside the weights, where a server on this "
        "host reads it at its start: threads and batch where the YAML sets none, and first estimates for Retry-After "
        "and deadlines. It holds for these weights, this llama.cpp and these cache_type_* and flash_attention. Exit "
        "status 1, and no file for the server, if others kept the host busy meanwhile; a run that is stopped leaves "
        "nothing.",
    )
    command.add_argument("model", metavar="MODEL", help="its name in the models folder")
    command.add_argument(
        "--file", type=Path, metavar="FILE", help="where to write the limits (default: WEIGHTS.limits.json)"
    )
    command.add_argument(
        "--context", type=Path, metavar="RESULT", help="of `bench context`: the usable context becomes the default one"
    )
    add_models_option(command)
    add_out_option(command)
    command.set_defaults(bench=_limits)


def _limits(args: argparse.Namespace) -> int:
    config = read_config(args.models, args.model)
    usable = _usable_context(args.context, config) if args.context else None
    file = _limits_file(args.file, config)
    out = out_folder(args.out, f"limits-{config.name}")
    session = Session("limits", "limits")
    before = readings()
    part = measure_limits(config, Console(stderr=True).print, usable_context=usable)
    doubts = disturbances(readings().use_since(before))
    if not doubts:
        part.limits.write(file)
        part = part.model_copy(update={"file": str(file)})
    result = session.result(complete=True, model_name=config.name, validity=doubts, limits=part)
    write(result, out)
    show(result, out, limits=part.file)
    return EXIT_DISTURBED if doubts else 0


def _limits_file(chosen: Path | None, config: ModelConfig) -> Path:
    """Raises BenchError before a minute is spent where it could not be written."""
    file = chosen or limits_path(config.weights)
    if not os.access(file.parent, os.W_OK):
        raise BenchError(f"{file} cannot be written: choose another --file in a folder that is yours to write to")
    return file


def _usable_context(folder: Path, config: ModelConfig) -> int:
    """Raises BenchError for a result that does not tell it, or tells it of another model."""
    result = read_result(folder)
    if result.model_name != config.name:
        raise BenchError(
            f"{folder} is about {result.model_name}: give a result of `warmfn bench context {config.name}`"
        )
    if result.context is None or result.context.ladder.usable is None:
        raise BenchError(f"{folder} knows no usable context: run `warmfn bench context {config.name}`")
    return result.context.ladder.usable
