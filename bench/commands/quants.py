"""`warmfn bench quants`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.commands.options import (
    add_out_option,
    exit_status,
    interrupted_by_sigterm,
    on_progress_of,
    out_folder,
    progress_bar,
    show,
    write,
)
from bench.errors import BenchError
from bench.quants.measure import QuantsRun, Settings
from bench.quants.source import find_source, require_space, wanted_types
from bench.roofline.peaks import measure_peaks
from bench.session import Session
from core.gguf.estimate import TYPES
from core.host import available_cpus
from core.store.disk import explained_disk_errors
from handlers.commands.options import Commands, add_models_option

DEFAULT_TYPES = "Q8_0,Q5_K_M,Q4_K_M,Q4_0"
LEAST_ROUNDS = 3
MOST_SEQUENCES = 256
"""llama.cpp aborts beyond."""


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "quants",
        help="speed, memory and quality of a model's quantizations here, and which one pays",
        description="Make other quantizations of one GGUF with llama.cpp's quantizer and measure each beside the "
        "original on this host: size, speed of prompts and of answers, memory, perplexity and KL divergence on a small "
        "text. Says which pays here, and why. Minutes for a small model, hours for a large one; Ctrl-C keeps what was "
        "measured. This is to look and decide: nothing in the models folder changes. To serve a faster form, run "
        "`warmfn optimize MODEL`: it tries fewer types, chooses by the same rule, and keeps what it chose.",
        epilog=f"types: {', '.join(TYPES)}",
    )
    command.add_argument("model", metavar="MODEL|FILE.gguf", help="a model of the folder, or a file")
    command.add_argument(
        "--to", default=DEFAULT_TYPES, metavar="TYPES", help="what to make, with commas (default: %(default)s)"
    )
    command.add_argument(
        "--sequences",
        type=int,
        default=8,
        metavar="N",
        help="generated at once, beside one alone (default: %(default)s)",
    )
    command.add_argument(
        "--rounds",
        type=int,
        default=LEAST_ROUNDS,
        metavar="N",
        help="in each of which all take turns (default and least: %(default)s)",
    )
    command.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="make the files there, keep them, and take those that are there already (default: a temporary folder)",
    )
    add_models_option(command)
    add_out_option(command)
    command.set_defaults(bench=_quants)


def _quants(args: argparse.Namespace) -> int:
    settings = _settings(args)
    name, source = find_source(args.model, args.models)
    types = wanted_types(source, args.to.upper().replace(" ", "").split(","))
    with interrupted_by_sigterm(), _forms_folder(args.keep) as folder:
        needed = require_space(source, types, folder, settings.sequences)
        out = out_folder(args.out, f"quants-{name}")
        session = Session("quants", "quantizations")
        with progress_bar() as progress:
            progress.console.print(f"{', '.join(types)}: {needed / 1e6:.0f} MB in {folder}", markup=False)
            task = progress.add_task("", total=None)
            run = QuantsRun(
                source, types, folder, settings, measure_peaks(available_cpus()), on_progress_of(progress, task)
            )
            progress.update(task, total=run.num_steps)
            try:
                run.measure()
            except KeyboardInterrupt:
                progress.console.print("stopped; what was measured is kept")
            finally:
                part = run.part()
                result = session.result(
                    complete=run.complete, model_name=name, weights=source, validity=run.doubts, quants=part
                )
                write(result, out)
    show(result, out, best=part.best, pareto=part.pareto)
    return exit_status(result)


def _settings(args: argparse.Namespace) -> Settings:
    if args.rounds < LEAST_ROUNDS:
        raise BenchError(f"--rounds {args.rounds}: medians and their spread need at least {LEAST_ROUNDS}")
    if not 2 <= args.sequences <= MOST_SEQUENCES:
        raise BenchError(f"--sequences {args.sequences}: from 2 to {MOST_SEQUENCES}; one is measured in any case")
    return Settings(args.sequences, args.rounds)


@contextmanager
def _forms_folder(keep: Path | None) -> Iterator[Path]:
    if keep:
        with explained_disk_errors(keep):
            keep.mkdir(parents=True, exist_ok=True)
        yield keep
    else:
        with TemporaryDirectory(prefix="warmfn-quants-") as folder:
            yield Path(folder)
