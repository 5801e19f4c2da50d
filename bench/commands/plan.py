"""`warmfn bench plan`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from bench.commands.options import add_out_option, out_folder, show, write
from bench.plan.make import make_plan, question
from bench.plan.shapes import QUANTS, SHAPES
from bench.session import Session
from handlers.commands.options import Commands


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "plan",
        help="predict a model's speed and memory here, before downloading it",
        description="Predict what a model gives on this host before it is downloaded. Its memory and its roofline "
        "follow from its dimensions; its speed is measured on a few layers of random weights and extended to all of "
        "them. Weights that are here are measured themselves.",
        epilog=f"shapes: {', '.join(SHAPES)}",
    )
    command.add_argument("shape", metavar="SHAPE|FILE.gguf", help="a shape's name, or a GGUF whose header is enough")
    command.add_argument("--quant", default="Q4_K_M", help=f"of a shape: {', '.join(QUANTS)} (default: %(default)s)")
    command.add_argument("--prompt", type=int, default=1000, metavar="N", help="tokens in (default: %(default)s)")
    command.add_argument("--output", type=int, default=200, metavar="N", help="tokens out (default: %(default)s)")
    command.add_argument("--threads", type=int, metavar="N", help="default: the CPUs of this process")
    command.add_argument("--no-probe", action="store_true", help="only what follows from the dimensions, in seconds")
    command.add_argument(
        "--synthetic",
        action="store_true",
        help="also write all of the model in random weights, measure it, and remove it: minutes, and its size on disk",
    )
    add_out_option(command)
    command.set_defaults(bench=_plan)


def _plan(args: argparse.Namespace) -> int:
    asked = question(args.shape, args.quant, prompt=args.prompt, output=args.output, threads=args.threads)
    out = out_folder(args.out, f"plan-{Path(args.shape).stem}")
    session = Session("plan", "plan")
    on_step = Console(stderr=True).print
    plan = make_plan(asked, probes=not args.no_probe, synthetic=args.synthetic, on_step=on_step)
    result = session.result(complete=True, model_name=plan.shape, plan=plan)
    write(result, out)
    show(result, out, plan=plan.model_dump(include={"ceiling", "predicted", "measured"}))
    return 0
