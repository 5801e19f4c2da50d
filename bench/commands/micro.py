"""`warmfn bench micro`."""

from __future__ import annotations

import argparse

from bench.commands.options import add_out_option, out_folder, show, write
from bench.deployment import read_config
from bench.micro.measure import measure_micro
from bench.session import Session
from handlers.commands.options import Commands, add_models_option


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "micro",
        help="time the parts: prefill, decode, tokenising, templates, embedding, SSE, handlers, cold start",
        description="Time the parts of a server one by one with pytest-benchmark, for one model of the models folder. "
        "Beside the report there is benchmark.json, pytest-benchmark's own file. The last line on standard output is a "
        "JSON object.",
    )
    command.add_argument("model", metavar="MODEL", help="its name in the models folder")
    add_models_option(command)
    add_out_option(command)
    command.set_defaults(bench=_micro)


def _micro(args: argparse.Namespace) -> int:
    config = read_config(args.models, args.model)
    out = out_folder(args.out, f"micro-{config.name}")
    session = Session("micro", "micro")
    micro = measure_micro(args.models, config.name, out)
    result = session.result(complete=True, model_name=config.name, micro=micro)
    write(result, out)
    rates = {timing.name: round(timing.tok_s, 1) for timing in micro.timings if timing.tok_s}
    show(result, out, tok_s=rates)
    return 0
