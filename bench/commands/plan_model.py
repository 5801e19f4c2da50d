"""`warmfn bench plan SHAPE|FILE.gguf`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from bench.commands.options import add_out_option, out_folder, show, write
from bench.plan.make import make_plan, question
from bench.plan.shapes import QUANTS, SHAPES
from bench.session import Session

DESCRIPTION = (
    "Predict what a model gives on this host before it is downloaded. Its memory and its roofline follow from its "
    "dimensions; its speed is measured on a few layers of random weights and extended to all of them. Weights that are "
    "here are measured themselves."
)
EPILOG = f"shapes: {', '.join(SHAPES)}"
OPTIONS = ("quant", "prompt", "output", "threads", "no_probe", "synthetic", "out")
QUANT, PROMPT, OUTPUT = "Q4_K_M", 1000, 200


def add_options(group: argparse._ArgumentGroup) -> None:
    """None of them has a default that could not be told from its absence."""
    group.add_argument("--quant", metavar="TYPE", help=f"of a shape: {', '.join(QUANTS)} (default: {QUANT})")
    group.add_argument("--prompt", type=int, metavar="N", help=f"tokens in (default: {PROMPT})")
    group.add_argument("--output", type=int, metavar="N", help=f"tokens out (default: {OUTPUT})")
    group.add_argument("--threads", type=int, metavar="N", help="default: the CPUs of this process")
    group.add_argument("--no-probe", action="store_true", help="only what follows from the dimensions, in seconds")
    group.add_argument(
        "--synthetic",
        action="store_true",
        help="also write all of the model in random weights, measure it, and remove it: minutes, and its size on disk",
    )
    add_out_option(group)


def plan(args: argparse.Namespace) -> int:
    prompt, output = (PROMPT if args.prompt is None else args.prompt), (OUTPUT if args.output is None else args.output)
    asked = question(args.subject, args.quant or QUANT, prompt=prompt, output=output, threads=args.threads)
    out = out_folder(args.out, f"plan-{Path(args.subject).stem}")
    session = Session("plan", "plan")
    on_step = Console(stderr=True).print
    found = make_plan(asked, probes=not args.no_probe, synthetic=args.synthetic, on_step=on_step)
    result = session.result(complete=True, model_name=found.shape, plan=found)
    write(result, out)
    show(result, out, plan=found.model_dump(include={"ceiling", "predicted", "measured"}))
    return 0
